"""The tensors within what a module returns, by their places: tuples, dicts and dataclasses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch.nn.utils.rnn import PackedSequence

from snstat.sources.calls.parts import parts_of


class Leaf(NamedTuple):
    """A tensor within an output: its place ("" if it is the output itself), and whether its rows
    are samples in unknown order, as those of a packed sequence."""

    place: str
    tensor: torch.Tensor
    packed: bool = False


class Skipped(NamedTuple):
    """Something within an output that is not measured, and why."""

    place: str
    reason: str


def leaves_of(value: Any, place: str = "") -> Iterator[Leaf | Skipped]:
    """Yield the floating tensors of an output, and what else it holds as skipped."""
    if isinstance(value, torch.Tensor):
        reason = _obstacle(value)
        yield Leaf(place, value) if reason is None else Skipped(place, reason)
    elif isinstance(value, PackedSequence):
        for leaf in leaves_of(value.data, f"{place}.data"):
            yield leaf._replace(packed=True) if isinstance(leaf, Leaf) else leaf
    elif (inner := parts_of(value, place)) is None:
        yield Skipped(place, "None" if value is None else type(value).__name__)
    else:
        for name, part in inner:
            yield from leaves_of(part, place + name)


def tensors_of(value: Any) -> list[torch.Tensor]:
    """Return the floating tensors within a value."""
    return [leaf.tensor for leaf in leaves_of(value) if isinstance(leaf, Leaf)]


def version_of(tensor: torch.Tensor) -> int:
    """Return how often a tensor was changed, 0 where torch does not count it: in inference mode."""
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001  # no public name


def is_mask(tensor: torch.Tensor) -> bool:
    """Return whether a tensor holds −∞ beside finite values, as what masks attention does."""
    low, high = torch.aminmax(tensor.detach())
    return bool(low == -torch.inf and high < torch.inf)


def dtype_name(tensor: torch.Tensor) -> str:
    """Return the precision of a tensor in a word."""
    return str(tensor.dtype).removeprefix("torch.")


def _obstacle(tensor: torch.Tensor) -> str | None:
    """Return why a tensor cannot be measured, or None."""
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor):  # noqa: SLF001  # no public name
        return "transformed by torch.func"
    if tensor.is_nested:
        return "nested tensor"
    if tensor.layout != torch.strided:
        return str(tensor.layout).removeprefix("torch.")
    if not tensor.is_floating_point():
        return dtype_name(tensor)
    if tensor.is_meta:
        return "meta tensor"
    if tensor.numel() == 0:
        return "no elements"
    return None
