"""The largest tensor that is read: `--max-bytes`, checked by what a file declares."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from snstat.errors import InputFileError, quoted
from snstat.limits import free_memory
from snstat.sources.weights.tensor import Tensor
from snstat.values.largest import MAX_BYTES

REMEDY = "use a larger --max-bytes, or split it"


def most_of(given: int | None) -> float:
    """Return the most bytes of a tensor, None for the default. Raises InvalidValueError."""
    return free_memory() / 2.0 if given is None else MAX_BYTES.check("max_bytes", given)


def require_small(path: str, tensors: Sequence[Tensor], most: float) -> None:
    """Raise InputFileError if a tensor that would be read has more than `most` bytes."""
    for tensor in tensors:
        if tensor.read is not None:
            size = math.prod(tensor.shape) * np.dtype(tensor.format.raw).itemsize
            require_bytes(path, f"declares {quoted(tensor.name)} with", size, most)


def require_bytes(path: str, what: str, size: int, most: float) -> None:
    """Raise InputFileError for `what` has more than `most` bytes."""
    if size > most:
        raise InputFileError(
            path, f"{what} {size:,} bytes, but at most {most:,.0f} are read", REMEDY
        )
