"""The tensors within what a module returns, by their places: tuples, dicts and dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch.nn.utils.rnn import PackedSequence

# Deeper outputs refer to themselves.
DEEPEST = 16


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
    elif (inner := _parts(value)) is None or place.count("[") + place.count(".") > DEEPEST:
        yield Skipped(place, "None" if value is None else type(value).__name__)
    else:
        for name, part in inner:
            yield from leaves_of(part, place + name)


def tensors_of(value: Any) -> list[torch.Tensor]:
    """Return the floating tensors within a value."""
    return [leaf.tensor for leaf in leaves_of(value) if isinstance(leaf, Leaf)]


def dtype_name(tensor: torch.Tensor) -> str:
    """Return the precision of a tensor in a word."""
    return str(tensor.dtype).removeprefix("torch.")


def _parts(value: Any) -> list[tuple[str, Any]] | None:
    """Return the parts of a container and their places in it, or None of anything else."""
    if isinstance(value, Mapping):
        return [(_key(name), part) for name, part in value.items()]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return [(f".{name}", getattr(value, name)) for name in value._fields]
    if isinstance(value, tuple | list):
        return [(f"[{number}]", part) for number, part in enumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f".{f.name}", getattr(value, f.name)) for f in dataclasses.fields(value)]
    return None


def _key(name: Any) -> str:
    return f".{name}" if isinstance(name, str) and name.isidentifier() else f"[{name!r}]"


def _obstacle(tensor: torch.Tensor) -> str | None:
    """Return why a tensor cannot be measured, or None."""
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
