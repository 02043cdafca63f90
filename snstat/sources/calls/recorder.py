"""Sees the calls of a model of any framework but PyTorch, and collects their rows."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np

from snstat.engine.tensor import NOT_TOLD
from snstat.results.module import Left, NonFinite
from snstat.sources.calls.axes import Key, Reader
from snstat.sources.calls.framework import Array, Part
from snstat.sources.calls.measure import Values, measure_array
from snstat.sources.calls.parts import parts_of
from snstat.sources.calls.row import Row, Rows
from snstat.sources.calls.still import NAMED

ArrayOf = Callable[[Any], Array | str | None]


def leaves_of(value: Any, array: ArrayOf, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield what an output holds: its place, itself, and it as an array, or why it is none that can
    be measured."""
    found = array(value)
    if isinstance(found, np.ndarray):
        yield place, value, found if _floating(found) and found.size else _obstacle(found)
    elif found is not None:
        yield place, value, found
    elif (inner := parts_of(value, place)) is None:
        yield place, value, "None" if value is None else type(value).__name__
    else:
        for name, part in inner:
            yield from leaves_of(part, array, place + name)


def plain(array: Array) -> Values:
    """Return values as the kernels take them, float32 or float64."""
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)


class Recorder:
    """Collects the rows of all trials, of the paths that are `chosen`, if any are; see Seen. Axes
    are not known without a `reader`."""

    def __init__(self, array: ArrayOf, chosen: Collection[str] | None = None) -> None:
        self._array, self._chosen = array, chosen
        self.reader: Reader | None = None
        self.trial = 0
        self.rows = Rows()
        self.called: set[str] = set()
        self.skipped: dict[Key, Left] = {}
        self.nonfinite: NonFinite | None = None
        self._calls: Counter[str] = Counter()
        self._within: list[Part] = []
        # Arrays that were measured, as long as they live.
        self._known: dict[int, tuple[weakref.ref[Any], Row]] = {}

    def begin(self, trial: int) -> None:
        """Begin a trial."""
        self.trial = trial
        self.rows.begin()
        self._calls.clear()
        self._within.clear()
        self._known.clear()

    def before(self, part: Part) -> None:
        """See a call begin."""
        self._within.append(part)

    def failed(self) -> None:
        """See a call end without a result."""
        self._within.pop()

    def after(self, part: Part, arguments: Any, output: Any) -> list[tuple[Row, Any]]:
        """See what a call returned, and return the rows that are its own, with their arrays."""
        self._within.pop()
        self._calls[part.path] += 1
        self.called.add(part.path)
        call, found = self._calls[part.path], []
        leaves = [*leaves_of(output, self._array)]
        if self.nonfinite is None and not _finite(leaves):
            self._tell(part, call, arguments)
        if self._chosen is not None and part.path not in self._chosen:
            return []
        for place, value, array in leaves:
            key = part.path, call, place
            if isinstance(array, str):
                self.skipped.setdefault(key, Left(part.path, array, call, place))
            elif (row := self._measure(key, part, value, array)) is not None:
                found.append((row, value))
        return found

    def _measure(self, key: Key, part: Part, value: Any, array: Array) -> Row | None:
        """Measure an array, and return its row, None if it is that of another row."""
        known = self._known.get(id(value))
        same = known[1] if known is not None and known[0]() is value else None

        def new() -> Row:
            axes = None
            if self.reader is not None:
                axes = self.reader.axes(key, part, array.shape, packed=False)
            return Row(*key, part.kind, array.shape, str(array.dtype), axes, same)

        row = self.rows.at(key, array.shape, new)
        if same is not None and row.same_as is same:
            row.values[self.trial] = same.values[self.trial]
            return None
        row.part()
        batch = 0 if self.reader is None else self.reader.batch
        still = NAMED.get(part.activation, NOT_TOLD)
        row.values[self.trial] = measure_array(plain(array), row.axes, batch, still)
        if same is None:
            self._known[id(value)] = weakref.ref(value), row
        return row

    def _tell(self, part: Part, call: int, arguments: Any) -> None:
        """Say which call made a value that is not finite: `part`, or the code before it."""
        own = self._within[-1] if self._within else part
        if _finite([*leaves_of(arguments, self._array)]):
            self.nonfinite = NonFinite(self.trial, part.path, call, part.kind, inputs_finite=True)
        elif own is part:  # the inputs of the whole model
            self.nonfinite = NonFinite(self.trial, part.path, call, part.kind, inputs_finite=False)
        else:
            self.nonfinite = NonFinite(
                self.trial, own.path, self._calls[own.path] + 1, own.kind, True, part.path
            )


def _floating(array: Array) -> bool:
    """Return whether an array holds floats, those of short types included."""
    return array.dtype.kind == "f" or array.dtype.name == "bfloat16"


def _obstacle(array: Array) -> str:
    return "no elements" if _floating(array) else str(array.dtype)


def _finite(leaves: list[tuple[str, Any, Any]]) -> bool:
    return all(
        isinstance(array, str) or bool(np.isfinite(plain(array)).all()) or _mask(array)
        for _, _, array in leaves
    )


def _mask(array: Array) -> bool:
    """Return whether an array holds nothing but 0 and −∞, as masks of attention do."""
    return bool(((array == 0) | (array == -np.inf)).all())
