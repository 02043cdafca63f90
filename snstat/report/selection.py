"""Which layers a table shows: every power of two, all of them, or a list with ranges and names."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from snstat.errors import InvalidValueError, nearest
from snstat.results import StackSummary

if TYPE_CHECKING:
    from snstat.results import ModuleSummary, NetworkSummary, Subject

# 18 digits exceed any depth, and int() is slow or fails for thousands of digits.
_ITEM = re.compile(r"([0-9]{1,18}|last)(?:\s*-\s*([0-9]{1,18}|last))?", re.ASCII)
# Names of layers, joined by dots, with the wildcards of file names, and the number of a call; and
# of functions, after a colon.
_NAMES = re.compile(r"[A-Za-z_*?\[][\w.:*?\[\]!#-]{0,999}|[0-9]+(?:[.:][\w.*?\[\]!#-]+)+", re.ASCII)
# Each chooses all rows, so a list has no use for it, unless a layer is called so.
WORDS = ("log", "all", "top")
# So many names are compared with an unknown one.
MOST_COMPARED = 1000
# The end of a range: the number of a layer, or None for the last one.
End = int | None


@dataclass(frozen=True, slots=True)
class LayerSelection:
    """A choice of layers, made before the depth is known.

    `kind` is "log" (0, 1, 2, 4, 8, ... and the last), "all", "top" (layers that are not within a
    residual) or "list"; `spans` are the first and last layers of the ranges of a list; None means
    the last layer of the network. `names` are the names and patterns of a list; that of a container
    stands for the layers that it holds.
    """

    kind: Literal["log", "all", "top", "list"]
    spans: tuple[tuple[End, End], ...] = ()
    names: tuple[str, ...] = ()

    def require_within(self, depth: int) -> None:
        """Raise InvalidValueError when a listed layer is beyond `depth`."""
        beyond = [end for span in self.spans for end in span if end is not None and end > depth]
        if beyond:
            raise InvalidValueError(
                "layers",
                max(beyond),
                f"at most the depth, {depth}",
                "choose a layer within the depth, or a deeper network",
            )

    @property
    def by_name(self) -> bool:
        """Whether the choice depends on what the layers are."""
        return bool(self.names) or self.kind == "top"

    def size(self, depth: int) -> int:
        """Return how many layers there may be at most; where ranges overlap, they count twice."""
        if self.by_name:
            return depth + 1
        if self.kind == "log":
            return len(self.rows(depth))
        ends = [
            (depth if first is None else first, depth if last is None else last)
            for first, last in self.spans or ((0, depth),)
        ]
        return sum(last - first + 1 for first, last in ends)

    def of(self, subject: Subject) -> list[int]:
        """Return the layers of a network, ascending.

        Raises InvalidValueError when a listed layer is beyond its depth, and for names that no
        layer has.
        """
        if isinstance(subject, StackSummary):
            if self.names:
                raise _unknown(self.names[0], "numbers, as the layers of a stack have no names")
            return self.rows(subject.depth)
        found = set(self.rows(subject.depth))
        for name in self.names:
            named = _named(name, subject)
            if not named:
                raise _no_layer(name, subject)
            found.update(named)
        if subject.what == "module":
            if self.kind != "list":  # what repeats the tensor of another row is shown if asked for
                found &= set(subject.distinct)
        elif self.kind == "top":
            found = {n for n in found if not subject.layers[n].inner}
        return sorted(found)

    def rows(self, depth: int) -> list[int]:
        """Return the layers of a network of `depth` layers, ascending, without those of `names`.

        Raises InvalidValueError when a listed layer is beyond `depth`.
        """
        self.require_within(depth)
        if self.kind in ("all", "top"):
            return list(range(depth + 1))
        if self.kind == "list":
            ends = [tuple(depth if end is None else end for end in span) for span in self.spans]
            return sorted({layer for first, last in ends for layer in range(first, last + 1)})
        powers = [1 << exponent for exponent in range(depth.bit_length())]
        return sorted({0, *(layer for layer in powers if layer <= depth), depth})


LOG = LayerSelection("log")
ALL = LayerSelection("all")
TOP = LayerSelection("top")
# More calls of a module than these are not all shown, unless they are asked for.
MOST_CALLS = 200


def usual(subject: Subject) -> LayerSelection:
    """Return the layers that are shown where nothing is said: all calls of a module, unless there
    are very many, and of other networks 0, 1, 2, 4, 8, ... and the last."""
    few = subject.what == "module" and subject.depth <= MOST_CALLS
    return ALL if few else LOG


def _remedy(item: str) -> str:
    if item.lower() in WORDS:
        return f"give {item} alone, not in a list"
    near = nearest(item, (*WORDS, "last")) if item.isalpha() else []
    return f"did you mean {near[0]!r}?" if near else "write for example 0,1,8-16,last"


def _unknown(name: str, bound: str, remedy: str = "") -> InvalidValueError:
    return InvalidValueError("layers", name, bound, remedy or _remedy(name))


def _named(name: str, subject: NetworkSummary | ModuleSummary) -> list[int]:
    """Return the layers that a name, of a layer or of a container, or a pattern stands for. That of
    a module stands for all its calls, and those of the functions that its code calls."""
    pattern = re.compile(f"{fnmatch.translate(name)}|{fnmatch.translate(f'{name}[.:]*')}")
    return [
        n
        for n in range(subject.depth + 1)
        if pattern.match(subject.row(n).name)
        or (n and subject.what == "module" and pattern.match(subject.rows[n - 1].path))
    ]


def _no_layer(name: str, subject: NetworkSummary | ModuleSummary) -> InvalidValueError:
    """Return the error for a name that no layer has, with what may be meant."""
    remedy = "snstat show FILE.toml --layers all lists the names"
    if subject.what == "module":
        remedy = "--layers all lists the names"
    compared = range(min(subject.depth + 1, MOST_COMPARED))
    names = {subject.row(n).name.lower(): subject.row(n).name for n in compared}
    near = [names[word] for word in nearest(name.lower(), names)]
    if name.lower() in WORDS:
        remedy = ""
    elif _named(name.lower(), subject):  # a container, or a pattern
        remedy = f"did you mean {name.lower()!r}?"
    elif near:
        remedy = f"did you mean {near[0]!r}?"
    elif _named(f"*.{name}", subject):
        remedy = f"did you mean '*.{name}'?"
    return _unknown(name, f"the name of a layer of {subject.called}", remedy)


def parse_layers(text: str) -> LayerSelection:
    """Return the selection that `text` names: "log", "all", "top", or a list of numbers, ranges and
    names such as "0,1,8-16,last,encoder.*.attention".

    Raises InvalidValueError for anything else.
    """
    word = text.strip().lower()
    if word == "log":
        return LOG
    if word == "all":
        return ALL
    if word == "top":
        return TOP
    spans, names = [], []
    for item in text.split(","):
        found = _ITEM.fullmatch(item.strip().lower())
        if found is None and _NAMES.fullmatch(item.strip()):
            names.append(item.strip())
            continue
        if found is None:
            raise InvalidValueError(
                "layers",
                text,
                "log, all, top, or numbers from 0, ranges, last and names, separated by commas",
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
    return LayerSelection("list", tuple(spans), tuple(names))
