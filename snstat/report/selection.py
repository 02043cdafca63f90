"""Which layers a table shows: every power of two, all of them, or a list with ranges."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from snstat.errors import InvalidValueError, nearest

# 18 digits exceed any depth, and int() is slow or fails for thousands of digits.
_ITEM = re.compile(r"([0-9]{1,18}|last)(?:\s*-\s*([0-9]{1,18}|last))?", re.ASCII)
# The end of a range: the number of a layer, or None for the last one.
End = int | None


@dataclass(frozen=True, slots=True)
class LayerSelection:
    """A choice of layers, made before the depth is known.

    `kind` is "log" (0, 1, 2, 4, 8, ... and the last), "all" or "list"; `spans` are the first and
    last layers of the ranges of a list; None means the last layer of the stack.
    """

    kind: Literal["log", "all", "list"]
    spans: tuple[tuple[End, End], ...] = ()

    def require_within(self, depth: int) -> None:
        """Raise InvalidValueError when a listed layer is beyond `depth`."""
        beyond = [end for span in self.spans for end in span if end is not None and end > depth]
        if beyond:
            raise InvalidValueError(
                "layers",
                max(beyond),
                f"at most the depth, {depth}",
                "choose a layer within the depth, or a deeper stack",
            )

    def size(self, depth: int) -> int:
        """Return how many layers `rows` lists, counted twice where ranges of a list overlap."""
        if self.kind == "log":
            return len(self.rows(depth))
        ends = [
            (depth if first is None else first, depth if last is None else last)
            for first, last in self.spans or ((0, depth),)
        ]
        return sum(last - first + 1 for first, last in ends)

    def rows(self, depth: int) -> list[int]:
        """Return the layers of a stack of `depth` layers, ascending.

        Raises InvalidValueError when a listed layer is beyond `depth`.
        """
        self.require_within(depth)
        if self.kind == "all":
            return list(range(depth + 1))
        if self.kind == "list":
            ends = [tuple(depth if end is None else end for end in span) for span in self.spans]
            return sorted({layer for first, last in ends for layer in range(first, last + 1)})
        powers = [1 << exponent for exponent in range(depth.bit_length())]
        return sorted({0, *(layer for layer in powers if layer <= depth), depth})


LOG = LayerSelection("log")
ALL = LayerSelection("all")


def _remedy(item: str) -> str:
    near = nearest(item, ("log", "all", "last")) if item.isalpha() else []
    return f"did you mean {near[0]!r}?" if near else "write for example 0,1,8-16,last"


def parse_layers(text: str) -> LayerSelection:
    """Return the selection that `text` names: "log", "all", or a list such as "0,1,8-16,last".

    Raises InvalidValueError for anything else.
    """
    word = text.strip().lower()
    if word == "log":
        return LOG
    if word == "all":
        return ALL
    spans = []
    for item in word.split(","):
        found = _ITEM.fullmatch(item.strip())
        if found is None:
            raise InvalidValueError(
                "layers",
                text,
                "log, all, or numbers from 0, ranges and last, separated by commas",
                _remedy(item.strip()),
            )
        first, last = (
            None if end == "last" else int(end) for end in (found[1], found[2] or found[1])
        )
        if last is not None and (first is None or first > last):
            raise InvalidValueError(
                "layers",
                text,
                "ranges from a lower to a higher layer",
                f"reverse {item.strip()}",
            )
        spans.append((first, last))
    return LayerSelection("list", tuple(spans))
