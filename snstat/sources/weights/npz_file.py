"""Reads the arrays of an .npz, or of an .npy, as tensors. Nothing is unpickled."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePath
from typing import IO, Any
from zipfile import ZipFile, ZipInfo

import numpy as np

from snstat.errors import quoted
from snstat.files.npy import (
    NPY_MAGIC,
    DamagedError,
    failures,
    header,
    require_bytes,
    require_unpacked,
)
from snstat.sources.weights.dtypes import DTYPES, Array
from snstat.sources.weights.tensor import Tensor

MOST_ARRAYS = 100_000
SUFFIX = ".npy"


def read_npy(path: str) -> list[Tensor]:
    """Return the array of an .npy as one tensor, called as the file; or those of several in one
    file, as `equinox.tree_serialise_leaves` writes them, called by their numbers."""
    found: list[Tensor] = []
    with failures(path), open(path, "rb") as file:  # noqa: PTH123  # a name may be bytes that are not text
        size = os.fstat(file.fileno()).st_size
        while not found or file.read(len(NPY_MAGIC)) == NPY_MAGIC:
            if len(found) == MOST_ARRAYS:
                raise DamagedError(f"holds more than {MOST_ARRAYS:,} arrays")
            file.seek(0 if not found else -len(NPY_MAGIC), os.SEEK_CUR)
            dtype, shape, order = header(file)
            start = file.tell()
            require_bytes(dtype, shape, size - start)
            read = _mapped(path, dtype, shape, start, order)
            found.append(_tensor(str(len(found)), dtype, shape, read))
            file.seek(start + math.prod(shape) * dtype.itemsize)
    return found if len(found) > 1 else [replace(found[0], name=PurePath(path).stem)]


def _mapped(
    path: str, dtype: np.dtype[Any], shape: tuple[int, ...], start: int, order: Any
) -> Callable[[], Array]:
    """Return what reads an array that begins at a byte of a file."""

    def read() -> Array:
        if 0 in shape:  # nothing cannot be mapped
            return np.empty(shape, dtype)
        with failures(path):
            return np.memmap(path, dtype, "r", start, shape, order)

    return read


def read_npz(path: str) -> list[Tensor]:
    """Return the arrays of an .npz; entries that are none are refused."""
    with failures(path), open(path, "rb") as file:  # noqa: PTH123  # as above
        # It is closed when the last tensor is forgotten: opening it reads the list of all entries.
        archive = ZipFile(path)
        entries = archive.infolist()
        if len(entries) > MOST_ARRAYS:
            raise DamagedError(f"holds {len(entries):,} arrays, at most {MOST_ARRAYS:,}")
        return [_packed(path, archive, entry, file) for entry in entries]


def _packed(path: str, archive: ZipFile, entry: ZipInfo, file: IO[bytes]) -> Tensor:
    """Return the array of one entry, after a look at its header."""
    if not entry.filename.endswith(SUFFIX):
        raise DamagedError(f"holds {quoted(entry.filename)}, which is no array")
    require_unpacked(entry, file)
    with archive.open(entry) as stream:
        dtype, shape, _ = header(stream)
        require_bytes(dtype, shape, entry.file_size - stream.tell())

    def read() -> Array:
        with failures(path), archive.open(entry) as stream:
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))

    return _tensor(entry.filename.removesuffix(SUFFIX), dtype, shape, read)


def _tensor(name: str, dtype: np.dtype[Any], shape: tuple[int, ...], read: Any) -> Tensor:
    if dtype.name in DTYPES and dtype.kind == "f":
        return Tensor(name, shape, dtype.name, read)
    reason = dtype.name if dtype.kind != "V" else f"raw bytes ({dtype})"
    return Tensor(name, shape, reason, None, reason)
