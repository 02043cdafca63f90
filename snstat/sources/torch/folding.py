"""Values within a graph of torch.export that do not depend on its inputs, such as masks.

What is written to in place has its last values, if nothing reads it before that. What is written to
a buffer, or to a fixed tensor of a module, is there in the next call too, so that these are not
known then, nor are views of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

# Larger tensors are not calculated: a mask of 4,096 tokens has as many.
MOST_VALUES = 2**24


def folded(program: Any, given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the values of nodes that follow from those that are `given`, by name, these included:
    of operations without chance."""
    found, all_of = dict(given), list(given.values())
    own_memories = {memory_of(value) for value in all_of}
    # What was written to of what is given, what was read of some memory, and what was before that
    # was written to.
    lost, read, stale = set[int](), dict[int, set[str]](), set[str]()
    for node in program.graph.nodes:
        if node.op != "call_function":
            continue
        written = {memory_of(found[name]) for name in written_by(node) if name in found}
        stale |= {name for memory in written for name in read.get(memory, ())}
        fixed = written & own_memories
        value = None if fixed or not _plain(node, found) else _called(node, found)
        if isinstance(value, torch.Tensor):
            found[node.name] = value
            all_of.append(value)  # so that no other one gets its memory
        elif written:
            lost |= fixed
            found = {name: own for name, own in found.items() if memory_of(own) not in written}
        for name in (own.name for own in node.all_input_nodes if own.name in found):
            memory = memory_of(found[name])
            if not isinstance(value, torch.Tensor) or memory_of(value) != memory:
                read.setdefault(memory, set()).add(name)
    if lost:
        return folded(program, {k: own for k, own in given.items() if memory_of(own) not in lost})
    return {name: own for name, own in found.items() if name not in stale}


def memory_of(tensor: torch.Tensor) -> int:
    """Return what tells the memory of a tensor, which views of it share."""
    return tensor.untyped_storage()._cdata  # noqa: SLF001  # also of tensors without values


def written_by(node: Any) -> Iterator[str]:
    """Yield the names of the arguments that a node may write to: of one that runs a graph of its
    own, as that of code without gradients, all if that writes to anything."""
    if isinstance(node.target, torch._ops.OpOverload):  # noqa: SLF001
        for place, entry in enumerate(node.target._schema.arguments):  # noqa: SLF001
            value = node.args[place] if place < len(node.args) else node.kwargs.get(entry.name)
            if entry.is_write and isinstance(value, torch.fx.Node):
                yield value.name
        return
    own = [other for other in node.all_input_nodes if other.op == "get_attr"]
    parts = [getattr(node.graph.owning_module, str(other.target), None) for other in own]
    graphs = [part.graph for part in parts if isinstance(part, torch.fx.GraphModule)]
    if any(True for graph in graphs for inner in graph.nodes for _ in written_by(inner)):
        yield from (other.name for other in node.all_input_nodes)


def _plain(node: Any, known: Mapping[str, torch.Tensor]) -> bool:
    """Return whether a node has no chance in it, and is small and given all."""
    target, value = node.target, node.meta.get("val")
    if not isinstance(target, torch._ops.OpOverload) or not isinstance(value, torch.Tensor):  # noqa: SLF001
        return False
    if torch.Tag.nondeterministic_seeded in target.tags:
        return False
    if any(own.name not in known for own in node.all_input_nodes):
        return False
    return all(isinstance(n, int) for n in value.shape) and math.prod(value.shape) <= MOST_VALUES


def _called(node: Any, known: Mapping[str, torch.Tensor]) -> Any:
    def own(value: Any) -> Any:
        return known[value.name]

    args = torch.fx.map_arg(node.args, own)
    try:
        with torch.no_grad():
            return node.target(*args, **torch.fx.map_arg(node.kwargs, own))
    except Exception:  # noqa: BLE001  # a kernel that is not there for these values, say
        return None


def alone(tensor: torch.Tensor) -> float | None:
    """Return the number that all values are, None if they differ."""
    values = tensor.reshape(-1)
    alone = values.numel() > 0 and bool((values == values[0]).all())
    return float(values[0]) if alone else None
