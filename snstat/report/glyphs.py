"""Text and bars in the characters that a terminal can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rich.console import Console

    from snstat.results import FloatArray

BLOCKS = "▁▂▃▄▅▆▇█"
LETTERS = "_.:-=+*#"
# Marks an infinite value or NaN.
BROKEN = "!"
# Values that vary by less than this factor are not scaled up to the full height.
LEAST_SPAN = np.log(2.0)

_PLAIN = str.maketrans(
    {
        "±": "+/-",
        "×": "x",
        "·": "-",
        "–": "-",
        "−": "-",
        "≥": ">=",
        "≤": "<=",
        "²": "^2",
        "√": "sqrt",
        "′": "'",
        "∞": "infinity",
        "…": "...",
        "→": "->",
        "α": "alpha",
        "λ": "lambda",
        "μ": "mu",
        "ν": "nu",
        "σ": "sigma",
        "τ": "tau",
        "χ": "chi",
        "ξ": "xi",
        "ω": "omega",
        **dict(zip(BLOCKS, LETTERS, strict=True)),
    }
)


def ascii_text(text: str) -> str:
    """Return `text` in ASCII: ± as +/-, × as x, λ as lambda, and escapes for the rest.

    Line breaks are kept, so that whole documents can be converted.
    """
    return text.translate(_PLAIN).encode("ascii", "backslashreplace").decode("ascii")


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters a console can show: all of Unicode, or ASCII only."""

    ascii_only: bool = False

    @classmethod
    def of(cls, console: Console) -> Glyphs:
        """Return the glyphs of `console`: ASCII on legacy Windows and outside UTF-8."""
        return cls(console.legacy_windows or console.options.ascii_only)

    def text(self, text: str) -> str:
        """Return `text` in these characters, with control characters spelled out."""
        shown = text
        if not text.isprintable():
            shown = "".join(
                letter if letter.isprintable() else letter.encode("unicode_escape").decode()
                for letter in text
            )
        return ascii_text(shown) if self.ascii_only else shown

    def bars(self, values: FloatArray, cells: int) -> str:
        """Return positive `values` (points,) as at most `cells` bars, on a logarithmic scale.

        Values that share a bar are averaged; the bar is "!" if one of them is not finite. Zeros are
        the lowest bar, below every positive value.
        """
        if not len(values):
            return ""
        levels = LETTERS if self.ascii_only else BLOCKS
        positive = values[np.isfinite(values) & (values > 0)]
        if not len(positive):
            return "".join(
                levels[0] if np.isfinite(part).all() else BROKEN for part in _split(values, cells)
            )
        logs = np.log(np.maximum(values, positive.min()))
        low, high = float(np.log(positive.min())), float(np.log(positive.max()))
        zeros = bool((values == 0).any())
        slack = max(LEAST_SPAN - (high - low), 0.0) / 2
        low, high = low - slack, high + slack
        # Where there are zeros, the lowest level is theirs alone.
        first = 1 if zeros else 0
        bars = []
        for part, whole in zip(_split(logs, cells), _split(values, cells), strict=True):
            height = float(part.mean())
            if (whole == 0).any():
                bars.append(levels[0])
                continue
            if not np.isfinite(height):
                bars.append(BROKEN)
                continue
            # Rounding to nearest keeps a steady line at one level in spite of rounding noise.
            place = (height - low) / (high - low) * (len(levels) - 1 - first)
            bars.append(levels[first + round(place)])
        return "".join(bars)


def _split(values: FloatArray, cells: int) -> list[FloatArray]:
    """Return `values` split into at most `cells` consecutive parts of nearly equal length."""
    count = min(cells, len(values))
    return np.split(values, np.arange(1, count) * len(values) // count)
