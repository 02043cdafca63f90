"""An axis of matplotlib for bokeh, which has no scale that is linear around 0 and logarithmic
beyond."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from snstat.results import FloatArray

# The most powers of ten that have ticks.
MOST_POWERS = 7
# Smaller powers of ten are written out.
WRITTEN_OUT = 6


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis from `low` to `high`, places on the page. Its `scale` is linear, log or symlog;
    symlog is drawn on a linear axis, after `transform`, with ticks of its own."""

    scale: str
    low: float
    high: float
    transform: Callable[[Any], Any]

    def places(self, values: npt.ArrayLike, *, clip: bool = False) -> FloatArray:
        """Return where `values` are, NaN where the axis has no place for them; with `clip`, values
        below a logarithmic axis are at its end."""
        found = np.asarray(values, dtype=np.float64)
        if self.scale == "symlog":
            return np.asarray(self.transform(found), dtype=np.float64)
        if self.scale == "log":
            lowest = np.minimum(self.low, math.inf) if clip else math.nan
            return np.where(found <= 0, lowest, found)
        return found

    def around(self, low: float, high: float, share: float) -> Axis:
        """Return the axis from `low` to `high` with this `share` of it free at both ends."""
        ends = self.places([low, high])
        room = share * float(ends[1] - ends[0]) / (1.0 - 2.0 * share)
        return replace(self, low=float(ends[0]) - room, high=float(ends[1]) + room)

    def dress(self, axis: Any) -> None:
        """Give an axis of bokeh ticks at powers of ten, if it needs some of its own."""
        if self.scale != "symlog":
            return
        from bokeh.models import FixedTicker

        reach = max(abs(float(end)) for end in self._values())
        most = max(math.floor(math.log10(max(reach, 1.0))), 0)
        powers = range(0, most + 1, -(-(most + 1) // MOST_POWERS))
        sizes = [(10.0**power, _power_words(power)) for power in powers]
        signed = [(0.0, "0"), *sizes, *((-value, f"−{text}") for value, text in sizes)]
        labels = {float(self.places(value)): text for value, text in sorted(signed)}
        axis.ticker = FixedTicker(ticks=list(labels))
        axis.major_label_overrides = labels

    def _values(self) -> FloatArray:
        """Return the values at the ends."""
        inverse: Any = self.transform.__self__.inverted()  # type: ignore[attr-defined]
        return np.asarray(inverse.transform([self.low, self.high]), dtype=np.float64)


def axis_of(axis: Any) -> Axis:
    """Return an axis of matplotlib as it is."""
    transform = axis.get_transform()
    scale = axis.get_scale()
    low, high = (float(end) for end in axis.get_view_interval())
    found = Axis(scale, low, high, transform.transform)
    return replace(found, low=float(found.places(low)), high=float(found.places(high)))


def _power_words(power: int) -> str:
    return f"{10**power:,}" if power < WRITTEN_OUT else f"1e{power}"
