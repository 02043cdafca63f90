"""Reads .safetensors files: a length, a header in JSON, then the bytes of all tensors.

The format is short enough to read by itself (https://github.com/huggingface/safetensors), and numpy
lacks types that its own package cannot give to numpy. What the package refuses is refused here: a
header that is longer than the file, unknown types, sizes that differ from the shape, and bytes that
are used twice or by no tensor.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from snstat.errors import quoted
from snstat.files.json_text import MOST_BYTES, object_of
from snstat.files.npy import DamagedError, failures
from snstat.sources.weights.dtypes import DTYPES, Array
from snstat.sources.weights.tensor import Tensor

REMEDY = "write it again with safetensors"
# Bytes of the length that begins the file.
START = 8
# The names of types in the header: ours, and of those that are not floating numbers, their bits.
FLOATS: Mapping[str, str] = MappingProxyType(
    {
        "F64": "float64",
        "F32": "float32",
        "F16": "float16",
        "BF16": "bfloat16",
        "F8_E4M3": "float8_e4m3fn",
        "F8_E5M2": "float8_e5m2",
    }
)
OTHERS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        **{f"I{bits}": (f"int{bits}", bits) for bits in (8, 16, 32, 64)},
        **{f"U{bits}": (f"uint{bits}", bits) for bits in (8, 16, 32, 64)},
        "BOOL": ("bool", 8),
        "C64": ("complex64", 64),
        "F8_E8M0": ("float8_e8m0", 8),
        "F6_E2M3": ("float6_e2m3", 6),
        "F6_E3M2": ("float6_e3m2", 6),
        "F4": ("float4", 4),
    }
)


def read_safetensors(path: str) -> list[Tensor]:
    """Return the tensors of a file, in the order of their bytes; InputFileError for a file that is
    damaged."""
    with failures(path, "safetensors file", REMEDY), open(path, "rb") as file:  # noqa: PTH123  # a name may be bytes that are not text
        held = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(START), "little")
        if held < START or length > held - START:
            raise DamagedError(
                f"claims a header of {length:,} bytes but holds {held:,}: it is truncated, or no"
                " safetensors file",
                REMEDY,
            )
        if length > MOST_BYTES:
            raise DamagedError(
                f"has a header of {length / 2**20:,.1f} MiB, at most {MOST_BYTES >> 20} MiB",
                "split it into several files with an index",
            )
        entries = object_of(file.read(length), "a header", REMEDY)
        entries.pop("__metadata__", None)
        return _tensors(path, entries, START + length, held)


def _tensors(path: str, entries: dict[str, Any], start: int, held: int) -> list[Tensor]:
    """Return the tensors that the header lists, if they cover the bytes from `start` on."""
    placed = sorted((_place(name, entry), name, entry) for name, entry in entries.items())
    found, end = [], start
    for (first, last), name, entry in placed:
        if start + first != end:
            what = "overlap" if start + first < end else "leave bytes unused"
            raise DamagedError(f"has tensors that {what} at {quoted(name)}", REMEDY)
        end = start + last
        found.append(_tensor(path, name, entry, (start + first, last - first)))
    if end != held:
        raise DamagedError(
            f"holds {held:,} bytes, but its header describes {end:,}: it is truncated or damaged",
            REMEDY,
        )
    return found


def _place(name: str, entry: Any) -> tuple[int, int]:
    """Return the first byte of a tensor and the one behind its last."""
    place: Any = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not (_whole_numbers(place) and len(place) == 2 and place[0] <= place[1]):
        raise DamagedError(f"gives no place for {quoted(name)}", REMEDY)
    return place[0], place[1]


def _tensor(path: str, name: str, entry: dict[str, Any], place: tuple[int, int]) -> Tensor:
    shape: Any = entry.get("shape")
    code = str(entry.get("dtype"))
    if not _whole_numbers(shape):
        raise DamagedError(f"gives {quoted(name)} the shape {quoted(shape)}", REMEDY)
    shape = tuple(shape)
    if code in FLOATS:
        dtype = DTYPES[FLOATS[code]]
        bits = 8 * np.dtype(dtype.raw).itemsize
    elif code in OTHERS:
        dtype, bits = None, OTHERS[code][1]
    else:
        raise DamagedError(f"gives {quoted(name)} the type {quoted(code)}", "update snstat")
    start, size = place
    if math.prod(shape) * bits != 8 * size:
        raise DamagedError(
            f"claims {quoted(name)} of shape {quoted(shape)} and {bits} bits each in {size:,}"
            " bytes",
            REMEDY,
        )
    if dtype is None:
        return Tensor(name, shape, OTHERS[code][0], None, OTHERS[code][0], placed=False)
    raw = dtype.raw

    def read() -> Array:
        if not size:  # nothing cannot be mapped
            return np.empty(shape, raw)
        with failures(path, "safetensors file", REMEDY):
            return np.memmap(path, np.dtype(raw).newbyteorder("<"), "r", start, shape)

    return Tensor(name, shape, dtype.name, read, placed=False)


def _whole_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, int) and not isinstance(entry, bool) and entry >= 0 for entry in value
    )
