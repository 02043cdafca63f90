"""The general sampler of a population of units: the limit of infinite width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snstat.engine.general.draw import LayerDraw
from snstat.engine.general.grid import on_grid
from snstat.engine.general.growing import Growing, Numbers, held
from snstat.engine.general.order import Order
from snstat.engine.general.sampler import General
from snstat.engine.general.workshop import Workshop
from snstat.engine.inputs import Inputs
from snstat.engine.kernels import random
from snstat.layers.draw import Pass, Tied, Values
from snstat.layers.initialisers import PLAIN, STANDARDIZED
from snstat.layers.patches import by_patches
from snstat.layers.weights import Weights
from snstat.layers.window import Window
from snstat.network.population import OwnLayer, Population
from snstat.network.rows import Row
from snstat.network.run_settings import AUTO


class PopulationSampler(General):
    """The network `wide` of a population, with Gaussian weights of the gains of its own network.

    A product with a matrix is sampled from the mean over the population of products of its inputs,
    or by drawing the matrix, whichever takes less work: both have one law.
    """

    def __init__(
        self,
        population: Population,
        inputs: Inputs,
        trials: int,
        seed: int,
        dtype: str,
        *,
        train: bool,
        sampler: str = AUTO,
        backward: bool = False,
    ) -> None:
        self.population = population
        super().__init__(
            population.own, inputs, trials, seed, dtype,
            train=train, sampler=sampler, backward=backward,
        )  # fmt: skip
        # The inputs are those of the network itself.
        self.network, self.order = population.wide, Order(population.wide.block)

    def first(self, number: int) -> Values:
        """See General. Units stand in as many copies as the population says."""
        x = self.inputs.sample(number, self.seed, self.dtype.name)
        values, copies = on_grid(x, self.population.own.input), self.population.copies
        return values if copies == 1 else np.repeat(values, copies, axis=0)

    def draw(self, trial: int, number: int) -> LayerDraw:
        """See General."""
        own = self.population.layers[number - 1]
        return PopulationDraw(self.workshop, trial, number, own)

    def beside(self, row: Row) -> int:
        """See General. There are more heads."""
        return super().beside(row) * self.population.growth(row)

    def held(self, row: Row) -> int:
        """See General."""
        return held(row, self.inputs.batch)


class PopulationDraw(LayerDraw):
    """What one layer of one trial of a population draws from; `own` is the layer in the
    network at its own widths."""

    def __init__(self, workshop: Workshop, trial: int, number: int, own: OwnLayer) -> None:
        super().__init__(workshop, trial, number)
        self._own, self._channels = own

    def channels(self, count: int) -> int:  # noqa: ARG002
        """See Draw."""
        return self._channels

    def linear(self, values: Values, weights: Weights) -> Pass:
        """See Draw. The limit of standardized weights acts on centred inputs."""
        own = self._own[self._matrices]
        plain = gaussian(weights, own)
        if own.form != STANDARDIZED:
            return super().linear(values, plain)
        found = super().linear(_centred(values), plain)
        return Pass(found.values, lambda slope: (_centred(found.pull(slope)[0]),))

    def convolve(self, values: Values, window: Window, weights: Weights, groups: int) -> Pass:
        """See Draw."""
        own = self._own[self._matrices]
        if own.form == STANDARDIZED:
            return by_patches(self, values, window, weights, groups)
        return super().convolve(values, window, gaussian(weights, own), groups)

    def matrix(self, weights: Weights) -> tuple[Values, Values]:
        """See Draw. What is drawn whole has a fan-in of its own, whatever the number of units, and
        so the distribution of its initialiser."""
        own = self._own[self._matrices]
        return super().matrix(replace(weights, square_gain=own.square_gain, bias_std=own.bias_std))

    def tied(self, weights: Sequence[Weights], columns: int) -> Tied:
        """See Draw."""
        own = self._own[self._matrices : self._matrices + len(weights)]
        if own[0].form == STANDARDIZED:
            return _Centred(self._tied(weights, own, columns))
        return self._tied(weights, own, columns)

    def _tied(self, weights: Sequence[Weights], own: Sequence[Weights], columns: int) -> Tied:
        plain = [gaussian(*each) for each in zip(weights, own, strict=True)]
        if columns >= plain[0].fan_in:
            return super().tied(plain, columns)
        draw = self._draw(self._matrices)
        self._matrices += len(weights)
        return PopulationMatrices(plain, columns, self.workshop.dtype, draw)


class PopulationMatrices:
    """See Tied: matrices that are not drawn. All act on the same values, so they are one matrix of
    N(0, 1) whose rows are multiplied by the standard deviations of their weights."""

    def __init__(
        self,
        weights: Sequence[Weights],
        columns: int,
        dtype: np.dtype[Any],
        draw: random.Draw,
    ) -> None:
        fan_in, outputs = weights[0].fan_in, sum(own.fan_out for own in weights)
        stds = [np.full(own.fan_out, own.gain / np.sqrt(fan_in)) for own in weights]
        bias_stds = [np.full(own.fan_out, own.bias_std) for own in weights]
        self._stds = np.concatenate(stds)[:, None]
        biases = _numbers(outputs, random.BIASES, draw, dtype)(0, 1)[0]
        self.biases = (np.concatenate(bias_stds) * biases).astype(dtype)[:, None]
        self._dtype = dtype
        ahead = _numbers(outputs, random.WEIGHTS, draw, dtype)
        behind = _numbers(fan_in, random.NOISE, draw, dtype)
        self._ahead = Growing(fan_in, outputs, columns, ahead, dtype)
        self._behind = Growing(outputs, fan_in, columns, behind, dtype)

    def times(self, values: Values) -> Values:
        """See Tied."""
        found = self._stds * self._ahead.times(_together(values))
        return _apart(found, values).astype(self._dtype)

    def back(self, slope: Values) -> Values:
        """See Tied. What was not used ahead is independent of all that was."""
        found = self._ahead.back(self._stds * _together(slope), self._behind)
        return _apart(found, slope).astype(self._dtype)


class _Centred:
    """See Tied: the limit of standardized matrices."""

    def __init__(self, plain: Tied) -> None:
        self._plain, self.biases = plain, plain.biases

    def times(self, values: Values) -> Values:
        """See Tied."""
        return self._plain.times(_centred(values, -2))

    def back(self, slope: Values) -> Values:
        """See Tied."""
        return _centred(self._plain.back(slope), -2)


def gaussian(weights: Weights, own: Weights) -> Weights:
    """Return the law of a matrix of the population, whose shape `weights` have, in the limit that
    `own` has."""
    return Weights(
        weights.fan_in, weights.fan_out, "normal", own.square_gain, "normal", own.bias_std,
        form=PLAIN,
    )  # fmt: skip


def _numbers(columns: int, purpose: int, draw: random.Draw, dtype: np.dtype[Any]) -> Numbers:
    """Return what draws rows of so many independent N(0, 1)."""

    def numbers(first: int, count: int) -> Values:
        rows = np.empty((count, columns), dtype)
        random.draw_rows(rows, first, random.STANDARD, purpose, draw)
        return rows

    return numbers


def _together(values: Values) -> Values:
    """Return (rows, columns) of (…, rows, columns), the columns of all times next to each other."""
    if values.ndim == 2:
        return values
    return np.moveaxis(values, 0, 1).reshape(values.shape[1], -1)


def _apart(found: Values, like: Values) -> Values:
    """Return (rows, columns) with times first, as in the array that the columns came from."""
    if like.ndim == 2:
        return found
    times, _, columns = like.shape
    return np.moveaxis(found.reshape(len(found), times, columns), 1, 0)


def _centred(values: Values, axis: int = 0) -> Values:
    found: Values = values - values.mean(axis=axis, keepdims=True)
    return found
