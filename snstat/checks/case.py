"""What a rule receives: one stack, its theory, and the measured values if there is a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from snstat.activation import Activation, resolve
from snstat.checks.bounds import Bounds
from snstat.checks.certainty import log_strays, share_strays, strays
from snstat.layers.dense import DenseLayer
from snstat.network.stack import Stack
from snstat.results import GRADIENT, BoolArray, FloatArray, InputMoments, Outlook, Run
from snstat.theory.finite_width import FiniteWidth, finite_width, fluctuation_of
from snstat.theory.outlook import outlook
from snstat.theory.predict import Prediction, predict
from snstat.theory.silence import silence

# So many units are never all 0: with one sample, as half of them are, once in 2⁶⁴ layers.
WIDE = 64
# Cases made from another one that are kept.
KEPT = 64
# Statistics that need more than one sample.
PAIRS = frozenset({"variance_over_batch", "cosine", "dead_fraction"})
# Statistics between 0 and 1 with few possible values.
SHARES = frozenset({"dead_fraction", "saturated_fraction", "zero_samples"})


@dataclass(frozen=True, eq=False)
class Case:
    """One stack to judge, known by its identity.

    `run` is None for a stack that is only thought of, as a remedy. Theory goes on to the depth
    limit of the bounds; what was seen ends with the stack.
    """

    stack: Stack
    batch: int
    inputs: InputMoments
    bounds: Bounds
    run: Run | None = None
    # Returns the moments of the same data standardized, None where they cannot be had.
    standardized: Callable[[], InputMoments | None] = lambda: None
    # Called before each evaluation of a rule; a search for remedies makes many.
    tick: Callable[[], None] = lambda: None
    # What rules found, by code: see `look`.
    findings: dict[str, Any] = field(default_factory=dict, repr=False)
    _longer: Case | None = None
    _made: dict[Hashable, Case] = field(default_factory=dict, repr=False)

    def changed(self, **changes: Any) -> Case:
        """Return the same case with another `weight_gain` or `weight_std`, `bias_std`, `depth` or
        `width`, other moments of the `inputs` or another `number_format`, not yet run."""
        # Several findings try out the same changes.
        key = tuple(sorted(changes.items()))
        if key not in self._made:
            if len(self._made) >= KEPT:
                del self._made[next(iter(self._made))]
            self._made[key] = self._changed(changes)
        return self._made[key]

    def _changed(self, changes: dict[str, Any]) -> Case:
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
        return replace(
            self,
            stack=stack,
            inputs=inputs,
            bounds=bounds,
            run=None,
            findings={},
            _longer=longer,
            _made={},
        )

    @cached_property
    def thought(self) -> Case:
        """The same case by theory alone, as remedies are tried out."""
        return self if self.run is None else replace(self, run=None, findings={}, _made={})

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
        found = {layer.fan_out for _, _, layer in self.stack.segments()}
        return found.pop() if len(found) == 1 else None

    @property
    def target(self) -> tuple[float, float] | None:
        """The mean and variance that the signal should have, None where there is no such target."""
        return self.bounds.target(self.layer.activation)

    @cached_property
    def prediction(self) -> Prediction:
        """Theory of the layers 0..limit."""
        return predict(self.whole, self.batch, self.inputs)

    @cached_property
    def alone(self) -> Prediction:
        """Theory of the layers 0..limit that one sample is enough for: pairs take far longer."""
        return self.prediction.alone

    @cached_property
    def own_prediction(self) -> Prediction:
        """Theory of the layers 0..depth that one sample is enough for."""
        if self.limit == self.depth:
            return self.alone
        return predict(self.stack, self.batch, self.inputs).alone

    @property
    def gradients(self) -> FloatArray:
        """Ln of the squared gradients over that of the last layer, (depth + 1,), by theory."""
        return self.own_prediction.log_gradient

    @cached_property
    def seen_gradients(self) -> FloatArray:
        """Ln of the gradients that were measured, (depth + 1,), NaN where none were."""
        with np.errstate(divide="ignore"):
            logs: FloatArray = np.log(self.seen(GRADIENT)[: self.depth + 1])
        return logs

    @cached_property
    def judges_seen_gradients(self) -> BoolArray:
        """The layers, (depth + 1,), of which the gradient measured is judged; see `judges_seen`."""
        theory, seen = self.gradients, self.seen_gradients
        there: BoolArray = ~np.isnan(seen)
        if self.run is None or not there.any() or not self.theory_holds:
            return there
        stderr = np.full(self.depth + 1, math.nan)
        measured = self.run.statistics[GRADIENT].stderr
        stderr[: len(measured)] = measured
        far = log_strays(seen, stderr, theory, self.run.simulation.trials)
        return there & (np.isnan(theory) | far)

    @cached_property
    def fluctuation(self) -> FloatArray:
        """Standard deviation between networks of the log second moment, (limit + 1,)."""
        longer = self._longer
        # Only if somebody has asked for it: the whole of a deep stack takes far longer.
        if longer is not None and "fluctuation" in longer.__dict__ and self.limit <= longer.limit:
            return longer.fluctuation[: self.limit + 1]
        return fluctuation_of(self.whole, self.inputs, self.alone)

    @cached_property
    def corrected(self) -> FiniteWidth:
        """Theory of the layers 0..limit at the width of the stack."""
        return finite_width(self.whole, self.batch, self.inputs, self.prediction)

    @property
    def expected(self) -> Mapping[str, FloatArray]:
        """Theory of the statistics at the width of the stack, (limit + 1,), NaN where unknown."""
        return self.corrected.expected

    @cached_property
    def erased(self) -> BoolArray:
        """The layers, (limit + 1,), that are exactly 0 in all networks whatever the inputs: their
        weights are 0, and no number is too small."""
        zero: BoolArray = self.alone.statistics["zero_samples"] == 1
        return zero & (not self.inputs.silent)

    @cached_property
    def silent(self) -> FloatArray:
        """Share of the networks of which some layer so far is 0 for every sample, (limit + 1,)."""
        if self.erased.any():
            return self.erased.astype(float)
        narrowest = min(layer.fan_out for _, _, layer in self.whole.segments())
        if not self.activation.flat or narrowest >= WIDE:
            return np.zeros(self.limit + 1)
        return silence(self.whole, self.batch, self.prediction).share

    @cached_property
    def outlook(self) -> Outlook:
        """What becomes of the signal if the stack went on for ever; of a kind "unknown" too."""
        return outlook(self.whole, self.alone) or Outlook("unknown")

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
        theory, seen = self.predicted(name), self.seen(name)
        there: BoolArray = ~np.isnan(seen)
        if self.run is None or not there.any() or not self.theory_holds:
            return there
        stderr = np.full(self.limit + 1, math.nan)
        measured = self.run.statistics[name].stderr
        stderr[: len(measured)] = measured
        leaves = share_strays if name in SHARES else strays
        far = leaves(seen, stderr, theory, self.run.simulation.trials)
        return there & (np.isnan(theory) | far)

    def known(self, name: str) -> FloatArray:
        """Return what is judged of a statistic, (limit + 1,): theory, or what was seen (see
        `judges_seen`), NaN where there is neither."""
        return np.where(self.judges_seen(name), self.seen(name), self.predicted(name))

    def beside(self, name: str, layer: int) -> str:
        """Return how a value of `known` came about, in brackets, what is judged first:
        "theory; seen 0.99±0.01" or "seen 0.92±0.05; theory 0.17"."""
        words = []
        theory, value = float(self.predicted(name)[layer]), float(self.seen(name)[layer])
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
