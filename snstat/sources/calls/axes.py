"""What the axes of a tensor are: samples, positions and units.

Which axes are samples is probed: the module runs with batches of 2 and of 3, and an axis that goes
from 2k to 3k holds samples, k > 1 if merged with positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from snstat.errors import InvalidValueError
from snstat.results.module import Axes
from snstat.sources.calls.units import Sizes, Units
from snstat.values.tracing import FOUND

PROBED, KIND, GIVEN = FOUND
BATCHES = (2, 3)

Key = tuple[str, int, str]
Pair = tuple[Sizes | None, Sizes | None]


class Reader:
    """Tells the axes of tensors. `probed` are the sizes of each tensor for both batches, in the
    order of calls (None if that was not possible), and `modules` those that returned them. `batch`
    is that of the trace, `given` are axes by globs of names, and `units` tells which hold units."""

    def __init__(
        self,
        probed: Mapping[Key, Pair] | None,
        batch: int,
        given: Mapping[str, str],
        units: Units,
        modules: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.batch = batch
        self._probed, self._given = probed, given
        self._units = units
        self._known: dict[Key, int | None] = {}
        # Sizes of tensors that are known to have no axis of samples, with the batch.
        self._without: set[tuple[int, Sizes]] = set()
        low, high = BATCHES
        known = ((key, large) for key, (small, large) in (probed or {}).items() if small)
        self._units.begin((modules[key[0]], large) for key, large in known if large)
        for key, (small, large) in (probed or {}).items():
            if small is None or large is None:
                continue
            found = samples_of((small, low), (large, high), (large, high))
            if found is not None:
                taken = (*found[0], *found[1])
                self._known[key] = self._units.of(modules[key[0]], large, taken)

    def axes(self, key: Key, module: Any, shape: Sizes, *, packed: bool) -> Axes | None:
        """Return the axes of a tensor, None if unknown."""
        for glob, letters in self._given.items():
            if fnmatchcase(key[0], glob):
                return read_axes(letters, len(shape), key[0])
        found = None if packed or not shape else self._samples(key, module, shape)
        if found is None:
            return None
        sample, merged, how = found
        taken = (*sample, *merged)
        unit = self._known[key] if key in self._known else self._units.of(module, shape, taken)
        return _axes(shape, taken, merged, unit, how)

    def input_axes(self, shape: Sizes, sample: int | None) -> Axes:
        """Return the axes of an input, after all calls were seen."""
        taken = () if sample is None else (sample,)
        return _axes(shape, taken, (), self._units.of_input(shape, taken), PROBED)

    def _samples(self, key: Key, module: Any, shape: Sizes) -> tuple[Sizes, Sizes, str] | None:
        """Return the axis of samples, the one merged with positions, and how they were found."""
        if self._probed is None:
            sample = self._sample_by_kind(module, shape)
            return None if sample is None else ((sample,), (), KIND)
        small, large = self._probed.get(key, (None, None))
        if small is None or large is None:
            return None
        low, high = BATCHES
        found = samples_of((small, low), (large, high), (shape, self.batch))
        return None if found is None else (*found, PROBED)

    def _sample_by_kind(self, module: Any, shape: Sizes) -> int | None:
        """Return the first axis with as many entries as the batch, None if there is none. An axis
        that the kind of module says holds units is no such axis, nor is the last of several."""
        unit, last = self._units.decided(module, shape), len(shape) - 1
        found = [
            axis
            for axis, size in enumerate(shape)
            if size == self.batch and axis != unit and (axis < last or axis == 0)
        ]
        own = self.batch, shape
        if unit is not None:  # which tells of what comes after it, of the same shape, too
            (self._without.discard if found else self._without.add)(own)
        return found[0] if found and own not in self._without else None


@lru_cache(maxsize=1024)  # the tensors of a deep model have few shapes
def samples_of(*sizes: tuple[Sizes, int]) -> tuple[Sizes, Sizes] | None:
    """Return the axis of samples, and the one where they are merged with positions, of a tensor
    with `sizes` for several batches; None if neither explains them."""
    shapes = [shape for shape, _ in sizes]
    if len({len(shape) for shape in shapes}) > 1:
        return None
    sample: list[int] = []
    merged: list[int] = []
    for axis, along in enumerate(zip(*shapes, strict=True)):
        if len(set(along)) == 1:
            continue
        share = along[0] // sizes[0][1]
        if share < 1 or along != tuple(share * batch for _, batch in sizes):
            return None
        if not sample and not merged:  # a second one, of products between samples, is none
            (sample if share == 1 else merged).append(axis)
    return tuple(sample), tuple(merged)


@lru_cache(maxsize=1024)  # as above
def _axes(shape: Sizes, taken: Sizes, merged: Sizes, unit: int | None, how: str) -> Axes:
    free = (axis for axis in range(len(shape)) if axis not in taken or axis in merged)
    positions = tuple(axis for axis in free if axis != unit)
    return Axes(taken, positions, () if unit is None else (unit,), how)


def require_matches(
    globs: Iterable[str], paths: Iterable[str], option: str = "axes", words: str = "a module"
) -> None:
    """Raise InvalidValueError for a glob of an option that matches no path of `words`."""
    known = list(paths)
    for glob in globs:
        if not any(fnmatchcase(path, glob) for path in known):
            raise InvalidValueError(option, glob, f"a glob that matches the path of {words}")


def read_axes(letters: str, ndim: int, path: str) -> Axes:
    """Read axes as they are typed: a letter or "SP" for each axis, "S,U,P,P"."""
    words = letters.upper().split(",") if "," in letters else list(letters.upper())
    if len(words) != ndim or any(word not in ("S", "P", "U", "SP") for word in words):
        bound = f"S, P, U or SP for each of the {ndim} axes of {path}, such as S,P,U"
        raise InvalidValueError("axes", letters, bound)

    def having(letter: str) -> Sizes:
        return tuple(axis for axis, word in enumerate(words) if letter in word)

    if len(having("S")) > 1:
        raise InvalidValueError("axes", letters, "axes of which one holds samples")
    return Axes(having("S"), having("P"), having("U"), GIVEN)


def shape_of(shape: Sizes, axes: Axes | None, batch: int) -> tuple[int | str, ...]:
    """Return a shape with S for the samples, "4S" where they are merged with 4 positions. A call
    may have other samples than the `batch`."""
    if axes is None:
        return shape

    def size(axis: int) -> int | str:
        if axis not in axes.sample:
            return shape[axis]
        share, rest = divmod(shape[axis], batch)
        if rest:
            return shape[axis] if axis in axes.position else "S"
        return "S" if share == 1 else f"{share}S"

    return tuple(size(axis) for axis in range(len(shape)))
