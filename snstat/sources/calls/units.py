"""Which axis of a tensor holds the units: told by the kind of module that returned it.

Modules that keep shapes, such as activations, have the units of the last tensor of that shape, or
of the last one with as many axes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Sizes = tuple[int, ...]

# Tensors of more axes than sequences have are images, if there are convolutions.
SEQUENCE = 3


class Units:
    """Tells the units of tensors in the order of calls. `decided` returns the axis of units that
    the kind of module decides for a shape, or None."""

    def __init__(self, decided: Callable[[Any, Sizes], int | None]) -> None:
        self.decided = decided
        # Units of the last tensor of each shape, and of each number of axes.
        self._by_shape: dict[Sizes, int] = {}
        self._by_ndim: dict[int, int] = {}
        self._images = False

    def of(self, module: Any, shape: Sizes, taken: Sizes) -> int | None:
        """Return the axis of units of what a module returned, None if there is none left beside
        the `taken` ones, of samples."""
        free = [axis for axis in range(len(shape)) if axis not in taken]
        if not free:
            return None
        own = self.decided(module, shape)
        # Alike for every batch.
        shape = tuple(0 if axis in taken else size for axis, size in enumerate(shape))
        if own is not None and own in free:
            self._by_shape[shape], self._by_ndim[len(shape)] = own, own
            self._images |= own == 1 and len(shape) > SEQUENCE
            return own
        known = self._by_shape.get(shape, self._by_ndim.get(len(shape)))
        if known is None:
            known = 1 if self._images and len(shape) > SEQUENCE else len(shape) - 1
        return known if known in free else free[-1]

    def of_input(self, shape: Sizes, taken: Sizes) -> int | None:
        """Return the axis of units of an input, after all calls were seen."""
        free = [axis for axis in range(len(shape)) if axis not in taken]
        known = self._by_ndim.get(len(shape), len(shape) - 1)
        if len(shape) > SEQUENCE and self._images:
            known = 1
        return None if not free else known if known in free else free[-1]
