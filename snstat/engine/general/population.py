"""The general sampler of a population of units: the limit of infinite width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from snstat.engine.general.draw import LayerDraw
from snstat.engine.general.grid import on_grid
from snstat.engine.general.order import Order
from snstat.engine.general.sampler import General
from snstat.engine.general.workshop import Workshop
from snstat.engine.inputs import Inputs
from snstat.layers.draw import Pass, Tied, Values
from snstat.layers.initialisers import STANDARDIZED
from snstat.layers.patches import by_patches
from snstat.layers.weights import Weights
from snstat.layers.window import Window
from snstat.network.population import OwnLayer, Population, gaussian
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
        running: int | None = None,
    ) -> None:
        self.population = population
        super().__init__(
            population.own, inputs, trials, seed, dtype,
            train=train, sampler=sampler, backward=backward, running=running,
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

    def laws(self, row: Row) -> Sequence[Weights]:
        """See General."""
        return self.population.laws(row)


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

    def tied(self, weights: Sequence[Sequence[Weights]], columns: int) -> Sequence[Tied]:
        """See Draw. Matrices on the same values have one form."""
        own = iter(self._own[self._matrices :])
        pairs = [list(zip(group, own, strict=False)) for group in weights]
        found = super().tied([[gaussian(*pair) for pair in group] for group in pairs], columns)
        centred = [group[0][1].form == STANDARDIZED for group in pairs]
        return [_Centred(tied) if c else tied for tied, c in zip(found, centred, strict=True)]


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


def _centred(values: Values, axis: int = 0) -> Values:
    found: Values = values - values.mean(axis=axis, keepdims=True)
    return found
