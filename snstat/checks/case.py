"""What a rule receives: one network, its theory, and the measured values if there is a run."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeVar

import numpy as np

from snstat.checks.bounds import Bounds
from snstat.checks.branch import Branch
from snstat.checks.certainty import log_strays, share_strays, strays
from snstat.checks.obstacle import MEASURED_NONE, NO_GRADIENTS, Obstacle
from snstat.network.written import Written
from snstat.results import GRADIENT, SHARES, BoolArray, FloatArray, InputMoments, Outlook, Run

Result = TypeVar("Result")


@dataclass(frozen=True)
class Case(ABC):
    """One network to judge. Cases are equal if theory of them and bounds are.

    `run` is None for a network that is only thought of, as a remedy. Theory goes on to `limit`,
    the depth limit of the bounds; what was seen ends with the network.
    """

    subject: Hashable
    batch: int
    inputs: InputMoments
    bounds: Bounds
    run: Run | None = field(default=None, compare=False)
    # What the run is compared with, None for nothing; drawn from the same seed or not.
    baseline: Run | None = field(default=None, compare=False)
    same_seed: bool = field(default=False, compare=False)
    # Returns the moments of the same data standardized, None where they cannot be had.
    standardized: Callable[[], InputMoments | None] = field(default=lambda: None, compare=False)
    # What a network was read from, where it is at hand.
    written: Written | None = field(default=None, compare=False, repr=False)
    # Called before each evaluation of a rule; a search for remedies makes many.
    tick: Callable[[], None] = field(default=lambda: None, compare=False)
    # Results, shared by all cases made from one.
    _results: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    # ------------------------ what theory says of a network; a kind of case that knows less says so
    @property
    def unknown(self) -> FloatArray:
        """What stands for theory that there is none of, (limit + 1,)."""
        return np.full(self.limit + 1, math.nan)

    @property
    @abstractmethod
    def depth(self) -> int:
        """The number of layers."""

    @property
    def limit(self) -> int:
        """The layer up to which the signal has to survive: the last one, but for stacks."""
        return self.depth

    @abstractmethod
    def predicted(self, name: str) -> FloatArray:
        """Return theory of a statistic, (limit + 1,), NaN where there is none."""

    @property
    @abstractmethod
    def gradients(self) -> FloatArray:
        """Ln of the squared gradients over that of the last layer, (depth + 1,), by theory."""

    @property
    @abstractmethod
    def units(self) -> FloatArray:
        """The number of units of every layer, (depth + 1,)."""

    @property
    def fluctuation(self) -> FloatArray:
        """Standard deviation between networks of the log second moment, (limit + 1,)."""
        return self.unknown

    @property
    def trial_fluctuation(self) -> FloatArray:
        """The spread of a batch's second moment between trials, relative to it, (limit + 1,)."""
        return self.unknown

    @property
    def largest(self) -> FloatArray:
        """About the largest absolute activation by theory, (limit + 1,)."""
        return self.unknown

    @property
    def compares(self) -> bool:
        """Whether SN501 compares what was seen with theory: where that knows how far trials spread,
        which those of few narrow networks do not tell."""
        return True

    @property
    def outlook(self) -> Outlook:
        """What becomes of the signal if the network went on for ever; of a kind "unknown" too."""
        return Outlook("unknown")

    @property
    def no_limit(self) -> Obstacle | None:
        """Why `outlook` is not known, None if it is."""
        why = Obstacle("theory does not know the limit of the signal", plain=True)
        return why if self.outlook.kind == "unknown" else None

    @property
    def of_files(self) -> Obstacle | None:
        """Why rules that need theory or the weights say nothing, None if both are at hand."""
        return None

    @property
    def doubt(self) -> str:
        """Why theory does not know the activation, "" if it does."""
        return ""

    @property
    def erased(self) -> BoolArray:
        """The layers, (limit + 1,), that are exactly 0 in all networks, as their weights are."""
        return np.zeros(self.limit + 1, dtype=bool)

    @property
    def aside(self) -> BoolArray:
        """The layers, (limit + 1,), of the branches of sums: what they lose, the sum still has."""
        return np.zeros(self.limit + 1, dtype=bool)

    @property
    def silent(self) -> FloatArray:
        """Share of the networks of which some layer so far is 0 for every sample, (limit + 1,)."""
        return np.zeros(self.limit + 1)

    @property
    def resting(self) -> FloatArray:
        """Share of units at which the level part of their activation reaches to 0, (limit + 1,)."""
        return np.zeros(self.limit + 1)

    def pre_second_moments(self, second_moment: FloatArray) -> FloatArray:
        """Return E[z²] of pre-activations from E[x²], both (limit + 1,), NaN where not known."""
        return np.full_like(second_moment, math.nan)

    @property
    def target(self) -> tuple[float, float] | None:
        """The mean and variance that the signal should have: only those that are asked for."""
        return self.bounds.asked

    @property
    @abstractmethod
    def target_layer(self) -> int:
        """The layer by which the target is to be reached."""

    @property
    def selu_weights(self) -> Iterable[tuple[int | None, float, str]]:
        """Of layers with SELU: number (None for all), sum of squared weights, initialiser."""
        return ()

    @property
    def goal(self) -> tuple[float, float] | None:
        """The mean and variance that the limit of the signal should have, None for no target."""
        return self.target

    @property
    def repeated(self) -> tuple[int, int]:
        """How many layers come before those repeated on and on in `outlook`, and the last one."""
        return 0, self.limit

    @property
    def spread_between_trials(self) -> tuple[FloatArray, FloatArray]:
        """The deviation between trials of the log second moment as it was seen, and its least that
        is certain, both (limit + 1,): NaN where `fluctuation` is known, and of stacks."""
        return self.unknown, self.unknown

    @property
    def angles_from(self) -> int:
        """The layer whose cosine is that of the inputs: the input itself, where it has any."""
        return 0

    @property
    def producer(self) -> str:
        """Which call of a module made the first value that is not finite, if that is known."""
        return ""

    @property
    def gaps(self) -> Iterable[str]:
        """Notes on what theory does not know, with the reason. Rules say what they do not judge."""
        return ()

    @property
    def branches(self) -> Iterable[Branch]:
        """The branches of residuals, in the order of their sums; none in a stack."""
        return ()

    @property
    def least_position(self) -> FloatArray:
        """E[x²] of theory at `weakest_position`, over the average, (limit + 1,), NaN without."""
        return self.unknown

    @property
    def lacks_positions(self) -> BoolArray:
        """The layers, (limit + 1,), with several positions that theory does not know."""
        return np.zeros(self.limit + 1, dtype=bool)

    def weakest_position(self, layer: int) -> tuple[int, ...]:  # noqa: ARG002  # nothing is known
        """Return where theory has the least E[x²] of a layer, () where it is not known."""
        return ()

    @property
    def drops(self) -> bool:
        """Whether units are dropped at random."""
        return False

    @property
    def masked_cosine(self) -> FloatArray:
        """The cosine of two passes of one sample with dropout, (limit + 1,), NaN where unknown."""
        return self.unknown

    def weight_gradients(self, gradients: FloatArray) -> FloatArray:
        """Return ln of the mean squares of the gradients of every layer's weights, (depth + 1,), up
        to one constant, from ln of the squared `gradients` of activations, (depth + 1,).

        NaN where it is not known, in layers without weights, and in stacks: see `no_weights`.
        """
        return np.full_like(gradients, math.nan)

    @property
    def no_weights(self) -> Obstacle | None:
        """Why gradients of weights are not compared, None if they are. See `weight_gradients`."""
        return Obstacle("that is about network files; SN101 to SN202 judge stacks", plain=True)

    # ---------------------------------------------------------------------- what rules make of it

    def once(self, name: Hashable, find: Callable[[Self], Result]) -> Result:
        """Return the result of `find`, called `name`, which is called once for equal cases."""
        key = name, self, self.run
        found = self._results.get(key)  # a look-up hashes all that theory depends on
        if found is None:
            found = self._results[key] = (find(self),)
        result: Result = found[0]
        return result

    @property
    def thought(self) -> Self:
        """The same case by theory alone, as remedies are tried out."""
        return replace(self, run=None)

    @property
    def seen_gradients(self) -> FloatArray:
        """Ln of the gradients that were measured, (depth + 1,), NaN where none were."""
        with np.errstate(divide="ignore"):
            logs: FloatArray = np.log(self.seen(GRADIENT)[: self.depth + 1])
        return logs

    @property
    def expected_gradients(self) -> FloatArray:
        """Ln of the gradients that a table shows beside those that were measured, (depth + 1,):
        those at the width of the run, where they are known, else theory of infinite width."""
        if self.run is None or GRADIENT not in self.run.statistics:
            return self.gradients
        expected = self.run.statistics[GRADIENT].expected
        with np.errstate(divide="ignore"):
            logs = np.log(expected[: self.depth + 1])
        found = self.gradients.copy()
        found[: len(logs)] = np.where(np.isfinite(logs), logs, found[: len(logs)])
        return found

    @property
    def no_gradients(self) -> Obstacle | None:
        """Why nothing is known of gradients before the last layer, None if something is."""
        if not (np.isnan(self.gradients) & np.isnan(self.seen_gradients))[:-1].all():
            return None
        return Obstacle(self.why_no_gradients)

    @property
    def why_no_gradients(self) -> str:
        """Why gradients are not known where they are not, and what to try."""
        measured = self.run is not None and GRADIENT in self.run.statistics
        return MEASURED_NONE if measured else NO_GRADIENTS

    @property
    def judges_seen_gradients(self) -> BoolArray:
        """The layers, (depth + 1,), of which the gradient measured is judged; see `judges_seen`."""
        return self._judges_seen(GRADIENT, self.gradients, self.seen_gradients, log_strays)

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
        """Return in which layers, (limit + 1,), what was seen of a statistic is judged: those where
        theory is not known, does not hold, or is left by more than the error allows."""
        if self.run is None:  # at once, because a remedy is looked for among hundreds of such cases
            return np.zeros(self.limit + 1, dtype=bool)
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
        if self.run is None:
            return self.predicted(name)
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
