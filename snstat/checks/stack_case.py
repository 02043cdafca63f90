"""The case of a uniform stack: its theory, and the stacks that remedies lead to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from snstat.activation import Activation, resolve
from snstat.checks.case import Case
from snstat.layers.dense_layer import DenseLayer
from snstat.network.description import summary_of
from snstat.network.stack import Stack
from snstat.results import NO_THEORY, BoolArray, FloatArray, InputMoments, Outlook
from snstat.theory.by_layer import pre_second_moments, units
from snstat.theory.extremes import largest_activation
from snstat.theory.finite_width import FiniteWidth
from snstat.theory.known import Known, theories
from snstat.theory.prediction import Prediction
from snstat.theory.saturation import resting_by_layer

# So many units are never all 0: with one sample, as half of them are, once in 2⁶⁴ layers.
WIDE = 64


@dataclass(frozen=True)
class StackCase(Case):
    """One stack to judge: see Case. Beyond the depth, theory goes on with the layer repeated."""

    subject: Stack
    # Theory, shared by all cases made from one.
    _theories: Callable[[Stack, int, InputMoments], Known] = field(
        default_factory=theories, compare=False, repr=False
    )
    _longer: StackCase | None = field(default=None, compare=False, repr=False)

    def changed(self, **changes: Any) -> StackCase:
        """Return the same case with another `weight_gain` or `weight_std`, `bias_std`, `depth` or
        `width`, other moments of the `inputs` or another `number_format`, not yet run."""
        # A shorter stack is the beginning of this one, but for a last layer unlike the others.
        beginning = changes.keys() == {"depth"} and self.stack.read_out is None
        longer = self._longer or self if beginning else None
        inputs, bounds = changes.pop("inputs", self.inputs), self.bounds
        if "depth" in changes:
            # Fewer layers are offered where more would break a rule: no limit beyond them.
            bounds = replace(bounds, depth_limit=None)
        if "number_format" in changes:
            bounds = replace(bounds, number_format=changes.pop("number_format"))
        stack = self.stack
        for knob, value in changes.items():
            turned = stack.turned(knob, value)
            if turned is None:
                raise KeyError(knob)
            stack = turned
        if stack.width_of(0) != self.stack.width_of(0):
            # Lengths of drawn samples vary as 1/width.
            share = self.stack.width_of(0) / stack.width_of(0)
            inputs = replace(inputs, length_variance=inputs.length_variance * share)
        return replace(self, subject=stack, inputs=inputs, bounds=bounds, run=None, _longer=longer)

    @property
    def stack(self) -> Stack:
        """The stack."""
        return self.subject

    @property
    def theory(self) -> Known:
        """Theory of the layers 0..limit."""
        return self._theories(self.whole, self.batch, self.inputs)

    @property
    def own_theory(self) -> Known:
        """Theory of the layers 0..depth."""
        return self._theories(self.stack, self.batch, self.inputs)

    @property
    def depth(self) -> int:
        """Layers of the stack."""
        return self.stack.depth

    @property
    def limit(self) -> int:
        """The layer up to which the signal has to survive, at least the last."""
        return max(self.depth, self.bounds.depth_limit or 0)

    @property
    def whole(self) -> Stack:
        """The stack up to the limit."""
        return self.stack.of_depth(self.limit)

    @property
    def activation(self) -> Activation:
        """The activation of all layers, or of all but the last one."""
        return resolve(self.layer.activation)

    @property
    def layer(self) -> DenseLayer:
        """The layer that is repeated."""
        return self.stack.repeated

    @property
    def width(self) -> int | None:
        """The units of every layer, None where layers differ in width."""
        return None if self.stack.runs else self.stack.width

    @property
    def target(self) -> tuple[float, float] | None:
        """The mean and variance that the signal should have, None where there is no such target."""
        return self.bounds.target(self.layer.activation)

    @property
    def prediction(self) -> Prediction:
        """Theory of the layers 0..limit at infinite width."""
        return self.theory.prediction

    @property
    def alone(self) -> Prediction:
        """Theory of the layers 0..limit that one sample is enough for: pairs take far longer."""
        return self.theory.alone

    @property
    def gradients(self) -> FloatArray:
        """Ln of the squared gradients over that of the last layer, (depth + 1,), by theory."""
        return self.own_theory.alone.log_gradient

    @property
    def units(self) -> FloatArray:
        """See Case."""
        return units(self.stack)

    @property
    def trial_fluctuation(self) -> FloatArray:
        """See Case."""
        return self.corrected.trial_fluctuation

    @property
    def largest(self) -> FloatArray:
        """See Case."""
        theory = self.alone
        q, shares = theory.sample_second_moment, theory.shares
        return largest_activation(self.whole, self.batch, self.inputs, q, shares)

    @property
    def doubt(self) -> str:
        """See Case."""
        return self.activation.doubt

    @property
    def resting(self) -> FloatArray:
        """See Case."""
        theory = self.alone
        return resting_by_layer(self.whole, theory.sample_second_moment, theory.shares)

    @property
    def selu_weights(self) -> Iterator[tuple[int | None, float, str]]:
        """See Case."""
        if self.layer.activation != "selu":
            return
        init = summary_of(self.stack).init
        if self.width is not None:
            yield None, self.layer.square_gain, init
            return
        for first, _, layer in self.stack.equal_layers():  # each has weights of its own
            if layer.activation == "selu":
                yield first, layer.square_gain, init

    def pre_second_moments(self, second_moment: FloatArray) -> FloatArray:
        """See Case."""
        return pre_second_moments(self.whole, second_moment)

    @property
    def target_layer(self) -> int:
        """See Case. That of the activation's own target is the last that has this activation."""
        reads_out = self.stack.read_out is not None
        return self.bounds.layer_of_target(self.depth, reads_out=reads_out)

    @property
    def fluctuation(self) -> FloatArray:
        """Standard deviation between networks of the log second moment, (limit + 1,)."""
        return self._of_one_sample[0]

    @property
    def likely_second_moment(self) -> FloatArray:
        """The second moment at the width of the stack, (limit + 1,), at infinite width where first
        order is not trusted."""
        return self._of_one_sample[1]

    @property
    def _of_one_sample(self) -> tuple[FloatArray, FloatArray]:
        longer = self._longer
        # Only if somebody has asked for it: the whole of a deep stack takes far longer.
        if longer is not None and self.limit <= longer.limit:
            theory = longer.theory
            if "of_one_sample" in vars(theory):
                fluctuation, second = theory.of_one_sample
                return fluctuation[: self.limit + 1], second[: self.limit + 1]
        return self.theory.of_one_sample

    @property
    def corrected(self) -> FiniteWidth:
        """Theory of the layers 0..limit at the width of the stack."""
        return self.theory.corrected

    @property
    def expected(self) -> Mapping[str, FloatArray]:
        """Theory of the statistics at the width of the stack, (limit + 1,), NaN where unknown."""
        return self.corrected.expected

    @property
    def erased(self) -> BoolArray:
        """The layers, (limit + 1,), that are exactly 0 in all networks whatever the inputs: their
        weights are 0, and no number is too small."""
        zero: BoolArray = self.alone.statistics["zero_samples"] == 1
        return zero & (not self.inputs.silent)

    @property
    def silent(self) -> FloatArray:
        """Share of the networks of which some layer so far is 0 for every sample, (limit + 1,)."""
        if self.erased.any():
            return self.erased.astype(float)
        narrowest = min(layer.fan_out for _, _, layer in self.whole.equal_layers())
        if not self.activation.flat or narrowest >= WIDE:
            return np.zeros(self.limit + 1)
        # Nothing is known of signals that are too small to square.
        squared = (self.alone.pre_second_moment > 0) | self.inputs.silent
        return np.where(squared, self.theory.silent, 0.0)

    @property
    def outlook(self) -> Outlook:
        """What becomes of the signal if the stack went on for ever; of a kind "unknown" too."""
        return self.theory.outlook

    @property
    def gaps(self) -> Iterator[str]:
        """See Case."""
        if self.outlook.kind == "unknown":
            yield _no_theory(self.activation)
        read_out = self.stack.read_out
        if read_out is None or not math.isnan(self.predicted("second_moment")[self.depth]):
            return
        last = resolve(read_out.activation)
        if last.doubt:
            yield _no_theory(last, " of the last layer")

    def predicted(self, name: str) -> FloatArray:
        """Return theory of a statistic, (limit + 1,), NaN where there is none."""
        found = self.prediction.statistics.get(name)
        return self.unknown if found is None else found


def _no_theory(activation: Activation, place: str = "") -> str:
    where = f" beyond ±{activation.reach:g}" if activation.reach else ""
    return f"{NO_THEORY}{place}{where}: {activation.doubt}; measured values are judged"
