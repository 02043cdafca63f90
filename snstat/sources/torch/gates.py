"""Which calls of a traced module only make gates: factors between 0 and 1 of other values.

A gate is no signal that has to survive, nor is what leads only to one, such as the squeeze of
squeeze-and-excitation. Its inputs may become alike, as their means over many positions do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from snstat.sources.torch.called import function_path
from snstat.sources.torch.graph import IN_PLACE, Graph, Node
from snstat.sources.torch.operations_of_axes import OF_AXES
from snstat.sources.torch.operations_of_parts import OF_PARTS
from snstat.sources.torch.users import live_of, returned_by

GATES = frozenset({"sigmoid", "hardsigmoid", "softmax"})
# What a gate may go through on its way to a product: other axes, parts, repetition, masks.
KEEP = frozenset({*OF_AXES, *OF_PARTS, "expand", "expand_as", "repeat", "dropout", "detach"})
# With a number they keep a gate one, such as 1 − z; a product with other values uses it.
WITH_NUMBER = frozenset({"sub", "rsub", "add", "div", "neg", "mul"})
PRODUCTS = frozenset({"mul", "matmul", "bmm"})

Calls = frozenset[tuple[str, int]]


def gates_of(graph: Graph) -> Calls:
    """Return the paths of modules and functions, with the numbers of their calls, whose values
    matter to gates alone; none where nothing but gates starts from the input."""
    users: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for ref in {*node.sources}:
            users.setdefault(ref.name, []).append(node)
    outputs = {ref.name for ref in graph.outputs}

    def only_multiplies(name: str) -> bool:
        if name in outputs or name not in users:
            return False
        return all(used(node, name) for node in users[name])

    def used(node: Node, name: str) -> bool:
        op, others = node.op.removesuffix(IN_PLACE), {ref.name for ref in node.sources} - fixed
        if others - {name}:
            return op in PRODUCTS
        return op in KEEP | WITH_NUMBER and only_multiplies(node.name)

    # Numbers and weights, of which no product is one with another value.
    fixed = {*graph.constants, *graph.parameters}
    names = (node for node in graph.nodes if node.op.removesuffix(IN_PLACE) in GATES)
    gates = {node.name for node in names if only_multiplies(node.name)}
    if not gates:
        return frozenset()
    judged = live_of(graph, gates) - gates
    if judged.isdisjoint(graph.inputs):
        return frozenset()
    alone = live_of(graph) - judged
    return frozenset(_calls(graph, alone))


def _calls(graph: Graph, alone: set[str]) -> Iterator[tuple[str, int]]:
    """Yield the calls all of whose values are among those in `alone`."""
    for scope, nodes in returned_by(graph).items():
        if all(node.name in alone for node in nodes):
            yield scope.path, scope.call
    calls = Counter[str]()
    for node in graph.nodes:
        if node.shape is not None and node.scopes:
            path = function_path(node.scopes[-1].path, node.op)
            calls[path] += 1
            if node.name in alone:
                yield path, calls[path]
