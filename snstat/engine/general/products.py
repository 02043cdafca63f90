"""Products of the Jacobian of a layer with columns, from both sides, without the Jacobian."""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.general.gradient import Slope
from snstat.engine.general.jacobian import as_rows, in_columns, pulled_back
from snstat.engine.general.repeated import Repeated
from snstat.engine.general.tangents import Tangents, pushed_forward
from snstat.layers.shape import Shape
from snstat.results import FloatArray


class Products:
    """J of the last layer of `sampler`, of this `shape`, by its source in trial `number`, of the
    first sample by itself, over exp(`log`/2), by which the largest number of the first product is
    1, at any depth.

    `sampler` and `tangents` are of one network. After a stop products are zeros.
    """

    def __init__(self, sampler: Repeated, tangents: Tangents, number: int, shape: Shape) -> None:
        self.sampler, self.tangents, self.number, self.after = sampler, tangents, number, shape
        self.before = sampler.before
        self.log: float | None = None
        self._ways = sampler.ways(number)

    def pulled(self, rows: FloatArray) -> FloatArray:
        """Return `rows` J of rows (count, units of the layer), (count, units of the source)."""
        layer = self.sampler.depth
        start = Slope(in_columns(rows, self.after, self.sampler.batch), 0.0)
        found = pulled_back(self.sampler, self._ways(), {layer: start.values})
        return self._scaled(None if found is None else found[layer], len(rows), self.before.units)

    def pushed(self, rows: FloatArray) -> FloatArray:
        """Return `rows` Jᵀ of rows (count, units of the source), (count, units of the layer)."""
        changes = in_columns(rows, self.before, self.tangents.batch)
        found = pushed_forward(self.tangents, self.number, changes)
        return self._scaled(found, len(rows), self.after.units)

    @property
    def stopped(self) -> bool:
        """Whether the sampler was stopped."""
        return bool(self.sampler.stop[0] or self.tangents.stop[0])

    def _scaled(self, slope: Slope | None, count: int, units: int) -> FloatArray:
        if slope is None:
            return np.zeros((count, units))
        values, log = as_rows(slope, count, self.sampler.batch)
        if self.log is None:
            size = float(np.abs(values).max())
            self.log = log + (2.0 * math.log(size) if 0.0 < size < math.inf else 0.0)
        found: FloatArray = math.exp(0.5 * (log - self.log)) * np.asarray(values, np.float64)
        return found
