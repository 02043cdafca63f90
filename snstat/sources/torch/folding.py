"""Values within a graph of torch.export that do not depend on its inputs, such as masks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

# Larger tensors are not calculated: a mask of 4,096 tokens has as many.
MOST_VALUES = 2**24


def folded(program: Any, given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the values of nodes that follow from those that are `given`, by name, these included:
    of operations without chance, which write to nothing."""
    found = dict(given)
    with torch.no_grad():
        for node in program.graph.nodes:
            if node.op == "call_function" and _plain(node, found):
                value = _called(node, found)
                if isinstance(value, torch.Tensor):
                    found[node.name] = value
    return found


def _plain(node: Any, known: Mapping[str, torch.Tensor]) -> bool:
    """Return whether a node has no chance in it, writes to nothing, and is small and given all."""
    target, value = node.target, node.meta.get("val")
    if not isinstance(target, torch._ops.OpOverload) or not isinstance(value, torch.Tensor):  # noqa: SLF001
        return False
    if target._schema.is_mutable or torch.Tag.nondeterministic_seeded in target.tags:  # noqa: SLF001
        return False
    if any(own.name not in known for own in node.all_input_nodes):
        return False
    return all(isinstance(n, int) for n in value.shape) and math.prod(value.shape) <= MOST_VALUES


def _called(node: Any, known: Mapping[str, torch.Tensor]) -> Any:
    def own(value: Any) -> Any:
        return known[value.name]

    args = torch.fx.map_arg(node.args, own)
    try:
        return node.target(*args, **torch.fx.map_arg(node.kwargs, own))
    except Exception:  # noqa: BLE001  # a kernel that is not there for these values, say
        return None
