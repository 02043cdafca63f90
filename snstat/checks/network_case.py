"""The case of a network of any layers: its theory, and the networks that remedies lead to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from snstat.activation import resolve
from snstat.checks.branch import Branch
from snstat.checks.case import Case
from snstat.checks.certainty import spread_of_logs
from snstat.checks.network_gaps import not_used, of_batch_norm, without_theory
from snstat.checks.network_known import NetworkKnown
from snstat.checks.obstacle import Obstacle
from snstat.layers.activation import Activation
from snstat.layers.container import Container
from snstat.layers.dense import Dense
from snstat.layers.dense_layer import LINEAR
from snstat.layers.layer import Layer
from snstat.layers.options import WeightOptions, defaults
from snstat.layers.residual_block import Sum
from snstat.network.network import Network
from snstat.network.rows import Row
from snstat.network.sources import sourced
from snstat.results import (
    GRADIENT,
    OF_POSITIONS,
    BoolArray,
    FloatArray,
    InputMoments,
    Outlook,
    Run,
)
from snstat.results.theory_end import place
from snstat.theory.ends import told
from snstat.theory.profiles import profiles
from snstat.theory.repeated import (
    LEAST_TIMES,
    layers_within,
    repeated_block,
)
from snstat.theory.saturation import resting_fraction
from snstat.theory.weight_gradients import weight_gradients

# Networks of which theory is kept.
KEPT = 64
SELU = "selu"


@dataclass(frozen=True)
class NetworkCase(Case):
    """One network of any layers to judge: see Case. `train` is whether dropout and the statistics
    of batches are on."""

    subject: Network
    train: bool = field(default=True, kw_only=True)
    # Theory, shared by all cases made from one.
    _theories: Callable[..., NetworkKnown] = field(
        default_factory=lambda: lru_cache(maxsize=KEPT)(NetworkKnown), compare=False, repr=False
    )

    def changed(self, network: Network, inputs: InputMoments | None = None) -> NetworkCase:
        """Return the same case of another network, with other moments of the inputs, not yet
        run."""
        return replace(self, subject=network, inputs=inputs or self.inputs, run=None)

    @property
    def network(self) -> Network:
        """The network."""
        return self.subject

    @property
    def theory(self) -> NetworkKnown:
        """Theory of all layers."""
        return self._theories(self.network, self.batch, self.inputs, train=self.train)

    @property
    def depth(self) -> int:
        """See Case."""
        return self.network.depth

    @property
    def _recorded(self) -> Run | None:
        """The run whose theory stands for one that would need its data, None where it does not."""
        inputs, shape = self.inputs, self.network.input
        one_by_one = inputs.norms is not None or (shape.grid and not shape.tokens)
        return self.run if one_by_one and not inputs.drawn and inputs.samples is None else None

    def predicted(self, name: str) -> FloatArray:
        """See Case."""
        if self._recorded is not None:
            found = getattr(self._recorded.statistics.get(name), "theory", None)
        else:
            found = self.theory.statistics.get(name)
        return self.unknown if found is None else self._judged(name, found)

    def seen(self, name: str) -> FloatArray:
        """See Case."""
        return self._judged(name, super().seen(name))

    def _judged(self, name: str, values: FloatArray) -> FloatArray:
        """Return the values of a statistic, NaN in layers where it is not judged: positions may
        become alike within a residual, whose sum keeps what they differ by."""
        if name not in OF_POSITIONS or np.isnan(values).all():
            return values
        return np.where(self.theory.bypassed, math.nan, values)

    @property
    def gradients(self) -> FloatArray:
        """See Case."""
        if self._recorded is None:
            return self.theory.walk.log_gradient
        found = self.unknown
        if GRADIENT in self._recorded.statistics:
            with np.errstate(divide="ignore"):
                found = np.log(self._recorded.statistics[GRADIENT].theory)
        return found

    @property
    def units(self) -> FloatArray:
        """See Case."""
        return self.theory.units

    @property
    def fluctuation(self) -> FloatArray:
        """See Case."""
        with np.errstate(invalid="ignore"):
            found: FloatArray = np.sqrt(self.theory.walk.variance)
        return found

    @property
    def trial_fluctuation(self) -> FloatArray:
        """See Case. That of one sample, which is at least that of a batch."""
        return self.fluctuation

    @property
    def outlook(self) -> Outlook:
        """See Case. That of the block that is repeated, where its signal settles."""
        found = self.theory.limit
        if found is None:
            return super().outlook
        growth = None if math.isnan(found.growth_per_layer) else found.growth_per_layer
        kind = "neutral" if found.keeps else "converges"
        return Outlook(kind, found.mean, found.variance, gradient_growth=growth)

    @property
    def repeated(self) -> tuple[int, int]:
        """See Case."""
        found = self.theory.limit
        return super().repeated if found is None else (found.first, found.last)

    @property
    def goal(self) -> tuple[float, float] | None:
        """See Case. A repeated block that has no other activation than SELU has SELU's."""
        found = repeated_block(self.network)
        if self.target is not None or found is None:
            return self.target
        names = {_activation_of(layer) for layer in layers_within(found[1])} - {None, LINEAR}
        return resolve(SELU).target if names == {SELU} else None

    @property
    def erased(self) -> BoolArray:
        """See Case."""
        zero: BoolArray = self.predicted("second_moment") == 0
        return zero & (not self.inputs.silent)

    @property
    def silent(self) -> FloatArray:
        """See Case. Where it is not 1, it is not known, and dead units that were seen tell it.
        What a connection passes by may be 0, as branches are that begin so."""
        return (self.erased & ~self.theory.bypassed).astype(float)

    @property
    def aside(self) -> BoolArray:
        """See Case."""
        return self.theory.aside

    @property
    def resting(self) -> FloatArray:
        """See Case: of centred Gaussian pre-activations, whatever their size."""
        return np.array([0.0, *(_resting(row.activation) for row in self.network.rows())])

    @property
    def spread_between_trials(self) -> tuple[FloatArray, FloatArray]:
        """See Case."""
        if self.run is None:
            return super().spread_between_trials
        measured, trials = self.run.statistics["second_moment"], self.run.simulation.trials
        found, least = spread_of_logs(measured.estimate, measured.stderr, trials)
        missing = np.isnan(self.fluctuation)
        return np.where(missing, found, math.nan), np.where(missing, least, math.nan)

    @property
    def branches(self) -> Iterator[Branch]:
        """See Case."""
        for row in sourced(self.network.block):
            if isinstance(row.layer, Sum):
                yield Branch(row.number, row.sources[1], row.layer.scale)

    @property
    def angles_from(self) -> int:
        """See Case. Tokens have no angles: the first layer that has any counts in their place."""
        if not self.network.input.tokens:
            return 0
        known = np.flatnonzero(~np.isnan(self.known("cosine")))
        return int(known[0]) if known.size else 0

    @property
    def least_position(self) -> FloatArray:
        """See Case. Within a residual it is not judged: the sum keeps what is there."""
        return np.where(self.theory.bypassed, math.nan, self.theory.walk.least_position)

    @property
    def lacks_positions(self) -> BoolArray:
        """See Case."""
        known = self.theory
        missing: BoolArray = known.several & ~known.bypassed & np.isnan(known.walk.second_moment)
        return missing

    def weakest_position(self, layer: int) -> tuple[int, ...]:
        """See Case."""
        known = self.theory
        found = profiles(known.network, known.batch, known.inputs, [layer], train=known.train)
        return found[layer].weakest

    @property
    def drops(self) -> bool:
        """Whether units are dropped at random."""
        return self.theory.drops

    @property
    def masked_cosine(self) -> FloatArray:
        """See Case."""
        return self.theory.masked_cosine

    @property
    def gaps(self) -> Iterator[str]:
        """See Case."""
        ends = self._recorded.theory_ends if self._recorded else told(self.theory.walk.ends)
        missing = int(np.isnan(self.predicted("second_moment")[1:]).sum())
        yield from without_theory(ends, missing, self.depth, self._place)
        yield from not_used(self.theory.unused, self._place)
        # On a grid, entries are many.
        if self.train and not self.network.input.grid and self.theory.norms_batches:
            yield from of_batch_norm(self.batch)

    def _place(self, layer: int) -> str:
        if self.run is None or layer > self.run.depth:
            return f"layer {layer}"
        row = self.run.row(layer)
        return place(layer, row.name, row.kind)

    @property
    def no_limit(self) -> Obstacle | None:
        """See Case."""
        found = repeated_block(self.network)
        if found is None:
            only = f"only a block that is repeated {LEAST_TIMES} times or more"
            return Obstacle(f"{only} has a limit")
        if self.outlook.kind != "unknown":
            return None
        name = self.network.block.entries[found[0]].name or found[0]
        return Obstacle(f"as far as theory knows, the signal of block {name} has no limit")

    @property
    def no_weights(self) -> Obstacle | None:
        """See Case. Of fewer than two layers with weights there is nothing to say."""
        if _counted(self.network.block, WeightOptions) >= 2:
            return None
        return Obstacle("fewer than two layers have weights", plain=True)

    def weight_gradients(self, gradients: FloatArray) -> FloatArray:
        """See Case."""
        return weight_gradients(
            self.network, gradients, self.known("mean"), self.known("second_moment")
        )

    @property
    def target(self) -> tuple[float, float] | None:
        """See Case. A uniform stack has its activation's while remedies are tried, not as a run."""
        stack = self.network.uniform() if self.run is None else None
        return self.bounds.asked if stack is None else self.bounds.target(stack.activation)

    @property
    def target_layer(self) -> int:
        """See Case."""
        stack = self.network.uniform()
        read_out = None if stack is None else stack.read_out
        return self.bounds.layer_of_target(self.depth, reads_out=read_out is not None)

    @property
    def selu_weights(self) -> Iterator[tuple[int | None, float, str]]:
        """See Case. The activation may be the layer after the weights."""
        before: Row | None = None
        for row, reads in zip(self.network.rows(), sourced(self.network.block), strict=True):
            own = row
            if isinstance(row.layer, Activation) and before and reads.sources == (before.number,):
                own = before if before.activation == LINEAR else row
            layer = own.layer
            if isinstance(layer, Dense) and row.activation == SELU:
                weights = layer.at(own.before[0].channels)
                init, _ = defaults(layer.activation_name, layer.init, None, None)
                if self.run is not None and self.run.given is not None:
                    init = "mean of its units"
                yield own.number, weights.square_gain, init
            before = row


def _activation_of(layer: Layer) -> str | None:
    """Return the name of the activation of a layer, None for a kind without one."""
    given = getattr(layer, "activation", None)
    return None if given is None else resolve(given).name


def _resting(activation: str | None) -> float:
    if activation is None:
        return 0.0
    return float(resting_fraction(resolve(activation), np.ones(())))


def _counted(layer: Layer, kind: type) -> int:
    """Return how many layers of a kind a layer holds, repetitions included, without unrolling."""
    if isinstance(layer, Container):
        return layer.repetitions * sum(_counted(entry.layer, kind) for entry in layer.parts)
    return int(isinstance(layer, kind))
