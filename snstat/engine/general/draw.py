"""What the engine lends to layers: matrices, activations, norms and uniform numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from snstat.activation import Activation, checked
from snstat.engine.general.convolution import convolution, fits
from snstat.engine.general.forms import rescaled, whole
from snstat.engine.general.given import given_pass
from snstat.engine.general.grid import columns
from snstat.engine.general.normalise import normalised_columns, normalised_rows
from snstat.engine.general.unseen import UnseenMatrices
from snstat.engine.general.weight_free import (
    is_by_channels,
    weight_free_convolution,
    weight_free_pass,
)
from snstat.engine.general.workshop import Workshop
from snstat.engine.kernels import dense, dense_backward, functions, masks, orthogonal, random
from snstat.engine.kernels.counts import count_outside, dead_units
from snstat.errors import InvalidValueError
from snstat.layers.draw import Pass, Tied, Values
from snstat.layers.initialisers import PLAIN
from snstat.layers.patches import by_patches
from snstat.layers.tied import WholeMatrices
from snstat.layers.weights import Weights
from snstat.layers.window import Window


class LayerDraw:
    """See layers.draw.Draw: what one layer of one trial draws from.

    The first matrix of a layer has the numbers that the sampler of uniform stacks, dense or
    matrix-free, draws for a layer of this number, later ones have counters of their own.
    """

    def __init__(self, workshop: Workshop, trial: int, number: int) -> None:
        self.workshop, self.trial, self.number = workshop, trial, number
        self.train = workshop.train
        self._matrices = self._uniforms = 0
        # The values of the last matrix or activation, and what was activated.
        self._last: Values | None = None
        self._activated: tuple[Activation, Values] | None = None

    def channels(self, count: int) -> int:
        """See Draw."""
        return count

    def linear(self, values: Values, weights: Weights) -> Pass:
        """See Draw. Values are incomplete after a stop.

        Raises InvalidValueError for weights that do not fit, because kernels check no bounds.
        """
        shop = self.workshop
        if len(values) != weights.fan_in:
            raise InvalidValueError("channels", len(values), f"the fan-in, {weights.fan_in}")
        draw = self._draw(self._matrices)
        self._matrices += 1
        given = shop.given.get(self.number)
        if given is not None:
            found = given_pass(values, given)
        elif shop.is_matrix_free(weights, values[0].size):
            found = weight_free_pass(values, weights, draw, shop)
        elif weights.form != PLAIN:
            found = rescaled(values, weights, shop.layer(weights), draw)
        else:
            found = self._drawn(values, weights, draw)
        self._last, self._activated = found.values, None
        return found

    def convolve(self, values: Values, window: Window, weights: Weights, groups: int) -> Pass:
        """See Draw."""
        shop, size = self.workshop, values.shape[1] * window.positions
        free = shop.is_matrix_free(weights, size)
        alone = groups == 1 and is_by_channels(window)
        if self.number in shop.given or not (alone if free else fits(weights)):
            return by_patches(self, values, window, weights, groups)
        draw = self._draw(self._matrices)
        self._matrices += groups
        self._draw(self._matrices - 1)  # refuses too many
        if free:
            found = weight_free_convolution(values, window, weights, draw, shop)
        else:
            found = convolution(values, window, weights, groups, draw, shop)
        self._last, self._activated = found.values if groups == 1 else None, None
        return found

    def matrix(self, weights: Weights) -> tuple[Values, Values]:
        """See Draw."""
        shop = self.workshop
        draw = self._draw(self._matrices)
        self._matrices += 1
        return whole(weights, shop.layer(weights), draw, shop.dtype, shop.stop)

    def tied(self, weights: Sequence[Sequence[Weights]], columns: int) -> Sequence[Tied]:
        """See Draw."""
        return [self._tied(group, columns) for group in weights]

    def _tied(self, weights: Sequence[Weights], columns: int) -> Tied:
        shop = self.workshop
        if not all(shop.is_matrix_free(own, columns, tied=True) for own in weights):
            return WholeMatrices.drawn(self, weights)
        draw = self._draw(self._matrices)
        self._matrices += len(weights)
        return UnseenMatrices(weights, columns, self.workshop.dtype, draw)

    def vectors(self, numbers: npt.NDArray[np.intp], width: int, std: float) -> Values:
        """See Draw. They are rows of the matrix of weights that has so many columns."""
        draw, law = self._draw(self._matrices), random.Law(random.NORMAL, std)
        self._matrices += 1
        own, places = np.unique(numbers, return_inverse=True)
        out = np.empty((len(own), width), self.workshop.dtype)
        ends = np.flatnonzero(np.diff(own) > 1) + 1
        for rows in np.split(np.arange(len(own)), ends):  # of numbers that follow each other
            random.draw_rows(out[rows[0] : rows[-1] + 1], own[rows[0]], law, random.WEIGHTS, draw)
        found: Values = out[places.reshape(-1)]
        return found

    def _drawn(self, values: Values, weights: Weights, draw: random.Draw) -> Pass:
        """Return W x + b with W drawn, and again on the way back."""
        shop, layer = self.workshop, self.workshop.layer(weights)
        x = columns(values)
        z = np.empty((layer.units, x.shape[1]), shop.dtype)
        tiles = None if weights.orthogonal else shop.scratch("tile", 1, layer.rows * layer.fan_in)
        dense.preactivate(shop.team, x, z, layer, draw, tiles)
        before, count = values.shape, x.shape[1]

        def pull(slope: Values) -> tuple[Values, ...]:  # keeps neither x nor z
            h, out = columns(slope), np.empty((layer.fan_in, count), shop.dtype)
            if weights.orthogonal:
                stop = shop.stop
                orthogonal.orthogonal_transposed(h, out, layer.weights.std, draw, stop)
            else:
                width = layer.strip * random.BLOCK_BYTES // shop.dtype.itemsize
                tiles = shop.scratch("tile", 1, layer.units * width)
                product = shop.scratch("product", 1, width, count)
                dense_backward.through_weights(shop.team, h, out, layer, draw, tiles, product)
            return (out.reshape(before),)

        return Pass(z.reshape(layer.units, *before[1:]), pull)

    def activate(self, function: Activation, values: Values) -> Pass:
        """See Draw."""
        code, z = self.workshop.activation(function).code, columns(values)
        x = np.empty_like(z)
        if function.pair is None:
            functions.activate(code, z, x)
        else:
            x[:] = checked(function.pair[0], "phi", z)
        own = x.reshape(values.shape)
        self._last, self._activated = own, (function, z)

        def pull(slope: Values) -> tuple[Values, ...]:
            h = columns(slope).copy()
            if function.pair is None:
                functions.scale_by_derivative(code, z, h)
            else:
                h *= checked(function.pair[1], "dphi", z)
            return (h.reshape(slope.shape),)

        return Pass(own, pull)

    def normalise_channels(self, values: Values, epsilon: float) -> Pass:
        """See Draw."""
        return normalised_rows(values, epsilon, self.workshop.dtype)

    def normalise_samples(self, values: Values, epsilon: float, *, centred: bool = True) -> Pass:
        """See Draw."""
        return normalised_columns(values, epsilon, self.workshop.dtype, centred=centred)

    def kept(self, shape: tuple[int, ...], rate: float, dtype: np.dtype[Any]) -> Values:
        """See Draw."""
        out = np.empty(math.prod(shape), dtype)
        masks.draw_kept(out, rate, self._draw(self._uniforms))
        self._uniforms += 1
        return out.reshape(shape)

    def uniform(self, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        """See Draw. The numbers do not depend on the dtype of the network."""
        out = np.empty(math.prod(shape))
        random.draw_uniform(out, self._draw(self._uniforms))
        self._uniforms += 1
        return out.reshape(shape)

    def fractions(self, values: Values) -> tuple[float, float]:
        """Return the shares of dead channels and of saturated values of a layer that gave `values`.

        They are those of the activation that gave the values. What a matrix gave has no dead
        channel. Of anything else, such as sums, both are NaN.
        """
        if values is not self._last:
            return math.nan, math.nan
        if self._activated is None:
            return 0.0, math.nan
        function, z = self._activated
        _, live, steep = self.workshop.activation(function)
        dead, saturated = 0, math.nan
        if function.pair is not None:
            slopes = checked(function.pair[1], "dphi", z)
            dead = int(np.count_nonzero(~np.any(slopes, axis=1)))
        elif live.low > -math.inf or live.high < math.inf:
            dead = dead_units(z, live.low, live.high)
        if steep.low < steep.high:
            saturated = count_outside(z, z.shape[1], steep.low, steep.high) / z.size
        return dead / len(z), saturated

    def _draw(self, again: int) -> random.Draw:
        """Return which random numbers come next, after `again` of their kind."""
        if again >= random.MOST_DRAWS:
            raise InvalidValueError("draws", again + 1, f"at most {random.MOST_DRAWS} in a layer")
        trial = self.trial | again << random.AGAIN_SHIFT
        return random.Draw(self.workshop.key, trial, self.number)
