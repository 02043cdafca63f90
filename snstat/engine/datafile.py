"""Reading a user's .npy or .npz file: memory-mapped where the format allows, never unpickled."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, is_zipfile

import numpy as np
import numpy.typing as npt

from snstat.errors import InputFileError

# What an array inside an .npz is called when there are several.
PREFERRED_NAME = "inputs"


def open_array(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Return the array in a .npy (memory-mapped) or .npz (read) file.

    An .npz must hold one array, or one called "inputs". Raises InputFileError for a file that is
    missing, a directory, empty, damaged, not of numpy's formats, or would need unpickling.
    """
    name = os.fspath(path)
    if not name:
        raise InputFileError("inputs", "no file name", "give normal, uniform, or a .npy file")
    if Path(name).is_dir():
        raise InputFileError(name, "is a directory", "give a .npy or .npz file")
    if not Path(name).exists():
        raise InputFileError(name, "no such file", "give a .npy or .npz file")
    try:
        if is_zipfile(name):
            return _member(name)
        return np.lib.format.open_memmap(name, mode="r")
    except OSError as error:
        raise InputFileError(name, error.strerror or str(error)) from None
    except (
        ValueError,
        EOFError,
        KeyError,
        BadZipFile,
        zlib.error,
        MemoryError,
        OverflowError,
    ) as error:
        raise InputFileError(name, _reason(error), "write it with numpy.save") from None


def _member(name: str) -> npt.NDArray[Any]:
    with np.load(name, allow_pickle=False) as archive:
        names = list(archive.files)
        if len(names) != 1 and PREFERRED_NAME not in names:
            held = ", ".join(names) or "nothing"
            raise InputFileError(
                name, f"holds {held}", f"keep one array, or call one {PREFERRED_NAME!r}"
            )
        array = archive[PREFERRED_NAME if PREFERRED_NAME in names else names[0]]
    return np.asarray(array)


def _reason(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "EOF: reading magic string, expected 8 bytes got 0" in text:
        return "is empty"
    if "pickle" in text or "Python objects" in text or "hasobject" in text:
        return "holds Python objects, which are never unpickled"
    return f"is not a readable numpy file ({text})"
