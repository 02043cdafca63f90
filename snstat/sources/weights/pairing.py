"""The order of tensors without one of their own, and which of them is the bias of a matrix."""

from __future__ import annotations

import re
from collections.abc import Sequence

from snstat.sources.weights.tensor import Tensor

# What files call matrices and biases: fc1.weight and fc1.bias, Dense_0/kernel and Dense_0/bias,
# W1 and b1. Keras ends names with :0.
_LAST = re.compile(
    r"(?P<stem>(?:.*[./_-])?)(?:(?P<bias>bias|b)|weight|kernel|w)(?P<number>_?[0-9]*(?::[0-9]+)?)",
    re.IGNORECASE | re.DOTALL,
)
_DIGITS = re.compile(r"([0-9]+)")


def natural(name: str) -> tuple[str | tuple[int, str], ...]:
    """Return what orders names as people do: layers.9 before layers.10."""
    parts = _DIGITS.split(name)
    # Numbers may have more digits than Python reads.
    return tuple(
        (len(part.lstrip("0")), part.lstrip("0")) if place % 2 else part
        for place, part in enumerate(parts)
    )


def stem_of(name: str) -> tuple[str, str]:
    """Return what a matrix and its bias share of their names."""
    found = _LAST.fullmatch(name)
    return (name, "") if found is None else (found["stem"].rstrip("./_-"), found["number"])


def paired(tensors: Sequence[Tensor]) -> tuple[list[tuple[Tensor, Tensor | None]], list[Tensor]]:
    """Return the tensors of two or more axes, each with its bias, None without one, in their order;
    and the tensors that are neither."""
    biases = {stem_of(tensor.name): tensor for tensor in tensors if _is_bias(tensor)}
    pairs, used = [], set[int]()
    for tensor in tensors:
        if len(tensor.shape) > 1:
            bias = biases.pop(stem_of(tensor.name), None)
            pairs.append((tensor, bias))
            used |= {id(tensor), id(bias)}
    return pairs, [tensor for tensor in tensors if id(tensor) not in used]


def _is_bias(tensor: Tensor) -> bool:
    found = _LAST.fullmatch(tensor.name)
    return len(tensor.shape) == 1 and found is not None and found["bias"] is not None
