"""The Jacobian of layers by an earlier one, exact: unit read-outs, pulled back through all layers.

A pass forward of one batch that stands there many times, and the way back of as many read-outs of
its first sample, give as many rows of the Jacobian of that sample by its own input, the others
fixed. Where samples do not depend on each other, the batch is one sample. No kind has to know of
it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from snstat.engine.general.gradient import Slope, measured, parts
from snstat.engine.general.repeated import Repeated
from snstat.engine.general.sampler import Link
from snstat.engine.sampler import quiet
from snstat.layers.draw import Values
from snstat.layers.shape import Shape
from snstat.results import FloatArray


class Jacobian(NamedTuple):
    """A Jacobian: `values` (units of the layer, units of what it is by) times exp(`log`/2), so that
    it is finite at any depth. NaN where the network is not finite."""

    values: FloatArray
    log: float


def jacobians(
    sampler: Repeated,
    number: int,
    layers: Sequence[int],
    shapes: Sequence[Shape],
    done: Callable[[float], None] | None = None,
) -> list[Jacobian] | None:
    """Return ∂(layer)/∂(source of the sampler) of the first sample of a trial, by itself, for
    `layers`, ascending, which come after that and have these `shapes`; None after a stop. `done` is
    told now and then which share of the read-outs is pulled back.

    Rows and columns are units: channels first, then positions, as in C.
    """
    blocks: list[list[Slope]] = [[] for _ in layers]
    most, ways = max(shape.units for shape in shapes), sampler.ways(number)
    for begin in range(0, most, sampler.copies):
        starts = {
            layer: _units(shape, begin, sampler)
            for layer, shape in zip(layers, shapes, strict=True)
            if begin < shape.units
        }
        found = pulled_back(sampler, ways(), starts)
        if found is None:
            return None
        for place, layer in enumerate(layers):
            if layer in found:
                count = min(sampler.copies, shapes[place].units - begin)
                blocks[place].append(as_rows(found[layer], count, sampler.batch))
        if done is not None:
            done(min(1.0, (begin + sampler.copies) / most))
    return [_joined(own) for own in blocks]


def _units(shape: Shape, begin: int, sampler: Repeated) -> Values:
    """Return one unit of a layer after the other from number `begin` on, each in its copy."""
    rows = np.zeros((sampler.copies, shape.units), sampler.dtype)
    own = np.arange(min(sampler.copies, shape.units - begin))
    rows[own, begin + own] = 1.0
    return in_columns(rows, shape, sampler.batch)


def in_columns(rows: Values, shape: Shape, batch: int) -> Values:
    """Return rows of units (count, units) as columns of the first sample of each copy of a `batch`,
    (channels, count · batch, *grid), those of the others 0."""
    whole = np.moveaxis(rows.reshape(len(rows), shape.channels, *shape.grid), 0, 1)
    if batch == 1:
        return np.ascontiguousarray(whole)
    found = np.zeros((shape.channels, len(rows) * batch, *shape.grid), rows.dtype)
    found[:, ::batch] = whole
    return found


def pulled_back(
    sampler: Repeated, segments: Iterable[list[Link]], starts: dict[int, Values]
) -> dict[int, Slope] | None:
    """Return the gradients of the sampler's source for the read-outs of each layer in `starts`,
    None after a stop. What the way back needs comes by `segments` of layers, which this empties."""
    ways = {layer: {layer: Slope(values, 0.0)} for layer, values in starts.items()}
    shape, source = sampler.before, sampler.source
    zero = np.zeros((shape.channels, sampler.copies * sampler.batch, *shape.grid), sampler.dtype)
    with quiet():
        for links in segments:
            while links:
                link = links.pop()
                if link.number <= source:  # and so are all that come
                    return _found(ways, source, zero)
                for slopes in ways.values():
                    if sampler.stop[0]:
                        return None
                    _step(sampler, link, slopes)
    if sampler.stop[0]:
        return None
    return _found(ways, source, zero)


def _found(ways: dict[int, dict[int, Slope]], source: int, zero: Values) -> dict[int, Slope]:
    """Return the slope of the source on each way, 0 where nothing comes back to it."""
    return {layer: slopes.get(source, Slope(zero, 0.0)) for layer, slopes in ways.items()}


def _step(sampler: Repeated, link: Link, slopes: dict[int, Slope]) -> None:
    """Take the gradient of one layer to those of its inputs."""
    own = slopes.pop(link.number, None)
    # Scaled to where float32 is safe; None where it is 0.
    slope = measured(own)[1]
    if slope is None:
        return
    for source, values in zip(link.sources, parts(sampler, link, slope), strict=True):
        part = Slope(values, slope.log)
        slopes[source] = slopes[source].joined(part) if source in slopes else part


def as_rows(slope: Slope, count: int, batch: int) -> Slope:
    """Return what the first sample has in the first `count` copies of a `batch` as rows, (count,
    units), in float64."""
    rows = np.moveaxis(slope.values[:, : count * batch : batch], 1, 0).reshape(count, -1)
    # A copy: a view would hold what all samples have.
    return Slope(np.array(rows, np.float64), slope.log)


def _joined(blocks: Sequence[Slope]) -> Jacobian:
    """Return the rows of all blocks, of one scale."""
    log = max(block.log for block in blocks)
    factors = [math.exp(0.5 * (block.log - log)) for block in blocks]
    rows = [factor * block.values for factor, block in zip(factors, blocks, strict=True)]
    return Jacobian(np.concatenate(rows), log)


def singular_values(jacobian: Jacobian) -> FloatArray:
    """Return the singular values, descending, (the fewer of rows and columns,): NaN where the
    network is not finite, and where they are beyond a float64."""
    values, log = jacobian
    every = min(values.shape)
    if not np.isfinite(values).all():
        return np.full(every, math.nan)
    # Rows of 0, as units have that do not respond, add values of 0. Half as many rows, of ReLU,
    # take a fifth of the time.
    own = np.linalg.svd(values[values.any(axis=1)], compute_uv=False)
    found = np.zeros(every)
    found[: len(own)] = own
    with np.errstate(over="ignore", invalid="ignore"):
        scaled: FloatArray = found * np.exp(0.5 * log)
    return np.where(np.isfinite(scaled), scaled, math.nan)
