"""What the parameters of a graph are that layers may draw, by the operations that use them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from snstat.sources.torch.draws import Role
from snstat.sources.torch.encodings import EMBEDDING, encodings_of
from snstat.sources.torch.graph import IN_PLACE, Graph, Node, Ref
from snstat.sources.torch.operations import is_known
from snstat.sources.torch.operations_of_time import OF_TIME
from snstat.sources.weights.tensor import JAX, TORCH

# Linear maps by weights in PyTorch's order, and products, with which of their arguments these are.
WEIGHED = ("linear", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d")
ADD = "add"
PRODUCTS = {"matmul": "other", "mm": "mat2", "addmm": "mat2"}


def roles_of(graph: Graph, first: str) -> dict[str, Role]:
    """Return what the parameters are, by their names, that operations use which may be layers
    after the input `first`."""
    roles: dict[str, Role] = {}
    nodes, encodings = tuple(_possible(graph, first)), encodings_of(graph)
    for node in nodes:
        for ref in node.sources:
            if ref.name in graph.parameters:
                roles.setdefault(graph.parameters[ref.name], Role())
    for node in nodes:
        given = node.arguments
        if node.op.removesuffix(IN_PLACE) == ADD:
            added = (encodings[ref.name] for ref in node.sources if ref.name in encodings)
            roles |= {encoding.parameter: Role(rows=True) for encoding in added}
            continue
        if node.op == EMBEDDING:
            name = graph.parameters.get(given["weight"].name)
            roles |= {} if name is None else {name: Role(rows=True)}
            continue
        if node.op in OF_TIME:
            width = graph.shapes[given["params"][1].name][1]
            own = (graph.parameters.get(ref.name) for ref in given["params"])
            roles |= {name: Role(fan_in=width) for name in own if name is not None}
            continue
        weights = given.get("weight" if node.op in WEIGHED else PRODUCTS.get(node.op, ""))
        if not isinstance(weights, Ref) or weights.name not in graph.parameters:
            continue
        roles[graph.parameters[weights.name]] = Role(TORCH if node.op in WEIGHED else JAX)
        biases = given.get("self" if node.op == "addmm" else "bias")
        if isinstance(biases, Ref) and biases.name in graph.parameters:
            shape = graph.shapes[weights.name]
            fan_in = math.prod(shape[1:]) if node.op in WEIGHED else shape[0]
            roles[graph.parameters[biases.name]] = Role(fan_in=fan_in)
    return roles


def _possible(graph: Graph, first: str) -> Iterator[Node]:
    """Yield the nodes that may be layers, by what they are called, and start from such nodes."""
    known, lost = {first}, set[str]()
    for node in graph.nodes:
        names = {ref.name for ref in node.sources}
        maps = is_known(node.op) or graph.activation(node) is not None
        if names & lost or (names & known and not maps):
            lost.add(node.name)
        elif names & known:
            known.add(node.name)
            yield node
