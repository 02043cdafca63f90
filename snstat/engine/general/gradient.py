"""The squared gradient of every layer of any network, by the pull-backs of its layers."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from snstat.engine.general.grid import on_grid
from snstat.engine.general.order import places
from snstat.engine.general.sampler import General, Link, require_shape
from snstat.engine.kernels import dense_backward
from snstat.engine.kernels.random import Draw
from snstat.engine.sampler import over_last, quiet
from snstat.errors import InvalidValueError, LayerError
from snstat.layers.draw import Values
from snstat.layers.shape import Shape
from snstat.results import FloatArray


class Slope(NamedTuple):
    """A gradient: `values` (channels, batch, *grid) times exp(`log`/2), so that it is a float32 at
    any depth."""

    values: Values
    log: float

    def joined(self, other: Slope) -> Slope:
        """Return the sum of two gradients of one layer."""
        if self.log < other.log:
            return other.joined(self)
        if self.log == other.log:
            return Slope(self.values + other.values, self.log)
        factor = self.values.dtype.type(math.exp(0.5 * (other.log - self.log)))
        return Slope(self.values + factor * other.values, self.log)


def general_gradients(sampler: General, trials: range) -> FloatArray:
    """Return what `general_gradient` does for some trials, (trials, depth + 1)."""
    return np.array([general_gradient(sampler, number) for number in trials])


def general_gradient(sampler: General, number: int) -> FloatArray:
    """Return ln of the squared norm of ∂L/∂(layer output) over that of the last, (depth + 1,).

    L is a linear read-out of the last layer, with one normal weight for each unit, position and
    sample. The result is NaN where the run is not finite or was stopped, and −inf for layers on
    which the read-out does not depend.
    """
    logs = np.full(sampler.depth + 1, math.nan)
    if sampler.alive[number]:
        with quiet():
            _walk(sampler, number, logs)
    if sampler.stop[0]:
        logs[:] = math.nan
    return over_last(logs)


def _walk(sampler: General, number: int, logs: FloatArray) -> None:
    """Go back through all layers, or to one whose gradient is not finite, and write the logarithms
    of the squared gradients to `logs`."""
    slopes: dict[int, Slope] = {}
    for links in sampler.links(number):
        while links:
            link = links.pop()
            layer = link.number
            if layer == sampler.depth:
                slopes[layer] = Slope(_read_out(sampler, number), 0.0)
            slope = slopes.pop(layer, None)
            logs[layer], slope = measured(slope)
            if slope is None:
                continue
            if sampler.stop[0] or not math.isfinite(logs[layer]):
                return
            for source, part in zip(link.sources, parts(sampler, link, slope), strict=True):
                own = Slope(part, slope.log)
                slopes[source] = slopes[source].joined(own) if source in slopes else own
    logs[0], _ = measured(slopes.get(0))


def parts(sampler: General, link: Link, slope: Slope) -> list[Values]:
    """Return the gradients of the inputs of a layer. Raises LayerError for whatever it raises, and
    for gradients of another shape than the inputs have."""
    try:
        found = [np.asarray(part, sampler.dtype) for part in link.pull(slope.values)]
        _require_shapes(found, link.shapes)
    except MemoryError:
        raise
    except Exception as error:
        path = next(places(sampler.network.block, link.number)).path
        raise LayerError.of(path, error) from error
    return found


def _require_shapes(gradients: list[Values], shapes: tuple[tuple[int, ...], ...]) -> None:
    if len(gradients) != len(shapes):
        bound = f"{len(shapes)}, one for each input"
        raise InvalidValueError("number of gradients", len(gradients), bound)
    for gradient, shape in zip(gradients, shapes, strict=True):
        require_shape("gradient", gradient, shape)


def measured(slope: Slope | None) -> tuple[float, Slope | None]:
    """Return ln of the squared norm of a gradient, −inf for none, and the gradient scaled to where
    float32 is safe, None where it is 0."""
    if slope is None:
        return -math.inf, None
    values = np.ascontiguousarray(slope.values)
    total = dense_backward.sum_of_squares(values)
    if total == 0.0:
        return -math.inf, None
    mean = total / values.size
    if math.isfinite(mean) and not dense_backward.LEAST < mean < dense_backward.MOST:
        # In float64: the factor may be too large for a float32.
        scaled = (values * np.float64(1.0 / math.sqrt(mean))).astype(values.dtype)
        slope = Slope(scaled, slope.log + math.log(mean))
        return math.log(values.size) + slope.log, slope
    return float(np.log(total)) + slope.log, slope


def _read_out(sampler: General, number: int) -> Values:
    """Return ∂L/∂(last layer) of a trial, drawn as the dense sampler draws it."""
    shape = _last_shape(sampler)
    h = np.empty((shape.units, sampler.inputs.batch), sampler.dtype)
    dense_backward.read_out(h, Draw(sampler.key, number, sampler.depth))
    return on_grid(h, shape)


def _last_shape(sampler: General) -> Shape:
    return sampler.network.block.shape([sampler.network.input])
