"""One colour, marker and dash for each activation, in every figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snstat.report.figures.style import Style

# The position in this list sets the look of an activation: append new ones, never reorder.
ORDER = (
    "selu", "relu", "tanh", "gelu", "elu", "silu", "leaky_relu", "sigmoid", "softplus", "erf",
    "hard_tanh", "identity", "mish", "relu6", "softsign", "hard_sigmoid", "hard_swish",
    "gelu_tanh", "relu_squared", "sine",
)  # fmt: skip
# Dashes differ in greyscale too. Seven colours and eight markers make 56 different pairs.
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")


@dataclass(frozen=True, slots=True)
class Series:
    """The look of one run or curve: `line` is the dash of theory, `marker` that of simulation."""

    color: str
    marker: str
    line: Any


def series_of(activations: Sequence[str], style: Style) -> list[Series]:
    """Return the looks of the curves of `activations`.

    Each has the look of its activation. If two share an activation or one is not in `ORDER`, looks
    follow the position.
    """
    bases = [name.partition(":")[0] for name in activations]
    if len(set(bases)) == len(bases) and all(base in ORDER for base in bases):
        places = [ORDER.index(base) for base in bases]
    else:
        places = list(range(len(bases)))
    return [
        Series(
            style.cycle[place % len(style.cycle)],
            MARKERS[place % len(MARKERS)],
            DASHES[place % len(DASHES)],
        )
        for place in places
    ]
