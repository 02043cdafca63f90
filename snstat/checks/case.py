"""What a rule receives: one stack, its theory, and the measured values if there is a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from snstat.activation import Activation, resolve
from snstat.checks.bounds import Bounds
from snstat.checks.certainty import log_strays, share_strays, strays
from snstat.layers.dense import DenseLayer
from snstat.network.stack import Stack
from snstat.results import GRADIENT, SHARES, BoolArray, FloatArray, InputMoments, Outlook, Run
from snstat.theory.finite_width import FiniteWidth
from snstat.theory.known import Known, theories
from snstat.theory.prediction import Prediction

# So many units are never all 0: with one sample, as half of them are, once in 2⁶⁴ layers.
WIDE = 64
# Statistics that need more than one sample.
PAIRS = frozenset({"variance_over_batch", "cosine", "dead_fraction"})

Result = TypeVar("Result")


@dataclass(frozen=True)
class Case:
    """One stack to judge. Cases are equal if theory of them and bounds are.

    `run` is None for a stack that is only thought of, as a remedy. Theory goes on to the depth
    limit of the bounds; what was seen ends with the stack.
    """

    stack: Stack
    batch: int
    inputs: InputMoments
    bounds: Bounds
    run: Run | None = field(default=None, compare=False)
    # What the run is compared with, drawn from the same seed or not; None for nothing.
    baseline: Run | None = field(default=None, compare=False)
    same_seed: bool = field(default=False, compare=False)
    # Returns the moments of the same data standardized, None where they cannot be had.
    standardized: Callable[[], InputMoments | None] = field(default=lambda: None, compare=False)
    # Called before each evaluation of a rule; a search for remedies makes many.
    tick: Callable[[], None] = field(default=lambda: None, compare=False)
    # Results and theory, shared by all cases made from one.
    _results: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)
    _theories: Callable[[Stack, int, InputMoments], Known] = field(
        default_factory=theories, compare=False, repr=False
    )
    _longer: Case | None = field(default=None, compare=False, repr=False)

    def changed(self, **changes: Any) -> Case:
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
        return replace(self, stack=stack, inputs=inputs, bounds=bounds, run=None, _longer=longer)

    def once(self, name: Hashable, find: Callable[[Case], Result]) -> Result:
        """Return the result of `find`, called `name`, which is called once for equal cases."""
        key = name, self, self.run
        if key not in self._results:
            self._results[key] = find(self)
        result: Result = self._results[key]
        return result

    @property
    def thought(self) -> Case:
        """The same case by theory alone, as remedies are tried out."""
        return replace(self, run=None)

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
    def seen_gradients(self) -> FloatArray:
        """Ln of the gradients that were measured, (depth + 1,), NaN where none were."""
        with np.errstate(divide="ignore"):
            logs: FloatArray = np.log(self.seen(GRADIENT)[: self.depth + 1])
        return logs

    @property
    def judges_seen_gradients(self) -> BoolArray:
        """The layers, (depth + 1,), of which the gradient measured is judged; see `judges_seen`."""
        return self._judges_seen(GRADIENT, self.gradients, self.seen_gradients, log_strays)

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

    def predicted(self, name: str) -> FloatArray:
        """Return theory of a statistic, (limit + 1,), NaN where there is none."""
        pairs = name in PAIRS and (name != "dead_fraction" or self.activation.flat)
        return (self.prediction if pairs else self.alone).statistics[name]

    def seen(self, name: str) -> FloatArray:
        """Return the estimates of a statistic, (limit + 1,), NaN where nothing was seen."""
        values = np.full(self.limit + 1, math.nan)
        if self.run is not None and name in self.run.statistics:
            estimate = self.run.statistics[name].estimate
            values[: len(estimate)] = estimate
        return values

    @property
    def theory_holds(self) -> bool:
        """Whether theory knows the norm of every sample, as it does not of old saved runs."""
        inputs = self.inputs
        return inputs.drawn or inputs.length_variance == 0.0 or inputs.norms is not None

    def judges_seen(self, name: str) -> BoolArray:
        """Return of which layers, (limit + 1,), what was seen of a statistic is judged.

        Those are the layers where theory is not known, or does not hold, or where the estimate
        leaves it by more than its error allows.
        """
        leaves = share_strays if name in SHARES else strays
        return self._judges_seen(name, self.predicted(name), self.seen(name), leaves)

    def _judges_seen(
        self, name: str, theory: FloatArray, seen: FloatArray, leaves: Callable[..., BoolArray]
    ) -> BoolArray:
        there: BoolArray = ~np.isnan(seen)
        if self.run is None or not there.any() or not self.theory_holds:
            return there
        stderr = np.full(len(theory), math.nan)
        measured = self.run.statistics[name].stderr
        stderr[: len(measured)] = measured
        far = leaves(seen, stderr, theory, self.run.simulation.trials)
        return there & (np.isnan(theory) | far)

    def known(self, name: str) -> FloatArray:
        """Return what is judged of a statistic, (limit + 1,): theory, or what was seen (see
        `judges_seen`), NaN where there is neither."""
        return np.where(self.judges_seen(name), self.seen(name), self.predicted(name))

    def reference(self, name: str, layer: int) -> float:
        """Return the theory that a table shows beside the estimate: that of the run at its width,
        where it is known, else that of infinite width."""
        if self.run is not None and name in self.run.statistics and layer <= self.depth:
            value = float(self.run.statistics[name].reference[layer])
            if not math.isnan(value):
                return value
        return float(self.predicted(name)[layer])

    def beside(self, name: str, layer: int) -> str:
        """Return how a value of `known` came about, in brackets, what is judged first:
        "theory; seen 0.99±0.01" or "seen 0.92±0.05; theory 0.17"."""
        words = []
        theory, value = self.reference(name, layer), float(self.seen(name)[layer])
        from_seen = bool(self.judges_seen(name)[layer])
        if not math.isnan(theory):
            words.append(f"theory {theory:.4g}" if from_seen else "theory")
        if self.run is not None and not math.isnan(value):
            error = float(self.run.statistics[name].error[layer])
            spread = "" if math.isnan(error) else f"±{error:.1g}"
            words.append(f"seen {value:.4g}{spread}")
        if from_seen:
            words.reverse()
        return f" ({'; '.join(words)})" if words else ""
