"""How the size of a layer's activations depends on the width of the network."""

from __future__ import annotations

from dataclasses import dataclass

from snstat.results.base import Record

# The verdicts on a layer. One that has no finite RMS above 0 at some width is lost.
FLAT, GROWING, SHRINKING = ("flat", "growing", "shrinking")
# What chance may explain either way: neither flat nor anything else is shown.
UNDECIDED = "undecided"
# A slope that breaks the rule.
CHANGING = (GROWING, SHRINKING)
NON_FINITE, VANISHING = LOST = ("non-finite", "vanishing")
_WORDS = {NON_FINITE: "not finite", VANISHING: "0"}


@dataclass(frozen=True, slots=True)
class WidthSlope(Record):
    """The slope of ln RMS of one layer against ln width with its standard error, and what it is
    beyond chance: "flat", "growing" or "shrinking", else "undecided".

    The slope is None where some width has no finite RMS above 0: the trend is "non-finite" or
    "vanishing" then, and None of tokens, which have no statistics.
    """

    layer: int
    name: str
    slope: float | None
    stderr: float | None
    trend: str | None

    @property
    def trend_words(self) -> str:
        """What a layer is, as tables say it: its trend, or "not finite" or "0"."""
        return _WORDS.get(self.trend or "", self.trend or "")
