"""Arrays of the caller as tensors: a mapping of names, such as a state dict, or one array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snstat.errors import SnstatError, printable
from snstat.files.arrays import as_array
from snstat.sources.weights.dtypes import DTYPES
from snstat.sources.weights.tensor import Tensor

# The name of an array that is given without one.
UNNAMED = "weight"


def tensors_of(source: Any) -> list[Tensor]:
    """Return arrays as tensors.

    Types that numpy lacks are widened, so that float16 and float32 remain; what holds no floating
    numbers has a reason not to be looked at.
    """
    named = source if isinstance(source, Mapping) else {UNNAMED: source}
    return [_tensor(str(name), value) for name, value in named.items()]


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
