"""Reads a user's .npy or .npz file: memory-mapped where the format allows, never unpickled.

Nothing is allocated before the size of the file confirms what the header claims.
"""

from __future__ import annotations

import math
import os
import stat
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import IO, Any
from zipfile import ZipFile, ZipInfo

import numpy as np
import numpy.typing as npt

from snstat.errors import InputFileError, printable, quoted

# The name of the array that is read from an .npz with several arrays.
PREFERRED_NAME = "inputs"
NPY_MAGIC, ZIP_MAGIC = b"\x93NUMPY", b"PK"
# An .npz is unpacked into memory. Above this size the ratio of array to file size is limited too:
# measurements compress 1- to 10-fold, files made to exhaust memory 1000-fold.
UNPACKED_BYTES = 2**24
UNPACKED_RATIO = 32
MOST_HELD = 200
NOT_NUMPY = "is neither .npy nor .npz"
REMEDY = "write it with numpy.save"
PLAIN = "save numbers: numpy.save(FILE, array.astype(float))"


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
    with _failures(name):
        _require_regular(name)
        with open(name, "rb") as file:  # noqa: PTH123  # a name may be bytes that are not text
            magic = file.read(len(NPY_MAGIC))
            file.seek(0)
            if member is not None and not magic.startswith(ZIP_MAGIC):
                raise DamagedError(
                    f"is not an .npz, and only an .npz holds arrays such as {member!r}"
                )
            if magic == NPY_MAGIC:
                dtype, shape, order = _header(file)
                start = file.tell()
                _require_bytes(dtype, shape, os.fstat(file.fileno()).st_size - start)
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
    with _failures(name):
        _require_regular(name)
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


class DamagedError(Exception):
    """What is wrong with a file, in words that follow its name, and the remedy."""

    def __init__(self, reason: str, remedy: str = REMEDY) -> None:
        super().__init__(reason)
        self.remedy = remedy


@contextmanager
def _failures(name: str) -> Iterator[None]:
    """Turn any failure with the file in the block into an InputFileError."""
    try:
        # numpy warns about headers written by Python 2, and its parser about odd numbers in them.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputFileError:
        raise
    except DamagedError as error:
        raise InputFileError(name, str(error), error.remedy) from None
    except OSError as error:
        raise InputFileError(name, error.strerror or str(error)) from None
    # zipfile, zlib and the parser of headers may raise any error.
    except Exception as error:  # noqa: BLE001
        words = str(error).splitlines()
        reason = f"is not a readable numpy file ({words[0] if words else type(error).__name__})"
        raise InputFileError(name, reason, REMEDY) from None


def _require_regular(name: str) -> None:
    """Raise InputFileError for missing or irregular files. Opening a pipe could block forever."""
    try:
        mode = os.stat(name).st_mode  # noqa: PTH116
    except FileNotFoundError:
        raise InputFileError(name, "no such file", "give a .npy or .npz file") from None
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
        raise InputFileError(name, f"is {kind}", "give a .npy or .npz file")


def _header(file: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], Any]:
    """Read the header of a .npy file: dtype, shape and order ("C" or "F")."""
    version = np.lib.format.read_magic(file)
    # Versions after the second differ from it only in the encoding of field names.
    first = version == (1, 0)
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = read(file)
    except (MemoryError, RecursionError):  # Python's parser ran out of stack
        raise DamagedError("has a header nested too deeply") from None
    if dtype.hasobject:
        raise DamagedError("holds Python objects, which are never unpickled", PLAIN)
    if any(isinstance(side, bool) or side < 0 for side in shape):
        raise DamagedError(f"claims the shape {printable(str(shape), MOST_HELD)}")
    return dtype, shape, "F" if fortran else "C"


def _require_bytes(dtype: np.dtype[Any], shape: tuple[int, ...], held: int) -> None:
    """Raise DamagedError unless an array of this dtype and shape fits in the `held` bytes."""
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > held:
        what = printable(f"{dtype} of shape {shape}", MOST_HELD)
        raise DamagedError(f"claims {what} but holds only {max(held, 0):,} bytes: it is truncated")


def _packed(file: IO[bytes], wanted: str | None) -> npt.NDArray[Any]:
    """Return the array in an .npz file: the one called `wanted`, or the default if None."""
    with ZipFile(file) as archive:
        member = _member(archive, wanted)
        limit = max(UNPACKED_BYTES, UNPACKED_RATIO * os.fstat(file.fileno()).st_size)
        if member.file_size > limit:
            raise DamagedError(
                f"unpacks to {member.file_size / 2**20:,.0f} MiB, but a packed array may have at"
                f" most {limit / 2**20:,.0f} MiB, {UNPACKED_RATIO} times the size of the file"
            )
        with archive.open(member) as stream:
            dtype, shape, _ = _header(stream)
            _require_bytes(dtype, shape, member.file_size - stream.tell())
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
