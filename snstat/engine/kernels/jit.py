"""Compilation and caching of kernels."""

from __future__ import annotations

import contextlib
import hashlib
from functools import partial
from pathlib import Path

from numba import config, njit

from snstat.activation import ACTIVATIONS, ALPHA, LAMBDA

# No "nnan"/"ninf": kernels must see non-finite values. No "arcp"/"afn": results stay portable.
FAST = {"contract", "reassoc", "nsz"}
inlined = njit(inline="always")


def _hash_of_kernels():
    """Return a hash of all kernel files, including this one, and of the constants that they take
    from the table of activations."""
    digest = hashlib.sha256(repr((*ACTIVATIONS, ALPHA, LAMBDA)).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def in_order(function):
    """Compile like `jit`, but keep sums in the order in which they are written.

    If sums may be reordered, a function compiled into another kernel may differ in the last bit
    from the same function called from Python.
    """
    return jit(function, fastmath=False)


# Numba caches compiled code under the hash of a kernel's own file, and does not notice changes to
# callees in other files. Kernels call one another across files, so all of them share one stamp.
STAMP = _hash_of_kernels()


def jit(function, fastmath=FAST, **more):
    """Compile without the GIL, cached on disk if a cache can be written.

    Division follows IEEE 754, because a check for zero would prevent vectorisation.
    """
    options = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": fastmath,
        "no_cfunc_wrapper": True,  # kernels are never called from C
        **more,
    }
    try:
        kernel = njit(function, cache=True, **options)
    except RuntimeError:  # the cache cannot be written
        return njit(function, **options)
    if not config.DISABLE_JIT:  # type: ignore[attr-defined]  # read from the environment
        cache = kernel._cache  # noqa: SLF001  # numba offers no other way
        file = cache._cache_file  # noqa: SLF001
        file._source_stamp = STAMP  # noqa: SLF001
        # Numba compares versions before it reads the rest, which may name classes that are gone.
        file._version = f"{file._version} {STAMP}"  # noqa: SLF001
        file.save = partial(_save_under_own_name, file)
        cache.save_overload = _if_possible(cache.save_overload)
    return kernel


def _save_under_own_name(file, signature, data):
    """Name the code after its signature. Numba numbers it, and processes that save two signatures
    at once give both the same number, so that one would run the code of the other."""
    name = file._data_name(int(hashlib.sha256(repr(signature).encode()).hexdigest()[:12], 16))  # noqa: SLF001
    file._save_data(name, data)  # noqa: SLF001
    file._save_index(file._load_index() | {signature: name})  # noqa: SLF001


def _if_possible(save):
    """Ignore errors of a full disk: the next run compiles again, and this one keeps its result."""

    def save_if_possible(signature, data):
        with contextlib.suppress(OSError):
            save(signature, data)

    return save_if_possible


def inner(function):
    """Compile like `jit`, for calls from kernels only: without the code that unpacks arguments from
    Python, which takes long to compile for nested tuples."""
    return jit(function, no_cpython_wrapper=True)


def elementwise(function):
    """Compile a function without sums, whose order of operations can stay."""
    return jit(function, {"contract"})
