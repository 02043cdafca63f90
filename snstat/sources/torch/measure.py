"""The statistics of one tensor."""

from __future__ import annotations

import torch

from snstat.engine.tensor import NOT_TOLD, Still, square_norm
from snstat.results.module import Axes
from snstat.sources.calls.measure import Values, measure_array


def measure_tensor(
    tensor: torch.Tensor, axes: Axes | None, batch: int, still: Still = NOT_TOLD
) -> tuple[bool, Values]:
    """Return whether a tensor is finite, and its statistics (see engine.tensor.measure)."""
    return measure_array(array_of(tensor), axes, batch, still)


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
