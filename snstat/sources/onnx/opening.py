"""Opens an ONNX file so that every node that depends on the inputs has its result told."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime

from snstat.errors import InputFileError, printable, quoted
from snstat.files.npy import DamagedError, failures, require_regular
from snstat.sources.calls.framework import Part
from snstat.sources.weights.onnx_file import EXTERNAL, REMEDY, place_of

# What makes or reads shapes and constants, whatever the inputs.
SHAPES = ("Constant", "Shape", "Size")
CHANNELS_FIRST = ("Conv", "Pool", "BatchNorm", "InstanceNorm", "GroupNorm", "LRN", "Resize")
LAST = ("MatMul", "Gemm", "LayerNormalization", "RMSNormalization", "LSTM", "GRU", "RNN")
MOST_OF_A_FAILURE = 200


def opened(path: str) -> tuple[Any, Any, list[Any]]:
    """Return the graph of a file, what runs it, and values that must live as long."""
    require_regular(path, REMEDY)
    with failures(path, "ONNX model", REMEDY):
        model = onnx.load(path, load_external_data=False)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        kept = _external(path, model)
    options.add_external_initializers([*kept], [*kept.values()])
    graph = model.graph
    outputs = {entry.name for entry in graph.output}
    weights = {entry.name for entry in graph.initializer}
    inputs = [entry.name for entry in graph.input if entry.name not in weights]
    for _, node in living(graph, inputs):
        for name in node.output:
            if name and name not in outputs:
                graph.output.append(onnx.ValueInfoProto(name=name))
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # noqa: BLE001  # it has a class for each code, in a private module
        reason = f"cannot be run by onnxruntime {onnxruntime.__version__} ({told(error)})"
        raise InputFileError(path, reason) from None
    return graph, session, [*kept.values()]


def _external(path: str, model: Any) -> dict[str, Any]:
    """Return the initialisers that other files of the folder hold, as onnxruntime takes them.

    Raises DamagedError for data in another place.
    """
    found = {}
    for entry in model.graph.initializer:
        if entry.data_location != EXTERNAL:
            continue
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(entry.data_type))
        raw = np.dtype(np.uint16) if dtype.name == "bfloat16" else dtype
        shape = tuple(entry.dims)
        if any(side < 0 for side in shape):
            raise DamagedError(f"claims {quoted(entry.name)} of shape {quoted(shape)}", REMEDY)
        size = math.prod(shape) * raw.itemsize
        file, start = place_of(path, entry, size)
        values = np.fromfile(file, raw, size // raw.itemsize, offset=start).reshape(shape)
        make = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type
        found[entry.name] = make(values, entry.data_type)
    functions = [node for function in model.functions for node in function.node]
    for tensor in (*_inner([*model.graph.node, *functions]), *_sparse(model.graph)):
        if tensor.data_location == EXTERNAL:
            reason = f"keeps {quoted(tensor.name)}, which is no initialiser, in another file"
            raise DamagedError(reason, REMEDY)
    return found


def _inner(nodes: Sequence[Any]) -> Iterator[Any]:
    """Yield the tensors within nodes."""
    for attribute in (entry for node in nodes for entry in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from graph.initializer
            yield from _sparse(graph)
            yield from _inner(graph.node)


def _sparse(graph: Any) -> Iterator[Any]:
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)


def living(graph: Any, inputs: Sequence[str]) -> list[tuple[Part, Any]]:
    """Return the nodes whose results depend on the values of inputs, and not only on shapes."""
    alive, taken = set(inputs), set[str]()
    found = []
    for number, node in enumerate(graph.node):
        op = node.op_type
        inner = any(entry.HasField("g") for entry in node.attribute)  # may use any value
        if op in SHAPES or not (inner or alive.intersection(node.input)):
            continue
        alive.update(filter(None, node.output))
        path = node.name if node.name not in ("", op, *taken) else f"{op}_{number}"
        taken.add(path)
        unit = -1 if op in LAST else 1 if any(word in op for word in CHANNELS_FIRST) else None
        found.append((Part(path, op, unit, "" if node.attribute else op.lower()), node))
    return found


def told(error: Exception) -> str:
    """Return what onnxruntime says, without its codes."""
    text = " ".join(str(error).rpartition(" : ")[2].split())
    return printable(text or type(error).__name__, MOST_OF_A_FAILURE)
