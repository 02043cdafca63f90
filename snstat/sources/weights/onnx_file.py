"""Reads the initialisers of an ONNX model, through the package onnx. Nothing is run."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from snstat.errors import SnstatError, quoted
from snstat.files.npy import DamagedError, failures, require_regular
from snstat.sources.weights.dtypes import DTYPES, Array
from snstat.sources.weights.tensor import JAX, TORCH, Tensor

REMEDY = "export the model again"
# Number of a type in ONNX → ours.
FLOATS: Mapping[int, str] = MappingProxyType(
    {
        1: "float32",
        10: "float16",
        11: "float64",
        16: "bfloat16",
        17: "float8_e4m3fn",
        19: "float8_e5m2",
    }
)
# Operators whose second input is a matrix (in, out).
MATMUL, GEMM = "MatMul", "Gemm"
EXTERNAL = 1


def read_onnx(path: str) -> list[Tensor]:
    """Return the initialisers of a model. Data outside the file are read only from the folder that
    holds it.

    Raises InputFileError for a file that is damaged, and SnstatError without the package onnx.
    """
    try:
        import onnx
    except ImportError:
        raise SnstatError("reading ONNX needs onnx: pip install 'snstat[onnx]'") from None
    with failures(path, "ONNX model", REMEDY):
        model = onnx.load(path, load_external_data=False)
        layouts = _layouts(model.graph)
        return [_tensor(path, entry, layouts.get(entry.name)) for entry in model.graph.initializer]


def _layouts(graph: Any) -> dict[str, str]:
    """Return the layouts of the matrices that operators multiply by."""
    found = {}
    for node in graph.node:
        if len(node.input) < 2:
            continue
        if node.op_type == MATMUL:
            found[node.input[1]] = JAX
        elif node.op_type == GEMM:
            transposed = any(entry.name == "transB" and entry.i for entry in node.attribute)
            found[node.input[1]] = TORCH if transposed else JAX
    return found


def _tensor(path: str, entry: Any, layout: str | None) -> Tensor:
    shape, code = tuple(entry.dims), entry.data_type
    if any(side < 0 for side in shape):
        raise DamagedError(f"claims {quoted(entry.name)} of shape {quoted(shape)}", REMEDY)
    if code not in FLOATS:
        return Tensor(entry.name, shape, f"type {code}", None, f"type {code} of ONNX")
    dtype = DTYPES[FLOATS[code]]
    size = math.prod(shape) * np.dtype(dtype.raw).itemsize
    if entry.data_location == EXTERNAL:
        return Tensor(entry.name, shape, dtype.name, _outside(path, entry, size), layout=layout)
    if entry.HasField("raw_data") and len(entry.raw_data) != size:
        raise DamagedError(
            f"claims {quoted(entry.name)} of shape {quoted(shape)} in"
            f" {len(entry.raw_data):,} bytes",
            REMEDY,
        )

    def read() -> Array:
        with failures(path, "ONNX model", REMEDY):
            if entry.HasField("raw_data"):
                return np.frombuffer(entry.raw_data, dtype.raw).reshape(shape)
            from onnx import numpy_helper

            return np.asarray(numpy_helper.to_array(entry)).view(dtype.raw)

    return Tensor(entry.name, shape, dtype.name, read, layout=layout)


def place_of(path: str, entry: Any, size: int) -> tuple[str, int]:
    """Return the file that holds the `size` bytes of a tensor, and the first of them. It is within
    the folder of the model.

    Raises DamagedError for another place, and where there are fewer bytes.
    """
    said = {pair.key: pair.value for pair in entry.external_data}
    folder = os.path.realpath(Path(path).parent)
    file = os.path.realpath(os.path.join(folder, said.get("location", "")))  # noqa: PTH118
    if os.path.commonpath([folder, file]) != folder or file == folder:
        raise DamagedError(
            f"keeps {quoted(entry.name)} in {quoted(said.get('location'))}, outside its folder",
            "put all files of the model into one folder",
        )
    require_regular(file, "put all files of the model into one folder")
    start = int(said.get("offset", 0))
    held = os.stat(file).st_size  # noqa: PTH116
    if start < 0 or start + size > held or int(said.get("length", size)) != size:
        raise DamagedError(
            f"claims {size:,} bytes from byte {start:,} on for {quoted(entry.name)}, but their file"
            f" holds {held:,}",
            REMEDY,
        )
    return file, start


def _outside(path: str, entry: Any, size: int) -> Any:
    """Return what reads the `size` bytes of a tensor that another file of the folder holds."""
    file, start = place_of(path, entry, size)
    shape, raw = tuple(entry.dims), DTYPES[FLOATS[entry.data_type]].raw

    def read() -> Array:
        if not size:  # nothing cannot be mapped
            return np.empty(shape, raw)
        with failures(file, "data of an ONNX model", REMEDY):
            return np.memmap(file, raw, "r", start, shape)

    return read
