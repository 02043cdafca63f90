"""The statistics of one tensor."""

from __future__ import annotations

import torch

from snstat.engine.tensor import NOT_TOLD, Still, square_norm
from snstat.results.module import Axes
from snstat.sources.calls.measure import Values, measure_array, split
from snstat.sources.torch.on_device import measure_on_device, square_on_device

# Where kernels measure a tensor, or a copy of it: mps has no float64.
COPIED = ("cpu", "mps")


def measure_tensor(
    tensor: torch.Tensor, axes: Axes | None, batch: int, still: Still = NOT_TOLD
) -> tuple[bool, Values]:
    """Return whether a tensor is finite, and its statistics (see engine.tensor.measure), computed
    where it is."""
    if _elsewhere(tensor):
        roles = None
        if axes is not None:
            tensor, roles = split(tensor.detach(), axes, batch)
        return measure_on_device(tensor, roles, still)
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
    if _elsewhere(tensor) and tensor.numel():
        return square_on_device(tensor)
    return square_norm(array_of(tensor)) if tensor.numel() else 0.0


def _elsewhere(tensor: torch.Tensor) -> bool:
    return tensor.device.type not in COPIED
