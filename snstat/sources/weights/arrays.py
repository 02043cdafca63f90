"""Arrays of the caller as tensors: by name, such as a state dict, in a tree, or one array."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from snstat.errors import SnstatError, printable
from snstat.files.arrays import as_array
from snstat.sources.calls.parts import parts_of
from snstat.sources.weights.dtypes import DTYPES
from snstat.sources.weights.tensor import Tensor

# The name of an array that is given without one.
UNNAMED = "weight"


def tensors_of(source: Any) -> list[Tensor]:
    """Return arrays as tensors.

    Types that numpy lacks are widened, so that float16 and float32 remain; what holds no floating
    numbers has a reason not to be looked at.
    """
    if _is_model(source):
        return [_tensor(name, value) for name, value in _leaves(source, "") if _is_array(value)]
    named = source if isinstance(source, Mapping) else {UNNAMED: source}
    found = []
    for name, value in named.items():
        if isinstance(value, Mapping):  # parameters of Flax are dicts of dicts
            found += [_tensor(key, leaf) for key, leaf in _leaves(value, str(name))]
        else:
            found.append(_tensor(str(name), value))
    return found


def _is_model(source: Any) -> bool:
    """Return whether an object is a tree whose nodes are dataclasses, as modules of Equinox are."""
    return dataclasses.is_dataclass(source) and not isinstance(source, type)


def _is_array(value: Any) -> bool:
    """Return whether a leaf is an array. Beside these, a model holds functions and settings."""
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a tree by their places: "layers[0].weight"."""
    inner = None if _is_array(value) else parts_of(value, place)
    if inner is None:
        yield place.removeprefix("."), value
        return
    for name, part in inner:
        yield from _leaves(part, place + name)


def _tensor(name: str, value: Any) -> Tensor:
    try:
        array = as_array(value)
    except SnstatError as error:
        return Tensor(name, (), "", None, printable(str(error), 200))
    dtype = str(getattr(value, "dtype", "")).removeprefix("torch.")
    if dtype in DTYPES and array.dtype.kind == "V":
        array = array.astype(np.float32)
    if array.dtype.name not in DTYPES or array.dtype.kind != "f":
        return Tensor(name, array.shape, array.dtype.name, None, array.dtype.name)
    return Tensor(name, array.shape, array.dtype.name, lambda: array)
