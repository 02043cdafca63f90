"""One colour and marker for each activation, in every figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snstat.activation import ACTIVATIONS

if TYPE_CHECKING:
    from snstat.report.figures.style import Style

# Their looks were given before the table had the others, which follow in its order.
_FIRST = (
    "selu", "relu", "tanh", "gelu", "elu", "silu", "leaky_relu", "sigmoid", "softplus", "erf",
    "hard_tanh", "identity", "mish", "relu6", "softsign", "hard_sigmoid", "hard_swish",
)  # fmt: skip
# The position in this list sets the look of an activation.
ORDER = tuple(dict.fromkeys((*_FIRST, *ACTIVATIONS)))
# Dashes differ in greyscale too. Seven colours and eight markers make 56 different pairs.
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)))
# How much more of the ink is mixed into the colour of each further curve, and into that of the last
# at most. Lighter colours would not be seen on the ground.
STEP, MOST_INK = 0.4, 0.8
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")


@dataclass(frozen=True, slots=True)
class Series:
    """The look of one run or curve: `line` is the dash of theory, `marker` that of simulation."""

    color: str
    marker: str
    line: Any


def series_of(activations: Sequence[str], style: Style) -> list[Series]:
    """Return the looks of the curves of `activations`.

    An activation has one colour and one marker in every figure. Several curves of one activation
    have shades of that colour, nearer to the ink from curve to curve, and other dashes. Names that
    are not in `ORDER`, those of networks, follow it, and begin anew where no activation is drawn.
    """
    bases = [name.partition(":")[0] for name in activations]
    known = ORDER if any(base in ORDER for base in bases) else ()
    order = list(dict.fromkeys((*known, *bases)))
    looks, seen = [], dict.fromkeys(bases, 0)
    for base in bases:
        place, number = order.index(base), seen[base]
        seen[base] += 1
        color, marker = style.cycle[place % len(style.cycle)], MARKERS[place % len(MARKERS)]
        dash = DASHES[(place + number) % len(DASHES)]
        ink = number * min(STEP, MOST_INK / max(bases.count(base) - 1, 1))
        looks.append(Series(_mixed(color, style.ink, ink), marker, dash))
    return looks


def _mixed(color: str, other: str, share: float) -> str:
    """Return a colour with a `share` of another."""
    mixed = [
        round((1.0 - share) * int(color[at : at + 2], 16) + share * int(other[at : at + 2], 16))
        for at in (1, 3, 5)
    ]
    return "#{:02x}{:02x}{:02x}".format(*mixed)
