"""The statistics of one tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from snstat.engine.tensor import NOT_TOLD, Still, measure, square_norm
from snstat.results.module import Axes

Values = npt.NDArray[np.floating[Any]]


def measure_tensor(
    tensor: torch.Tensor, axes: Axes | None, batch: int, still: Still = NOT_TOLD
) -> tuple[bool, Values]:
    """Return whether a tensor is finite, and its statistics (see engine.tensor.measure)."""
    array, roles = array_of(tensor), None
    if axes is not None:
        array, roles = _split(array, axes, batch)
    return measure(array, roles, still)


def array_of(tensor: torch.Tensor) -> Values:
    """Return the values of a tensor: a view where it is float32 or float64 on the CPU."""
    tensor = tensor.detach().resolve_neg()
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.float()
    values: Values = tensor.cpu().numpy()
    return values


def square_of(tensor: torch.Tensor) -> float:
    """Return the sum of squares of a tensor."""
    return square_norm(array_of(tensor)) if tensor.numel() else 0.0


def _split(array: Values, axes: Axes, batch: int) -> tuple[Values, str | None]:
    """Return an array whose axes have one meaning each, and their letters."""
    letters, shape = [], []
    for axis, size in enumerate(array.shape):
        if axis in axes.sample and axis in axes.position:
            if size % batch:
                return array, None
            letters += ["S", "P"]
            shape += [batch, size // batch]
        else:
            letters.append("S" if axis in axes.sample else "U" if axis in axes.unit else "P")
            shape.append(size)
    return array.reshape(shape), "".join(letters)
