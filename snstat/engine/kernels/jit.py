"""How kernels are compiled and cached."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from numba import config, njit

# No "nnan"/"ninf": kernels must see non-finite values. No "arcp"/"afn": results stay portable.
FAST = {"contract", "reassoc", "nsz"}
inlined = njit(inline="always")


def _hash_of_kernels():
    """Return a hash of all files of kernels, this one included."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def in_order(function):
    """Compile as `jit` does, but add up in the order that is written.

    Where sums may be reordered, what is compiled into another kernel may differ in the last bit
    from the same function called from Python.
    """
    return jit(function, fastmath=False)


# Numba keeps what it has compiled under the hash of a kernel's own file, and does not notice that a
# callee in another has changed. Kernels call one another across files, so they share one stamp.
STAMP = _hash_of_kernels()


def jit(function, fastmath=FAST):
    """Compile without the GIL, cached on disk where a cache can be written.

    Division follows IEEE 754: a check for zero would keep loops from being vectorised.
    """
    options = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": fastmath,
        "no_cfunc_wrapper": True,  # nobody calls kernels from C
    }
    try:
        kernel = njit(function, cache=True, **options)
    except RuntimeError:  # no writable place for the cache
        return njit(function, **options)
    if not config.DISABLE_JIT:  # type: ignore[attr-defined]  # read from the environment
        cache = kernel._cache  # noqa: SLF001  # numba offers no other way
        cache._cache_file._source_stamp = STAMP  # noqa: SLF001
        cache.save_overload = _if_possible(cache.save_overload)
    return kernel


def _if_possible(save):
    """Let a full disk cost the next run its time, and not this one its result."""

    def save_if_possible(signature, data):
        with contextlib.suppress(OSError):
            save(signature, data)

    return save_if_possible


def elementwise(function):
    """Compile a function that adds nothing up, so that the order of operations can stay."""
    return jit(function, {"contract"})
