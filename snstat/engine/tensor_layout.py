"""How an array of samples, positions and units lies in memory.

Kernels read samples of rows and columns (`kernels.tensors.Layout`). Most tensors are that as they
are, whichever axis comes first: (samples, positions, units), images (samples, units, positions),
and sequences (positions, samples, units). Others are copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

Array = npt.NDArray[np.floating[Any]]
# The letters of axes, in the order in which a copy has them.
SAMPLE, POSITION, UNIT = ROLES = "SPU"
Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """Axes of one meaning that lie in memory as one axis: its letter, its size, and the values
    from one entry to the next."""

    role: str
    size: int
    step: int


@dataclass(frozen=True, eq=False)
class Plan:
    """How kernels read arrays of one shape: their arguments `layout` and `knows`, and the number of
    values from the first to the last in memory."""

    layout: npt.NDArray[np.int64]
    knows: npt.NDArray[np.bool_]
    extent: int


def arranged(array: Array, roles: str | None) -> tuple[Array, Plan]:
    """Return the values of an array, which is not empty, from the first to the last in memory, and
    how they are read. It is copied only if it must be.

    `roles` has a letter for each axis; without them all values are units of one sample.
    """
    if roles is None:
        order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
        flat = np.ascontiguousarray(array.transpose(order)).reshape(-1)
        return _kept(flat), _plan_of_all(flat.size)
    plan = _plan(array.shape, array.strides, array.itemsize, roles)
    if plan is None:
        places = [ROLES.index(role) for role in roles]
        order = sorted(range(array.ndim), key=places.__getitem__)
        array = np.ascontiguousarray(array.transpose(order))
        roles = "".join(sorted(roles, key=ROLES.index))
        plan = _plan(array.shape, array.strides, array.itemsize, roles)
    if plan is None:
        raise AssertionError("axes in order are samples of matrices")
    if array.flags.c_contiguous:
        return _kept(array.reshape(-1)), plan
    return as_strided(array, (plan.extent,), (array.itemsize,), writeable=False), plan


def _kept(flat: Array) -> Array:
    """Return a view that cannot be written, as `as_strided` returns it: kernels are compiled once
    for both."""
    view = flat[:]
    view.flags.writeable = False
    return view


def _plan_of_all(size: int) -> Plan:
    layout = np.array((1, 1, size, size, size), np.int64)
    return Plan(layout, np.array((True, False, False)), size)


@lru_cache(maxsize=4096)
def _plan(shape: Sizes, strides: Sizes, itemsize: int, roles: str) -> Plan | None:
    """Return how an array is read of which each meaning is one axis, and the last one is no sample
    and has values side by side; None of others."""
    groups = _groups(shape, strides, itemsize, roles)
    by_role = {group.role: group for group in groups}
    if len(by_role) < len(groups) or any(group.step <= 0 for group in groups):
        return None
    inner = groups[-1] if groups and groups[-1].role != SAMPLE else None
    if (inner is None and len(groups) > 1) or (inner is not None and inner.step != 1):
        return None
    last = inner is None or inner.role == UNIT
    extent = 1 + sum((group.size - 1) * group.step for group in groups)
    columns = inner.size if inner else 1
    samples = by_role.get(SAMPLE, Group(SAMPLE, 1, extent))
    rows = by_role.get(POSITION if last else UNIT, Group("", 1, columns))
    layout = (samples.size, rows.size, columns, samples.step, rows.step)
    knows = (last, SAMPLE in roles, UNIT in roles)
    return Plan(np.array(layout, np.int64), np.array(knows), extent)


def _groups(shape: Sizes, strides: Sizes, itemsize: int, roles: str) -> list[Group]:
    """Return the axes of an array in the order of its memory, those of one meaning joined."""
    axes = [axis for axis, size in enumerate(shape) if size > 1]
    groups: list[Group] = []
    for axis in sorted(axes, key=lambda axis: -strides[axis]):
        own = Group(roles[axis], shape[axis], strides[axis] // itemsize)
        if groups and groups[-1].role == own.role and groups[-1].step == own.size * own.step:
            own = Group(own.role, groups[-1].size * own.size, own.step)
            groups.pop()
        groups.append(own)
    return groups
