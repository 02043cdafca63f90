"""Which format a file of weights has, told by what it begins with, not by its name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from zipfile import ZipFile

from snstat.errors import InputFileError
from snstat.files.npy import NPY_MAGIC, ZIP_MAGIC, DamagedError, failures, require_regular
from snstat.sources.weights.most import most_of, require_bytes, require_small
from snstat.sources.weights.tensor import Tensor

REMEDY = "give .safetensors, its .index.json, .npz, .npy, .pt with a state dict, or .onnx"
KIND = "file of weights"
LOOKED_AT = 64
# What is said of formats that are read as a whole.
WHOLE = "is read as a whole, with"
# The beginnings of formats that are not read, and why.
OTHERS: Mapping[bytes, str] = MappingProxyType(
    {
        b"\x89HDF\r\n\x1a\n": "is HDF5, as Keras saves, which is not read",
        b"GGUF": "is GGUF, which is not read",
    }
)
PICKLE = "is a pickle, which may run code and is never loaded"
KERAS = "model.weights.h5"
ONNX = ".onnx"


def open_weights(path: str | os.PathLike[str], max_bytes: int | None = None) -> list[Tensor]:
    """Return the tensors of a file, which are read when they are asked for.

    Raises InputFileError for a file that is missing, damaged, or of a format that is not read, and
    for one that declares a tensor of more than `max_bytes`, None for half of the free memory.
    """
    name, most = os.fsdecode(path), most_of(max_bytes)
    found = _opened(name, most)
    require_small(name, found, most)
    return found


def _opened(name: str, most: float) -> list[Tensor]:
    if not name:
        raise InputFileError("weights", "no file name", REMEDY)
    with failures(name, KIND, REMEDY):
        require_regular(name, REMEDY)
        with open(name, "rb") as file:  # noqa: PTH123  # a name may be bytes that are not text
            start = file.read(LOOKED_AT)
            held = os.fstat(file.fileno()).st_size
    if not start:
        raise InputFileError(name, "is empty", REMEDY)
    # A length of less than 4 GiB, then JSON. The length may begin as any other format does.
    if start[4:9] == b"\0\0\0\0{":
        return _safetensors(name)
    if start.startswith(NPY_MAGIC):
        from snstat.sources.weights.npz_file import read_npy

        return read_npy(name)
    if start.startswith(ZIP_MAGIC):
        return _archive(name)
    for beginning, reason in OTHERS.items():
        if start.startswith(beginning):
            raise InputFileError(name, reason, REMEDY)
    if name.lower().endswith(ONNX):
        from snstat.sources.weights.onnx_file import read_onnx

        require_bytes(name, WHOLE, held, most)
        return read_onnx(name)
    if start[:1] == b"\x80":
        require_bytes(name, WHOLE, held, most)
        return _pickle(name, start)
    if start.lstrip()[:1] == b"{":
        from snstat.sources.weights.sharded import read_index

        return read_index(name)
    if start[4:8] == b"\0\0\0\0" or start[8:9] == b"{":  # damaged, perhaps
        return _safetensors(name)
    raise InputFileError(name, "has none of the formats that are read", REMEDY)


def _safetensors(name: str) -> list[Tensor]:
    from snstat.sources.weights.safetensors_file import read_safetensors

    return read_safetensors(name)


def _archive(name: str) -> list[Tensor]:
    """Return the tensors of a zip: of PyTorch, or of numpy."""
    from snstat.sources.weights.npz_file import read_npz
    from snstat.sources.weights.state_dict import is_archive, read_state_dict

    with failures(name, KIND, REMEDY), ZipFile(name) as archive:
        names = archive.namelist()
        if KERAS in names:
            raise DamagedError("is of Keras and holds HDF5, which is not read", REMEDY)
    return read_state_dict(name, archive=True) if is_archive(names) else read_npz(name)


def _pickle(name: str, start: bytes) -> list[Tensor]:
    """Return the tensors of a PyTorch file of before 1.6; no other pickle is read."""
    from snstat.sources.weights.state_dict import LEGACY_MAGIC, read_state_dict

    if LEGACY_MAGIC not in start:
        raise InputFileError(name, PICKLE, "save the numbers with numpy.savez or safetensors")
    return read_state_dict(name, archive=False)
