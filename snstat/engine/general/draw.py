"""What the engine lends to layers: matrices, activations and uniform numbers of one layer."""

from __future__ import annotations

import math
from threading import local
from typing import Any

import numpy as np
import numpy.typing as npt

from snstat.activation import Activation, checked, require_functions
from snstat.engine.draws import drawn_layer
from snstat.engine.general.forms import rescaled
from snstat.engine.general.grid import columns
from snstat.engine.kernels import dense, dense_backward, functions, orthogonal, random
from snstat.engine.kernels.counts import count_outside, dead_units
from snstat.engine.kernels.layers import Activation as KernelActivation
from snstat.engine.kernels.layers import DrawnLayer
from snstat.engine.kernels.team import new_team
from snstat.engine.sampler import kernel_activation
from snstat.errors import InvalidValueError
from snstat.layers.draw import Pass, Values
from snstat.layers.initialisers import PLAIN
from snstat.layers.weights import Weights


class Workshop:
    """What all layers of a run share: scratch of each thread, and what kernels are told of matrices
    and activations."""

    def __init__(self, dtype: np.dtype[Any], key: np.uint64, stop: Any, *, train: bool) -> None:
        self.dtype, self.key, self.stop, self.train = dtype, key, stop, train
        (self.team,) = new_team(1, stop)
        self._scratch = local()
        self._layers: dict[Weights, DrawnLayer] = {}
        self._activations: dict[str, KernelActivation] = {}

    def layer(self, weights: Weights) -> DrawnLayer:
        """Return the layer of `weights` as kernels take it."""
        if weights not in self._layers:
            self._layers[weights] = drawn_layer(weights, self.dtype.itemsize)
        return self._layers[weights]

    def activation(self, function: Activation) -> KernelActivation:
        """Return an activation as kernels take it. Raises InvalidValueError for a pair of functions
        of which only the name is known."""
        if function.name not in self._activations:
            require_functions(function)
            self._activations[function.name] = kernel_activation(function)
        return self._activations[function.name]

    def scratch(self, name: str, *shape: int) -> Values:
        """Return room that this thread uses again and again: new memory costs a page fault for
        every 4 KiB."""
        size = math.prod(shape)
        flat = getattr(self._scratch, name, None)
        if flat is None or flat.size < size:
            flat = np.empty(size, self.dtype)
            setattr(self._scratch, name, flat)
        room: Values = flat[:size].reshape(shape)
        return room


class LayerDraw:
    """See layers.draw.Draw: what one layer of one trial draws from.

    The first matrix of a layer has the numbers that the dense sampler draws for a layer of this
    number, later ones have counters of their own.
    """

    def __init__(self, workshop: Workshop, trial: int, number: int) -> None:
        self.workshop, self.trial, self.number = workshop, trial, number
        self.train = workshop.train
        self._matrices = self._uniforms = 0
        # The values of the last matrix or activation, and what was activated.
        self._last: Values | None = None
        self._activated: tuple[Activation, Values] | None = None

    def linear(self, values: Values, weights: Weights) -> Pass:
        """See Draw. Values are incomplete after a stop.

        Raises InvalidValueError for weights that do not fit, because kernels check no bounds.
        """
        shop = self.workshop
        if len(values) != weights.fan_in:
            raise InvalidValueError("channels", len(values), f"the fan-in, {weights.fan_in}")
        layer, draw = shop.layer(weights), self._draw(self._matrices)
        self._matrices += 1
        if weights.form != PLAIN:
            found = rescaled(values, weights, layer, draw)
            self._last, self._activated = found.values, None
            return found
        x = columns(values)
        z = np.empty((layer.units, x.shape[1]), shop.dtype)
        tiles = None if weights.orthogonal else shop.scratch("tile", 1, layer.rows * layer.fan_in)
        dense.preactivate(shop.team, x, z, layer, draw, tiles)
        before = values.shape
        own = z.reshape(layer.units, *before[1:])
        self._last, self._activated = own, None

        def pull(slope: Values) -> tuple[Values, ...]:
            h, out = columns(slope), np.empty((layer.fan_in, z.shape[1]), shop.dtype)
            if weights.orthogonal:
                stop = shop.stop
                orthogonal.orthogonal_transposed(h, out, layer.weights.std, draw, stop)
            else:
                width = layer.strip * random.BLOCK_BYTES // shop.dtype.itemsize
                tiles = shop.scratch("tile", 1, layer.units * width)
                product = shop.scratch("product", 1, width, z.shape[1])
                dense_backward.through_weights(shop.team, h, out, layer, draw, tiles, product)
            return (out.reshape(before),)

        return Pass(own, pull)

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
