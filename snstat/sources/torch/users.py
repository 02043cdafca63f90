"""What uses the values of a graph: other nodes, outputs, and code outside a call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from snstat.sources.torch.graph import IN_PLACE, Graph, Node, Scope


def live_of(graph: Graph, gates: Collection[str] = ()) -> set[str]:
    """Return the names of nodes that an output depends on, or that write to what it may depend on,
    not by way of `gates`. Others, such as means of attention's weights that nobody asked for, end
    no theory."""
    found = {ref.name for ref in graph.outputs}
    for node in reversed(graph.nodes):
        if node.name in found or node.op.endswith(IN_PLACE):
            found.add(node.name)
            found |= set() if node.name in gates else {ref.name for ref in node.sources}
    return found


def readers_of(graph: Graph, live: Collection[str]) -> Counter[str]:
    """Return how many of the nodes that are `live` read each value, the output included."""
    nodes = (node for node in graph.nodes if node.name in live)
    found = Counter(ref.name for node in nodes for ref in {*node.sources})
    found.update(ref.name for ref in graph.outputs)
    return found


def returned_by(graph: Graph) -> dict[Scope, list[Node]]:
    """Return the values of each call of a module that are used outside it, in their order."""
    users: dict[str, list[frozenset[Scope]]] = {}
    for node in graph.nodes:
        for ref in node.sources:
            users.setdefault(ref.name, []).append(frozenset(node.scopes))
    for ref in graph.outputs:
        users.setdefault(ref.name, []).append(frozenset())
    found: dict[Scope, list[Node]] = {}
    for node in graph.nodes:
        for scope in node.scopes:
            if any(scope not in user for user in users.get(node.name, ())):
                found.setdefault(scope, []).append(node)
    return found
