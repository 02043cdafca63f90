"""Reads a user's .npy or .npz file: memory-mapped where the format allows, never unpickled.

Nothing is allocated before the size of the file confirms what the header claims.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches
from typing import IO, Any
from zipfile import ZipFile, ZipInfo

import numpy as np
import numpy.typing as npt

from snstat.errors import InputFileError, printable, quoted
from snstat.files.npy import (
    MOST_HELD,
    NPY_MAGIC,
    ZIP_MAGIC,
    DamagedError,
    failures,
    header,
    require_bytes,
    require_regular,
    require_unpacked,
)

# The name of the array that is read from an .npz with several arrays.
PREFERRED_NAME = "inputs"
NOT_NUMPY = "is neither .npy nor .npz"


def open_array(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Return the array in a .npy (memory-mapped) or .npz (read) file.

    An .npz must hold one array, or one called "inputs"; "FILE.npz:name" chooses another. Raises
    InputFileError for a file that is missing, not a regular file, empty, damaged, not in a numpy
    format, or that would need unpickling.
    """
    name = os.fspath(path)
    if not name:
        raise InputFileError("inputs", "no file name", "give normal, uniform, or a .npy file")
    name, member = _split(name)
    with failures(name):
        require_regular(name)
        with open(name, "rb") as file:  # noqa: PTH123  # a name may be bytes that are not text
            magic = file.read(len(NPY_MAGIC))
            file.seek(0)
            if member is not None and not magic.startswith(ZIP_MAGIC):
                raise DamagedError(
                    f"is not an .npz, and only an .npz holds arrays such as {member!r}"
                )
            if magic == NPY_MAGIC:
                dtype, shape, order = header(file)
                start = file.tell()
                require_bytes(dtype, shape, os.fstat(file.fileno()).st_size - start)
                if 0 in shape:  # an empty array cannot be mapped
                    return np.empty(shape, dtype)
                return np.memmap(name, dtype, "r", start, shape, order)
            if magic.startswith(ZIP_MAGIC):
                return _packed(file, member)
        raise DamagedError("is empty" if not magic else NOT_NUMPY)


def open_arrays(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """Return all arrays of a .npz file by name, or that of a .npy file by an empty name.

    Raises as `open_array`.
    """
    name = os.fspath(path)
    with failures(name):
        require_regular(name)
        with open(name, "rb") as file:  # noqa: PTH123  # as above
            if not file.read(len(ZIP_MAGIC)).startswith(ZIP_MAGIC):
                return {"": open_array(name)}
            with ZipFile(file) as archive:
                names = [entry.removesuffix(".npy") for entry in archive.namelist()]
            if not names:
                raise DamagedError("holds nothing", _choose(name, ()))
            return {entry: _packed(file, entry) for entry in names}


def _split(name: Any) -> tuple[Any, str | None]:
    """Return the file and the array name in "FILE.npz:name". The array name is None if none is
    given, or if a file of the whole name exists."""
    if not isinstance(name, str) or os.path.lexists(name):
        return name, None
    file, colon, member = name.rpartition(":")
    return (file, member) if colon and member and os.path.lexists(file) else (name, None)


def _packed(file: IO[bytes], wanted: str | None) -> npt.NDArray[Any]:
    """Return the array in an .npz file: the one called `wanted`, or the default if None."""
    with ZipFile(file) as archive:
        member = _member(archive, wanted)
        require_unpacked(member, file)
        with archive.open(member) as stream:
            dtype, shape, _ = header(stream)
            require_bytes(dtype, shape, member.file_size - stream.tell())
        with archive.open(member) as stream:
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def _choose(name: str, members: Iterable[str]) -> str:
    """Return the remedy that tells how to choose one of several arrays."""
    first = next(iter(members), None)
    if first is None:
        return f"save an array in it with numpy.savez(FILE, {PREFERRED_NAME}=...)"
    return f"choose one, such as {printable(f'{name}:{first}', MOST_HELD)}"


def _member(archive: ZipFile, wanted: str | None) -> ZipInfo:
    """Return the entry of the array to use."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if wanted is not None:
        if wanted not in members:
            held = printable(", ".join(members), MOST_HELD) or "nothing"
            near = get_close_matches(wanted[:MOST_HELD], members, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else "choose one of them"
            raise InputFileError(
                archive.filename or "", f"holds no array {quoted(wanted)}, but {held}", remedy
            )
        return members[wanted]
    if len(members) != 1 and PREFERRED_NAME not in members:
        held = printable(", ".join(members), MOST_HELD) or "nothing"
        raise InputFileError(
            archive.filename or "",
            f"holds {held}",
            _choose(archive.filename or "", members),
        )
    return members[PREFERRED_NAME] if PREFERRED_NAME in members else next(iter(members.values()))
