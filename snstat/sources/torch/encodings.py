"""Encodings of positions in a graph: which values have one vector of a parameter for each time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch

from snstat.sources.torch.graph import Graph, Node, Ref

EMBEDDING = "embedding"
# What leaves the vectors as they are, or only some of them.
PARTS = frozenset({
    "slice", "narrow", "unsqueeze", "squeeze", "view", "reshape", "_unsafe_view", "flatten",
    "expand", "clone", "contiguous", "alias", "detach", "lift_fresh_copy", "to", "_to_copy",
})  # fmt: skip


class Encoding(NamedTuple):
    """The vectors of a `parameter` along the last axis of a value, another one for each number
    along the axis `times`, counted from the end. Other axes are of size 1, or repeat them."""

    parameter: str
    times: int


def encodings_of(graph: Graph) -> dict[str, Encoding]:
    """Return the encodings among the values of a graph, by the names of its nodes."""
    found = {
        key: Encoding(name, times)
        for key, name in graph.parameters.items()
        if key not in graph.values  # a buffer, whose values are known
        for times in _times(graph.shapes.get(key, ()))
    }
    for node in graph.nodes:
        encoding = _looked_up(node, graph) if node.op == EMBEDDING else _part(node, graph, found)
        if encoding is not None:
            found[node.name] = encoding
    return found


def _times(shape: tuple[int, ...]) -> Iterator[int]:
    """Yield the axis before the last one that is not of size 1, counted from the end, if there is
    one such axis."""
    axes = [axis - len(shape) for axis, size in enumerate(shape[:-1]) if size != 1]
    if len(axes) == 1:
        yield axes[0]


def _looked_up(node: Node, graph: Graph) -> Encoding | None:
    """Return the rows of a matrix by numbers that are fixed, and all different."""
    weights, numbers = node.arguments["weight"], node.arguments["indices"]
    if not isinstance(weights, Ref) or not isinstance(numbers, Ref) or node.shape is None:
        return None
    name, values = graph.parameters.get(weights.name), graph.values.get(numbers.name)
    if name is None or values is None:
        return None
    if values.ndim > 1 and values.shape[0] > 1 and bool((values == values[:1]).all()):
        values = values[:1]  # the same for all samples
    axes = list(_times((*values.shape, 1)))
    different = torch.unique(values).numel() == values.numel()
    return Encoding(name, axes[0]) if axes and different else None


def _part(node: Node, graph: Graph, found: Mapping[str, Encoding]) -> Encoding | None:
    """Return the vectors of a source that a node only moves, leaves out or repeats."""
    source = node.sources[0].name if node.sources else ""
    if node.op not in PARTS or source not in found or node.shape is None:
        return None
    before, shape = graph.shapes[source], node.shape
    if not shape or shape[-1] != before[-1]:
        return None
    if node.op == "expand":  # the first axis, that of samples, repeats them
        whole = (1,) * (len(shape) - len(before)) + before
        return found[source] if shape[1:] == whole[1:] else None
    axes = list(_times(shape))
    return Encoding(found[source].parameter, axes[0]) if axes else None
