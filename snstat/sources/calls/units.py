"""Which axis of a tensor holds the units: told by the kind of module that returned it.

Modules that keep shapes, such as activations, have the units of the last tensor of that shape, or
of the last one with as many axes; before the first one that tells, its units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

Sizes = tuple[int, ...]

# Tensors of more axes than sequences have are images, if there are convolutions.
SEQUENCE = 3


class First(NamedTuple):
    """What the first module that tells says of tensors with so many axes: the `axis` of units, and
    how many units it reads, None if that is not known."""

    axis: int
    reads: int | None

    def of(self, shape: Sizes) -> int | None:
        """Return the axis of units of a tensor that it may read, None for another one."""
        if self.reads is None or shape[self.axis] == self.reads:
            return self.axis
        return len(shape) - 1 if shape[-1] == self.reads else None


def reads_nothing(_module: Any) -> int | None:
    """Return None: how many units a module reads is not known."""
    return None


class Units:
    """Tells the units of tensors in the order of calls. `decided` returns the axis of units that
    the kind of module decides for a shape, or None, and `reads` how many units it reads."""

    def __init__(
        self,
        decided: Callable[[Any, Sizes], int | None],
        reads: Callable[[Any], int | None] = reads_nothing,
    ) -> None:
        self.decided, self._reads = decided, reads
        self._first: dict[int, First] = {}
        # Units of the last tensor of each shape, and of each number of axes.
        self._by_shape: dict[Sizes, int] = {}
        self._by_ndim: dict[int, int] = {}
        self._images = False

    def begin(self, calls: Iterable[tuple[Any, Sizes]]) -> None:
        """Look at what comes: all modules that are called, in their order, and the shapes of what
        they return."""
        for module, shape in calls:
            axis = self.decided(module, shape)
            if axis is not None:
                self._first.setdefault(len(shape), First(axis, self._reads(module)))

    def of(self, module: Any, shape: Sizes, taken: Sizes) -> int | None:
        """Return the axis of units of what a module returned, None if there is none left beside
        the `taken` ones, of samples."""
        free = [axis for axis in range(len(shape)) if axis not in taken]
        if not free:
            return None
        own = self.decided(module, shape)
        first = self._first[len(shape)].of(shape) if len(shape) in self._first else None
        # Alike for every batch.
        shape = tuple(0 if axis in taken else size for axis, size in enumerate(shape))
        if own is not None and own in free:
            self._by_shape[shape], self._by_ndim[len(shape)] = own, own
            self._images |= own == 1 and len(shape) > SEQUENCE
            return own
        known = self._by_shape.get(shape, self._by_ndim.get(len(shape), first))
        if known is None:
            known = 1 if self._images and len(shape) > SEQUENCE else len(shape) - 1
        return known if known in free else free[-1]

    def of_input(self, shape: Sizes, taken: Sizes) -> int | None:
        """Return the axis of units of an input, after all calls were seen."""
        free = [axis for axis in range(len(shape)) if axis not in taken]
        known = self._by_ndim.get(len(shape), len(shape) - 1)
        if len(shape) > SEQUENCE and self._images:
            known = 1
        if len(shape) in self._first and (first := self._first[len(shape)].of(shape)) is not None:
            known = first
        return None if not free else known if known in free else free[-1]
