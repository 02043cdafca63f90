"""What layers are called in another network, where layers without a name may have other places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from snstat.results.network import INPUT

Form = Mapping[str, Any]
# Where the form of a container has layers.
LAYERS, SHORTCUT = "layers", "shortcut"
# Pairs of layers among which the best alignment is searched; of more, those of one place are pairs.
MOST_PAIRS = 10**6
# What a pair of one kind is worth, and what it is worth more if all keys are equal.
ALIKE, EQUAL = 10**6, 1


class Counterpart(NamedTuple):
    """What a layer is called among its siblings in the other network, and its two forms."""

    label: str
    ours: Form
    theirs: Form


class Alignment:
    """The layers of the network `ours` in the network `theirs`, by their forms.

    Layers with a name are matched by it. Those without are called by their places, which an
    inserted layer shifts. So they are aligned in order: as many pairs of one kind as possible, and
    among these as many as possible of equal keys.
    """

    def __init__(self, ours: Form, theirs: Form) -> None:
        self._ours, self._theirs = ours, theirs
        self._same = ours[LAYERS] == theirs[LAYERS]
        # By the identity of two lists of layers.
        self._pairs: dict[tuple[int, int], Mapping[str, Counterpart]] = {}

    def name(self, name: str) -> str | None:
        """Return what the row `name` is called there, None without a counterpart. The kind of one
        with a name may be another one. The input, of whatever network, is no layer."""
        if self._same or name == INPUT:
            return name
        found = self._within(tuple(name.split(".")), self._ours, self._theirs)
        return None if found is None else ".".join(found)

    def _within(self, path: tuple[str, ...], ours: Form, theirs: Form) -> tuple[str, ...] | None:
        """Return the path, within a container, as it is there; None if it is not there."""
        turn: tuple[str, ...] = ()
        if "times" in ours and path:
            turn, path = path[:1], path[1:]
        if not path:
            return turn
        label, inner = path[0], path[1:]
        pair = self._among(ours.get(LAYERS, ()), theirs.get(LAYERS, ())).get(label)
        if label == SHORTCUT and pair is None and SHORTCUT in ours and SHORTCUT in theirs:
            pair = Counterpart(SHORTCUT, {LAYERS: ours[SHORTCUT]}, {LAYERS: theirs[SHORTCUT]})
        if pair is None or ("times" in ours) != ("times" in theirs):
            return None
        rest = self._within(inner, pair.ours, pair.theirs)
        return None if rest is None else (*turn, pair.label, *rest)

    def _among(self, ours: Sequence[Form], theirs: Sequence[Form]) -> Mapping[str, Counterpart]:
        key = id(ours), id(theirs)
        if key not in self._pairs:
            self._pairs[key] = _paired(ours, theirs)
        return self._pairs[key]


def _paired(ours: Sequence[Form], theirs: Sequence[Form]) -> dict[str, Counterpart]:
    """Return the counterparts of the layers of one list in another, by what they are called."""
    named = {own["name"]: own for own in theirs if "name" in own}
    found = {
        own["name"]: Counterpart(own["name"], own, named[own["name"]])
        for own in ours
        if own.get("name") in named
    }
    mine, others = ([(str(n), own) for n, own in enumerate(layers) if "name" not in own]
                    for layers in (ours, theirs))  # fmt: skip
    for first, second in _aligned([own for _, own in mine], [own for _, own in others]):
        (label, own), (there, other) = mine[first], others[second]
        found[label] = Counterpart(there, own, other)
    return found


def _aligned(ours: Sequence[Form], theirs: Sequence[Form]) -> list[tuple[int, int]]:
    """Return pairs of places, both in ascending order, of layers of one kind: those that are worth
    most together."""
    begin, longest = 0, min(len(ours), len(theirs))
    while begin < longest and ours[begin] == theirs[begin]:
        begin += 1
    end = 0
    while end < longest - begin and ours[-1 - end] == theirs[-1 - end]:
        end += 1
    first, second = ours[begin : len(ours) - end], theirs[begin : len(theirs) - end]
    pairs = [(begin + i, begin + j) for i, j in _best(first, second)]
    ends = [(len(ours) - n, len(theirs) - n) for n in range(end, 0, -1)]
    return [*((n, n) for n in range(begin)), *pairs, *ends]


def _best(ours: Sequence[Form], theirs: Sequence[Form]) -> list[tuple[int, int]]:
    """Return the pairs that are worth most, by a table over the rest of both lists."""
    rows, columns = len(ours), len(theirs)
    if rows * columns > MOST_PAIRS:
        return [(n, n) for n in range(min(rows, columns)) if _worth(ours[n], theirs[n])]
    best = np.zeros((rows + 1, columns + 1), np.int64)
    worth = np.array([[_worth(a, b) for b in theirs] for a in ours], np.int64)
    worth = worth.reshape(rows, columns)  # of no layers too
    for i in range(rows - 1, -1, -1):
        row = np.maximum(best[i + 1, :-1], worth[i] + best[i + 1, 1:])
        best[i, :-1] = np.maximum.accumulate(row[::-1])[::-1]
    found, i, j = [], 0, 0
    while i < rows and j < columns:
        if worth[i, j] and best[i, j] == worth[i, j] + best[i + 1, j + 1]:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif best[i, j] == best[i + 1, j]:
            i += 1
        else:
            j += 1
    return found


def _worth(ours: Form, theirs: Form) -> int:
    if ours["kind"] != theirs["kind"]:
        return 0
    return ALIKE + (EQUAL if ours == theirs else 0)
