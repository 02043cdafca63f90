"""Reads state dicts that torch.save wrote, through PyTorch, weights only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np

from snstat.errors import MOST_QUOTED, InputFileError, SnstatError, printable, quoted
from snstat.files.npy import DamagedError, failures
from snstat.sources.weights.dtypes import DTYPES, Array
from snstat.sources.weights.pickled import REMEDY, require_weights_only
from snstat.sources.weights.tensor import Tensor

# Earlier releases may run code of a file in spite of weights_only (CVE-2025-32434), or write to
# memory that is not theirs (CVE-2026-24747).
LEAST = (2, 10)
# Pickles before the numbers of a file of before PyTorch 1.6.
LEGACY_PICKLES = 5
# The first of these pickles is this number.
LEGACY_MAGIC = bytes.fromhex("6cfc9c46f9206aa85019")
MOST_NESTED = 16
NEEDED = "reading PyTorch files needs torch: pip install 'snstat[torch]'"
MOST_ENTRIES = 10**6
DATA = "data.pkl"
# The keys of the state of an optimiser, whose tensors are averages of gradients.
OPTIMISER = frozenset({"state", "param_groups"})


def is_archive(names: list[str]) -> bool:
    """Return whether the entries of a zip are those of torch.save."""
    return any(name.partition("/")[2] == DATA for name in names)


def read_state_dict(path: str, *, archive: bool) -> list[Tensor]:
    """Return the tensors of a state dict, or of a checkpoint that holds some, by their keys joined
    with dots. `archive` tells the zip of PyTorch 1.6 and later from what was before it.

    Raises InputFileError for a file that is damaged or holds more than weights, and SnstatError
    unless PyTorch is there in a release that reads it safely.
    """
    with failures(path, "PyTorch file", REMEDY):
        if archive:
            _require_plain(path)
        else:
            with open(path, "rb") as file:  # noqa: PTH123  # a name may be bytes that are not text
                require_weights_only(file, LEGACY_PICKLES)
    _require_release(path)
    import torch

    with failures(path, "PyTorch file", REMEDY):
        try:
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
        # Its readers may raise any error.
        except Exception as error:  # noqa: BLE001
            raise _refused(error) from None
        return [_tensor(path, *entry) for entry in _walk(found, "", 0)]


def _require_plain(path: str) -> None:
    """Raise DamagedError for an archive whose pickle names more than weights, or whose entries are
    packed."""
    with ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.compress_type != ZIP_STORED or entry.file_size > entry.compress_size:
                raise DamagedError(f"holds {quoted(entry.filename)} packed", REMEDY)
            if entry.filename.partition("/")[2] == DATA:
                with archive.open(entry) as stream:
                    require_weights_only(stream)


def _require_release(path: str) -> None:
    """Raise SnstatError unless a release of PyTorch is there that reads such files safely."""
    try:
        release = metadata.version("torch")
    except metadata.PackageNotFoundError:
        raise SnstatError(NEEDED) from None
    numbers = re.match(r"(\d+)\.(\d+)", release)
    if numbers is None or tuple(map(int, numbers.groups())) < LEAST:
        needed = ".".join(map(str, LEAST))
        reason = f"is read safely by torch {needed} or later only, and this is torch {release}"
        raise InputFileError(path, reason, "update torch, or use safetensors")


def _refused(error: Exception) -> DamagedError:
    """Return why PyTorch does not read a file: what it holds, where that is said."""
    words = str(error)
    named = re.search(r"(?:Unsupported global: GLOBAL|Unsupported class|Can only) ([\w.]+)", words)
    if named is not None:
        return DamagedError(f"holds more than weights ({named[1]})", REMEDY)
    first = next(iter(words.splitlines()), type(error).__name__)
    return DamagedError(f"is refused by PyTorch ({printable(first, MOST_QUOTED)})", REMEDY)


def _walk(value: Any, name: str, depth: int, what: str = "") -> Iterator[tuple[str, Any, str]]:
    """Yield the tensors within dictionaries and lists, by their keys joined with dots, and what
    they are, if they are no weights."""
    import torch

    if isinstance(value, torch.Tensor):
        yield name, value, what
        return
    if depth > MOST_NESTED:
        raise DamagedError(f"is nested deeper than {MOST_NESTED}", REMEDY)
    if not isinstance(value, Mapping | list | tuple):
        return
    if len(value) > MOST_ENTRIES:
        raise DamagedError(f"holds more than {MOST_ENTRIES:,} entries", REMEDY)
    if isinstance(value, Mapping) and value.keys() >= OPTIMISER:
        what = "state of an optimiser"
    for key, entry in value.items() if isinstance(value, Mapping) else enumerate(value):
        yield from _walk(entry, f"{name}.{key}" if name else str(key), depth + 1, what)


def _tensor(path: str, name: str, value: Any, what: str) -> Tensor:
    """Return a tensor of PyTorch as ours. Raises DamagedError if it claims more than is stored."""
    import torch

    shape, dtype = tuple(value.shape), str(value.dtype).removeprefix("torch.")
    odd = [
        word
        for word, found in (
            ("meta", value.is_meta),
            ("nested", value.is_nested),
            ("quantized", value.is_quantized),
            ("sparse", value.layout != torch.strided),
        )
        if found
    ]
    if what:
        return Tensor(name, shape, dtype, None, what)
    if odd or dtype not in DTYPES:
        reason = f"{odd[0]} tensor" if odd else dtype
        return Tensor(name, shape, dtype, None, reason)
    held = value.untyped_storage().nbytes()
    if value.numel() * value.element_size() > held:
        raise DamagedError(
            f"claims {quoted(name)} of shape {quoted(shape)} with {held:,} stored bytes",
            "save a contiguous tensor",
        )

    def read() -> Array:
        with failures(path, "PyTorch file", REMEDY):
            plain = value.detach()
            # What numpy lacks is read as integers of the same size.
            if dtype == "bfloat16":
                plain = plain.view(torch.int16)
            elif dtype.startswith("float8"):
                plain = plain.view(torch.uint8)
            return np.asarray(plain.numpy()).view(DTYPES[dtype].raw)

    return Tensor(name, shape, dtype, read)
