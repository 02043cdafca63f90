"""Theory of a network of any layers, as its case looks at it: each part is computed once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from snstat.experiment.network_theory import predicted_statistics
from snstat.layers.add import Add
from snstat.layers.alpha_dropout import AlphaDropout
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.dropout import Dropout
from snstat.layers.layer import Layer
from snstat.layers.residual_block import Sum
from snstat.network.network import Network
from snstat.network.sources import sourced
from snstat.results import BoolArray, FloatArray, InputMoments
from snstat.theory.repeated import Limit, layers_within, limit_of
from snstat.theory.walk import Walk, walk

# Kinds that draw masks, those for channels among them.
DROPPING = (Dropout, AlphaDropout)
# Kinds that add what they read.
SUMS = (Sum, Add)


class _Ways(NamedTuple):
    """Which layers a connection passes by, and which one to a sum, which are sums, and which a
    later layer starts from, or the output is."""

    bypassed: BoolArray
    beside_sums: BoolArray
    sums: BoolArray
    taken: BoolArray


class NetworkKnown:
    """Theory of `batch` samples with the moments `inputs` in a network, each part computed once.
    Arrays are (depth + 1,)."""

    def __init__(self, network: Network, batch: int, inputs: InputMoments, *, train: bool) -> None:
        self.network, self.batch, self.inputs, self.train = network, batch, inputs, train

    @cached_property
    def walk(self) -> Walk:
        """Moments, gradients and fluctuations."""
        return walk(self.network, self.batch, self.inputs, train=self.train)

    @cached_property
    def statistics(self) -> Mapping[str, FloatArray]:
        """The statistics of which there is theory, NaN where there is none."""
        return predicted_statistics(self.walk, self.batch, self.inputs)

    @property
    def _layers(self) -> Iterator[Layer]:
        """The layers, those of a repeated block once."""
        return layers_within(self.network.block)

    @cached_property
    def drops(self) -> bool:
        """Whether units are dropped at random."""
        return self.train and any(isinstance(layer, DROPPING) for layer in self._layers)

    @cached_property
    def norms_batches(self) -> bool:
        """Whether batch norm divides by the spread of the batch."""
        return self.train and any(isinstance(layer, BatchNorm) for layer in self._layers)

    @cached_property
    def limit(self) -> Limit | None:
        """Where the signal of the repeated block settles."""
        return limit_of(self.network, self.inputs, self.batch, train=self.train)

    @cached_property
    def masked_cosine(self) -> FloatArray:
        """The cosine of two passes of one sample, with masks of their own: theory of inputs that
        are alike. Unknown beyond batch norm, which sees the difference between samples."""
        if not self.drops or any(isinstance(layer, BatchNorm) for layer in self._layers):
            return np.full(self.network.depth + 1, math.nan)
        alike = replace(self.inputs, cosine=1.0, variance_over_batch=0.0)
        found = walk(self.network, self.batch, alike, train=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            cosine: FloatArray = 1.0 - found.gap / found.second_moment
        return cosine

    @property
    def bypassed(self) -> BoolArray:
        """The layers that a connection from before them to after them passes by, such as those
        within residuals."""
        return self._ways.bypassed

    @cached_property
    def aside(self) -> BoolArray:
        """The layers of the branches of sums, such as residuals: those that a connection to a sum
        passes by, and those of all ways that meet in one."""
        bypassed, beside_sums, sums, _ = self._ways
        # The first layer from each on that is on all ways.
        ends = np.where(bypassed, len(sums), np.arange(len(sums)))
        meeting = np.minimum.accumulate(ends[::-1])[::-1]
        found: BoolArray = beside_sums | (bypassed & sums[meeting])
        return found

    @cached_property
    def _ways(self) -> _Ways:
        """The connections between layers. Factors do not count: a sum whose shortcut has a factor
        of 0 loses itself what its branch does."""
        taken = np.zeros(self.network.depth + 1, dtype=bool)
        taken[-1] = True
        sums = np.zeros(self.network.depth + 1, dtype=bool)
        changes = np.zeros((2, self.network.depth + 2), dtype=np.int64)
        for row in sourced(self.network.block):
            number, is_sum = row.number, isinstance(row.layer, SUMS)
            if is_sum:
                sums[number] = True
            for source in row.sources:
                taken[source] = True
                changes[: 1 + is_sum, source + 1] += 1
                changes[: 1 + is_sum, number] -= 1
        passed = np.cumsum(changes[:, :-1], axis=1) > 0
        return _Ways(passed[0], passed[1], sums, taken)

    @cached_property
    def unused(self) -> list[int]:
        """The layers that the output does not depend on, in order: no later layer starts from them,
        or only such ones."""
        taken = self._ways.taken
        if taken.all():  # as nearly always, and networks are deep
            return []
        used = np.zeros_like(taken)
        used[-1] = True
        for row in reversed([*sourced(self.network.block)]):
            if used[row.number]:
                used[list(row.sources)] = True
        return [int(number) for number in np.flatnonzero(~used) if number]

    @cached_property
    def several(self) -> BoolArray:
        """The layers behind the input that have several positions."""
        rows = (row.after.positions > 1 for row in self.network.rows())
        return np.array([False, *rows])

    @cached_property
    def units(self) -> FloatArray:
        """The units of every layer."""
        rows = (row.after.units for row in self.network.rows())
        return np.array([self.network.input.units, *rows], dtype=np.float64)
