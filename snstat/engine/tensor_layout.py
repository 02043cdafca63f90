"""How an array of samples, positions and units lies in memory.

Kernels read samples of rows and columns (`kernels.tensors.Layout`). Most tensors are that as they
are, whichever axis comes first: (samples, positions, units), images (samples, units, positions),
and sequences (positions, samples, units). Others are copied.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

Array = npt.NDArray[np.floating[Any]]
# The letters of axes.
SAMPLE, POSITION, UNIT = "S", "P", "U"


@dataclass(frozen=True)
class Group:
    """Axes of one meaning that lie in memory as one axis: its letter, its size, and the values
    from one entry to the next."""

    role: str
    size: int
    step: int


@dataclass(frozen=True)
class Arranged:
    """An array as kernels read it: `flat` from its first to its last value in memory, which are all
    its own if `dense`. `last` says whether columns are units."""

    flat: Array
    samples: int
    rows: int
    columns: int
    sample_step: int
    row_step: int
    last: bool

    @property
    def dense(self) -> bool:
        """Whether `flat` holds nothing else."""
        return self.flat.size == self.samples * self.rows * self.columns

    def sample(self, number: int) -> Array:
        """Return one sample as a matrix, a view."""
        flat = self.flat[number * self.sample_step :]
        item = flat.itemsize
        return as_strided(flat, (self.rows, self.columns), (self.row_step * item, item))

    @property
    def units(self) -> int:
        """The number of units."""
        return self.columns if self.last else self.rows

    @property
    def positions(self) -> int:
        """The number of positions of a sample."""
        return self.rows if self.last else self.columns


def arranged(array: Array, roles: str | None) -> Arranged:
    """Return an array, which is not empty, as kernels read it. It is copied only if it must be.

    `roles` has a letter for each axis; without them all values are units of one sample.
    """
    if roles is None:
        order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
        flat = np.ascontiguousarray(array.transpose(order)).reshape(-1).view()
        flat.flags.writeable = False  # as those of `_read`: kernels are compiled once for both
        return Arranged(flat, 1, 1, flat.size, flat.size, flat.size, last=True)
    found = _read(array, _groups(array, roles))
    if found is not None:
        return found
    order = sorted(range(array.ndim), key=lambda axis: "SPU".index(roles[axis]))
    copy = np.ascontiguousarray(array.transpose(order))
    found = _read(copy, _groups(copy, "".join(sorted(roles, key="SPU".index))))
    if found is None:
        raise AssertionError("axes in order are samples of matrices")
    return found


def _groups(array: Array, roles: str) -> list[Group]:
    """Return the axes of an array in the order of its memory, those of one meaning joined."""
    item = array.itemsize
    axes = [axis for axis, size in enumerate(array.shape) if size > 1]
    groups: list[Group] = []
    for axis in sorted(axes, key=lambda axis: -array.strides[axis]):
        own = Group(roles[axis], array.shape[axis], array.strides[axis] // item)
        if groups and groups[-1].role == own.role and groups[-1].step == own.size * own.step:
            own = Group(own.role, groups[-1].size * own.size, own.step)
            groups.pop()
        groups.append(own)
    return groups


def _read(array: Array, groups: list[Group]) -> Arranged | None:
    """Return an array of which each meaning is one axis, and the last one is no sample and has
    values side by side; None of others."""
    by_role = {group.role: group for group in groups}
    if len(by_role) < len(groups) or any(group.step <= 0 for group in groups):
        return None
    inner = groups[-1] if groups and groups[-1].role != SAMPLE else None
    if (inner is None and len(groups) > 1) or (inner is not None and inner.step != 1):
        return None
    last = inner is None or inner.role == UNIT
    samples = by_role.get(SAMPLE, Group(SAMPLE, 1, array.size))
    rows = by_role.get(POSITION if last else UNIT, Group("", 1, inner.size if inner else 1))
    columns = inner.size if inner else 1
    extent = 1 + math.fsum((group.size - 1) * group.step for group in groups)
    flat = as_strided(array, (int(extent),), (array.itemsize,), writeable=False)
    return Arranged(flat, samples.size, rows.size, columns, samples.step, rows.step, last=last)
