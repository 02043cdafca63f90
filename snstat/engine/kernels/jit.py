"""How kernels are compiled and cached."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import ModuleType

from numba import njit

# No "nnan"/"ninf": kernels must see non-finite values. No "arcp"/"afn": results stay portable.
FAST = {"contract", "reassoc", "nsz"}
inlined = njit(inline="always")


def jit(function, fastmath=FAST):
    """Compile without the GIL, cached on disk where a cache can be written.

    Division follows IEEE 754: a check for zero would keep loops from being vectorised.
    """
    options = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
    try:
        return njit(function, cache=True, **options)
    except RuntimeError:  # no writable place for the cache
        return njit(function, **options)


def elementwise(function):
    """Compile a function that adds nothing up, so that the order of operations can stay."""
    return jit(function, {"contract"})


def calls_into(caller: str, *callees: ModuleType) -> None:
    """Say that the kernels in the file `caller` call those of the modules `callees`.

    Numba's cache looks at the time stamp of a kernel's own file only and does not notice a
    changed callee in another. If a callee's file is newer, the caller's is made as new.
    """
    with contextlib.suppress(OSError):
        newest = max(Path(str(module.__file__)).stat().st_mtime for module in callees)
        if newest > Path(caller).stat().st_mtime:
            Path(caller).touch()
