"""What traces a target: by the framework that it is of."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from snstat.errors import InvalidValueError, SnstatError
from snstat.sources.calls.target import working_directory
from snstat.sources.calls.trace import trace_framework
from snstat.sources.calls.traced import Traced
from snstat.sources.extra import require, require_torch

TORCH, ONNX, KERAS, NNX = "torch", "onnx", "keras", "nnx"
# The modules whose classes are the frameworks' own.
HOMES = {"keras": KERAS, "flax.nnx": NNX}
# The options of all frameworks that are passed on.
SHARED = {"inputs", "batch", "trials", "seed", "only", "leaves", "axes"}


def framework_of(target: Any) -> str:
    """Return the framework of a target: a name, a path, or an object. Functions are PyTorch's."""
    if isinstance(target, str | os.PathLike):
        text = os.fspath(target)
        if text.lower().endswith(".onnx"):
            return ONNX
        prefix, _, rest = text.partition(":")
        return prefix if prefix in (KERAS, NNX) and ":" in rest else TORCH
    for kind in type(target).__mro__:
        for home, framework in HOMES.items():
            if f"{kind.__module__}.".startswith(f"{home}."):
                return framework
    return TORCH


def tracer_of(target: Any) -> Callable[..., Traced]:
    """Return what traces a target, a function with the arguments of trace_module of PyTorch.

    Raises SnstatError where a package is missing.
    """
    framework = framework_of(target)
    if framework == TORCH:
        require_torch()
        from snstat.sources.torch.trace import trace_module

        return trace_module
    if framework == ONNX:
        require("an ONNX file", "onnx", "onnx", "onnxruntime")
    elif framework == KERAS:
        require("a Keras model", "keras", "keras")
    else:
        require("a module of Flax", "flax", "flax")
    return _trace


def _trace(
    target: Any,
    *,
    settings: Mapping[str, Any],
    mode: str,
    dropout: str,
    backward: bool,
    output: str | None = None,
    **others: Any,
) -> Traced:
    """Trace what is not PyTorch's. Raises InvalidValueError for options of PyTorch."""
    for name in ("read_out", *(others.keys() - SHARED)):
        value = output if name == "read_out" else others.pop(name)
        if value not in (None, False, ()):
            raise InvalidValueError(name, value, "left out: it is for modules of PyTorch")
    framework: Any
    kind = framework_of(target)
    with ExitStack() as stack:
        if kind == ONNX:
            from snstat.sources.onnx.model import OnnxFile

            framework = OnnxFile(os.fspath(target), settings, backward=backward)
        elif kind == KERAS:
            stack.enter_context(working_directory())
            model = _keras()
            framework = model(target, settings, mode=mode, dropout=dropout, backward=backward)
        else:
            from snstat.sources.nnx.model import NnxModel

            stack.enter_context(working_directory())
            framework = NnxModel(target, settings, mode=mode, dropout=dropout)
        return trace_framework(framework, dropout=dropout, backward=backward, **others)


def _keras() -> Any:
    """Return what traces Keras, which itself needs the framework that it runs on."""
    try:
        from snstat.sources.keras.model import KerasModel
    except ModuleNotFoundError as error:
        raise SnstatError(
            f"Keras runs on {error.name}, which is not installed; set KERAS_BACKEND to torch, jax"
            " or tensorflow"
        ) from None
    return KerasModel
