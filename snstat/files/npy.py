"""What an .npy and an .npz claim, checked before anything is allocated."""

from __future__ import annotations

import math
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any
from zipfile import ZipInfo

import numpy as np

from snstat.errors import InputFileError, SnstatError, printable

NPY_MAGIC, ZIP_MAGIC = b"\x93NUMPY", b"PK"
# An .npz is unpacked into memory. Above this size the ratio of array to file size is limited too:
# measurements compress 1- to 10-fold, files made to exhaust memory 1000-fold.
UNPACKED_BYTES = 2**24
UNPACKED_RATIO = 32
MOST_HELD = 200
REMEDY = "write it with numpy.save"
PLAIN = "save numbers: numpy.save(FILE, array.astype(float))"


class DamagedError(Exception):
    """What is wrong with a file, in words that follow its name, and the remedy."""

    def __init__(self, reason: str, remedy: str = REMEDY) -> None:
        super().__init__(reason)
        self.remedy = remedy


@contextmanager
def failures(name: str, kind: str = "numpy file", remedy: str = REMEDY) -> Iterator[None]:
    """Turn any failure with the file in the block, which should be of this kind, into an
    InputFileError."""
    try:
        # numpy warns about headers written by Python 2, and its parser about odd numbers in them.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except SnstatError:
        raise
    except DamagedError as error:
        raise InputFileError(name, str(error), error.remedy) from None
    except OSError as error:
        raise InputFileError(name, error.strerror or str(error)) from None
    # zipfile, zlib and the parser of headers may raise any error.
    except Exception as error:  # noqa: BLE001
        words = str(error).splitlines()
        reason = f"is not a readable {kind} ({words[0] if words else type(error).__name__})"
        raise InputFileError(name, reason, remedy) from None


def require_regular(name: str, remedy: str = "give a .npy or .npz file") -> None:
    """Raise InputFileError for missing or irregular files. Opening a pipe could block forever."""
    try:
        mode = os.stat(name).st_mode  # noqa: PTH116
    except FileNotFoundError:
        raise InputFileError(name, "no such file", remedy) from None
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
        raise InputFileError(name, f"is {kind}", remedy)


def header(file: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], Any]:
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


def require_bytes(dtype: np.dtype[Any], shape: tuple[int, ...], held: int) -> None:
    """Raise DamagedError unless an array of this dtype and shape fits in the `held` bytes."""
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > held:
        what = printable(f"{dtype} of shape {shape}", MOST_HELD)
        raise DamagedError(f"claims {what} but holds only {max(held, 0):,} bytes: it is truncated")


def require_unpacked(member: ZipInfo, file: IO[bytes]) -> None:
    """Raise DamagedError if an entry of an archive unpacks to far more than the archive holds."""
    limit = max(UNPACKED_BYTES, UNPACKED_RATIO * os.fstat(file.fileno()).st_size)
    if member.file_size > limit:
        raise DamagedError(
            f"unpacks to {member.file_size / 2**20:,.0f} MiB, but a packed array may have at"
            f" most {limit / 2**20:,.0f} MiB, {UNPACKED_RATIO} times the size of the file"
        )
