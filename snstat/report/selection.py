"""Which layers a table shows: every power of two, all of them, or a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from snstat.errors import InvalidValueError


@dataclass(frozen=True, slots=True)
class LayerSelection:
    """A choice of layers, made before the depth is known.

    `kind` is "log" (0, 1, 2, 4, 8, ... and the last), "all" or "list"; `layers` are the numbers
    of a list, ascending and without repetition, and empty otherwise.
    """

    kind: Literal["log", "all", "list"]
    layers: tuple[int, ...] = ()

    def require_within(self, depth: int) -> None:
        """Raise InvalidValueError when a listed layer is beyond `depth`."""
        if self.layers and self.layers[-1] > depth:
            raise InvalidValueError(
                "layers",
                self.layers[-1],
                f"at most the depth, {depth}",
                "ask for a layer that exists, or for a deeper stack",
            )

    def rows(self, depth: int) -> list[int]:
        """Return the layers of a stack of `depth` layers, ascending.

        Raises InvalidValueError when a listed layer is beyond `depth`.
        """
        self.require_within(depth)
        if self.kind == "all":
            return list(range(depth + 1))
        if self.kind == "list":
            return list(self.layers)
        powers = [1 << exponent for exponent in range(depth.bit_length())]
        return sorted({0, *(layer for layer in powers if layer <= depth), depth})


LOG = LayerSelection("log")
ALL = LayerSelection("all")


def parse_layers(text: str) -> LayerSelection:
    """Return the selection that `text` names: "log", "all", or a list such as "0,1,8,64".

    Raises InvalidValueError for anything else.
    """
    word = text.strip().lower()
    if word == "log":
        return LOG
    if word == "all":
        return ALL
    items = [item.strip() for item in word.split(",")]
    # Eighteen digits are far beyond any depth, and int() is slow or refuses at thousands of them.
    if not all(item.isascii() and item.isdecimal() and len(item) <= 18 for item in items):
        raise InvalidValueError(
            "layers",
            text,
            "log, all, or whole numbers from 0 separated by commas",
            "write for example 0,1,8,64",
        )
    return LayerSelection("list", tuple(sorted({int(item) for item in items})))
