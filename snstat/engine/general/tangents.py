"""Changes of the input or of a layer, pushed forward: products with the Jacobian.

Kinds know how gradients are pulled back, and not how changes go forward. Each layer is therefore
fed with a batch, and with that batch moved a little along each change and against it. Half of
the difference is what becomes of the change. Of whatever is linear this is exact but for rounding,
and activations are made linear with their own derivative, as the way back takes them: no change is
too large for a kink. What remains are norms, products and maxima within kinds, where the error is
that of rounding too as long as the step is small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from snstat.activation import Activation
from snstat.engine.general.draw import LayerDraw
from snstat.engine.general.gradient import Slope, measured
from snstat.engine.general.repeated import Repeated, RepeatedDraw, tiled
from snstat.engine.general.sampler import Walk
from snstat.engine.sampler import quiet
from snstat.layers.draw import Pass, Values
from snstat.layers.layer import Layer

# The change of a layer's input, relative to that input. Rounding of float64 is then 1e-8 of what
# comes out, and second-order terms of a central difference are of that size squared.
STEP = 2.0**-25


class Moving(NamedTuple):
    """A layer's output (channels, batch, *grid), and its changes, one a copy of the batch, None for
    none."""

    point: Values
    change: Slope | None


class TangentDraw(RepeatedDraw):
    """What a layer draws from whose copies are a batch, and that batch moved forth and back."""

    def activate(self, function: Activation, values: Values) -> Pass:
        """See Draw: linear in the changes, with the derivative at the batch."""
        found = super().activate(function, values[:, : self.batch])
        (slope,) = found.pull(np.ones_like(found.values))
        change = _change(values, self.batch)
        slopes = tiled(slope, change.shape[1] // self.batch)
        return Pass(_moved(found.values, slopes * change), found.pull)


class Tangents(Repeated):
    """The same trials as those of `Repeated`, whose batches are moved."""

    def draw(self, trial: int, number: int) -> TangentDraw:
        """See General."""
        return TangentDraw(self.workshop, trial, number, self.batch)

    def of_copies(
        self, layer: Layer, given: Sequence[Sequence[Values]], draw: LayerDraw
    ) -> list[Pass]:
        """See Repeated: each copy is moved in another way, and all draw the same."""
        return [
            layer.sample(own, RepeatedDraw(self.workshop, draw.trial, draw.number, self.batch))
            for own in zip(*given, strict=True)
        ]


def pushed_forward(sampler: Tangents, number: int, change: Values) -> Slope | None:
    """Return what the changes (channels, columns, *grid) of the sampler's source in a trial, one a
    copy of the batch, become at the last of its layers, which comes after that; None after a stop.
    In float64."""
    start, source, batch = Slope(change, 0.0), sampler.source, sampler.batch
    moving = {0: Moving(sampler.one_batch(number), start if source == 0 else None)}
    walk = Walk(sampler, number, {0: moving[0].point})
    with quiet():
        for place in islice(sampler.order.since(1), sampler.depth):
            if sampler.stop[0]:
                return None
            before = [moving[number] for number in place.sources]
            moved = any(own.change is not None for own in before)
            if moved:
                mixed = sampler.mixed(place.layer)
                given, factors, log = _together(before, change.shape[1], mixed=mixed)
                walk.values |= dict(zip(place.sources, given, strict=True))
            walk.step()
            own = walk.values[place.number]
            after = start if place.number == source else None
            if moved:
                parts = _change(own, batch)
                slope = Slope(parts / _of_columns(factors, parts), log)
                after = measured(slope)[1] or slope
            moving = {kept: moving[kept] for kept in walk.values if kept in moving}
            moving[place.number] = Moving(own[:, :batch].copy(), after)
    if sampler.stop[0]:
        return None
    # What the source does not reach does not change.
    point, found = moving[sampler.depth]
    return found or Slope(np.zeros((len(point), change.shape[1], *point.shape[2:])), 0.0)


def _together(
    inputs: Sequence[Moving], columns: int, *, mixed: bool
) -> tuple[list[Values], Values, float]:
    """Return the inputs of a layer, moved in so many `columns`; the factor by which each was moved,
    one for all samples of a copy; and the logarithm of the scale of the changes, some of which
    there are. Changes are small beside each sample, or beside all together if they are `mixed`."""
    log = max(own.change.log for own in inputs if own.change is not None)
    changes = [_scaled(own, columns, log) for own in inputs]
    batch = inputs[0].point.shape[1]
    sizes = np.zeros(columns // batch)
    for own, change in zip(inputs, changes, strict=True):
        size = _norms(own.point)
        if mixed:
            size[:] = np.sqrt(np.mean(size**2))
        size[size == 0.0] = 1.0
        shares = _norms(change).reshape(-1, batch) / size
        sizes = np.maximum(sizes, shares.max(axis=1))
    factors = np.repeat(STEP / np.where(sizes > 0, sizes, STEP), batch)
    moved = []
    for own, change in zip(inputs, changes, strict=True):
        moved.append(_moved(own.point, _of_columns(factors, change) * change))
    return moved, factors, log


def _scaled(moving: Moving, columns: int, log: float) -> Values:
    """Return the changes of a layer over exp(`log`/2)."""
    point, change = moving
    if change is None:
        return np.zeros((len(point), columns, *point.shape[2:]))
    found: Values = math.exp(0.5 * (change.log - log)) * change.values
    return found


def _norms(values: Values) -> Values:
    axes = (0, *range(2, values.ndim))
    found: Values = np.sqrt(np.mean(np.square(values), axis=axes))
    return found


def _of_columns(factors: Values, values: Values) -> Values:
    return factors.reshape(1, -1, *(1,) * (values.ndim - 2))


def _moved(point: Values, change: Values) -> Values:
    """Return a batch, and that batch moved forth and back by each change, as copies."""
    points = tiled(point, change.shape[1] // point.shape[1])
    return np.concatenate([point, points + change, points - change], axis=1)


def _change(values: Values, batch: int) -> Values:
    """Return the changes of what `_moved` has put together, or of what became of it."""
    forth = (values.shape[1] - batch) // 2
    found: Values = 0.5 * (values[:, batch : batch + forth] - values[:, batch + forth :])
    return found
