"""How the size of a layer's activations depends on the width of the network."""

from __future__ import annotations

from dataclasses import dataclass

from snstat.results.base import Record

FLAT, GROWING, SHRINKING = TRENDS = ("flat", "growing", "shrinking")


@dataclass(frozen=True, slots=True)
class WidthSlope(Record):
    """The slope of ln RMS of one layer against ln width with its standard error, and what it is
    beyond chance: "flat", "growing" or "shrinking". None where the layer has no finite RMS."""

    layer: int
    name: str
    slope: float | None
    stderr: float | None
    trend: str | None
