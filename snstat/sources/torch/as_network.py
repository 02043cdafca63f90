"""The graph of a module as layers of snstat, as far as it maps.

On each path it ends at the first node that is no layer, with the reason. Values that an operation
writes to in place have its result from then on, and so have all views of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from snstat.errors import SnstatError
from snstat.layers.entry import Entry
from snstat.layers.keys import INPUT, PREVIOUS
from snstat.layers.layer import Layer
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.results.module import Left
from snstat.sources.mapped import Place
from snstat.sources.torch.called import function_path
from snstat.sources.torch.draws import Draws, Role
from snstat.sources.torch.graph import IN_PLACE, Graph, Node, Ref, Scope
from snstat.sources.torch.operation import Context, Made, NotMappedError, Operation, Value
from snstat.sources.torch.operations import COPIES, KEEP, is_known, made
from snstat.sources.weights.tensor import JAX, TORCH

# Names of layers that begin with a digit get this before it. A name with its number has at most 100
# characters.
LAYER, MOST_OF_A_NAME = "layer_", 80
# Linear maps by a matrix, and which of the arguments of a product it is.
LINEAR, PRODUCTS = "linear", {"matmul": "other", "mm": "mat2"}


class Found(NamedTuple):
    """Layers of a module, and the entries whose values calls of modules return, with their shape,
    and those that functions return, None for what is not known. `missing` is what stands against
    the whole module being these layers, empty if nothing does."""

    entries: tuple[Entry, ...]
    places: tuple[Place, ...]
    calls: Mapping[tuple[str, int], tuple[int, tuple[int, ...]]]
    functions: Mapping[str, Sequence[tuple[int | None, tuple[int, ...]]]]
    ends: tuple[Left, ...]
    missing: str


def roles_of(graph: Graph, first: str) -> dict[str, Role]:
    """Return what the parameters are, by their names, that operations use which may be layers
    after the input `first`."""
    roles: dict[str, Role] = {}
    nodes = tuple(_possible(graph, first))
    for node in nodes:
        for ref in node.sources:
            if ref.name in graph.parameters:
                roles.setdefault(graph.parameters[ref.name], Role())
    for node in nodes:
        given = node.arguments
        weights = given.get("weight" if node.op == LINEAR else PRODUCTS.get(node.op, ""))
        if not isinstance(weights, Ref) or weights.name not in graph.parameters:
            continue
        roles[graph.parameters[weights.name]] = Role(TORCH if node.op == LINEAR else JAX)
        biases = given.get("bias")
        if isinstance(biases, Ref) and biases.name in graph.parameters:
            fan_in = graph.shapes[weights.name][1]
            roles[graph.parameters[biases.name]] = Role(fan_in=fan_in)
    return roles


def _possible(graph: Graph, first: str) -> Iterator[Node]:
    """Yield the nodes that may be layers, by what they are called, and start from such nodes."""
    known, lost = {first}, set[str]()
    for node in graph.nodes:
        names = {ref.name for ref in node.sources}
        if names & lost or (names & known and not is_known(node.op)):
            lost.add(node.name)
        elif names & known:
            known.add(node.name)
            yield node


def as_layers(graph: Graph, first: str, draws: Draws, *, train: bool, epsilon: float) -> Found:
    """Return the layers that a graph is whose input is the value `first`; other inputs have no
    theory. `train` is its mode, and `epsilon` that of its numbers."""
    mapper = _Mapper(graph, first, draws, train=train, epsilon=epsilon)
    for node in graph.nodes:
        mapper.take(node)
    return mapper.found()


class _Mapper:
    """Goes through the nodes of a graph."""

    def __init__(
        self, graph: Graph, first: str, draws: Draws, *, train: bool, epsilon: float
    ) -> None:
        self._graph = graph
        self._values = {name: Value() for name in graph.inputs}
        self._values |= {key: Value(parameter=name) for key, name in graph.parameters.items()}
        for key, tensor in graph.constants.items():
            alone = tensor.numel() > 0 and bool((tensor == tensor.reshape(-1)[0]).all())
            number = float(tensor.reshape(-1)[0]) if alone else None
            self._values[key] = Value(number=number)
        self._values[first] = Value(entry=0)
        self._context = Context(self._values, graph.shapes, draws, train, epsilon)
        self._units = [math.prod(graph.shapes[first][1:])]
        self._entries: list[Entry] = []
        self._places: list[Place] = []
        self._names: set[str] = set()
        # The entry that the value of each node was when it was made.
        self._made: dict[str, int | None] = {}
        # Values that are those of another node, which others use too.
        self._shared: set[str] = set()
        self._ends: list[Left] = []

    def take(self, node: Node) -> None:
        """Take up the next node."""
        sources = [self._values.setdefault(ref.name, Value()) for ref in node.sources]
        value = Value()
        if any(source.ended for source in sources):
            value.ended = True
        elif any(source.entry is not None for source in sources):
            value = self._mapped(node)
        elif node.op in KEEP and sources:
            value = sources[0]
        if node.op.endswith(IN_PLACE) and sources and sources[0].parameter is None:
            # The result is what was written to, and its views are one value.
            written = sources[0]
            if value.ended:
                written.end()
            written.entry, written.number = value.entry, value.number
            value = written
        elif value.ended and node.view:
            value.bases = tuple(sources)
        self._values[node.name] = value
        self._made[node.name] = value.entry

    def _mapped(self, node: Node) -> Value:
        """Return the value of a node that depends on the input."""
        if node.shape is None and not self._graph.users.get(node.name):  # a check, no value
            return Value()
        try:
            found = made(Operation(node, self._context))
            if found.layer is not None:
                return Value(entry=self._entered(node, found.layer, found))
        except NotMappedError as error:
            scope = node.scopes[-1]
            self._ends.append(Left(scope.path, str(error) or _no_theory(node, scope), scope.call))
            return Value(ended=True)
        (entry,) = found.inputs
        source = next(ref.name for ref in node.sources if self._values[ref.name].entry == entry)
        # The gradient of this one is not that of a value that others use as well.
        shared = self._graph.users.get(source, 1) > 1
        if node.op not in COPIES:
            self._shared |= {node.name} if shared else set()
            return self._values[source]
        return Value(entry=self._append(node, Scale(1.0), (entry,)) if shared else entry)

    def _entered(self, node: Node, layer: Layer, found: Made) -> int:
        """Return the number of a new entry. Raises NotMappedError for one of another shape."""
        shape = self._shape(layer, found.inputs)
        if node.shape is None or node.shape[1:] != shape.sizes:
            raise NotMappedError
        inputs = list(found.inputs)
        for place, factor in enumerate(found.factors):
            if factor != 1.0:
                inputs[place] = self._append(node, Scale(factor), (inputs[place],))
        return self._append(node, layer, tuple(inputs))

    def _append(self, node: Node, layer: Layer, inputs: tuple[int, ...]) -> int:
        scope = node.scopes[-1]
        kind = scope.kind if scope.library else node.op.strip(IN_PLACE)
        shape = self._shape(layer, inputs)
        self._entries.append(Entry(layer, inputs, self._name(scope) if scope.library else ""))
        self._places.append(Place(scope.path, scope.call, kind))
        self._units.append(shape.channels)
        return len(self._entries)

    def _shape(self, layer: Layer, inputs: tuple[int, ...]) -> Shape:
        try:
            return layer.shape([Shape(self._units[number]) for number in inputs])
        except SnstatError as error:
            raise NotMappedError(str(error)) from None

    def _name(self, scope: Scope) -> str:
        """Return a name for the layer of a call that no other one has, and that a file takes."""
        word = re.sub("[^A-Za-z0-9_]", "_", scope.path)[-MOST_OF_A_NAME:]
        word = word if word[0].isalpha() and word not in (INPUT, PREVIOUS) else f"{LAYER}{word}"
        name, number = word, 1
        while name in self._names:
            number += 1
            name = f"{word}-{number}"
        self._names.add(name)
        return name

    def found(self) -> Found:
        """Return what was found."""
        return Found(
            tuple(self._entries),
            tuple(self._places),
            self._calls(),
            self._functions(),
            tuple(self._ends),
            self._missing(),
        )

    def _missing(self) -> str:
        if self._ends:
            return "theory ends within it"
        outputs = [self._values.get(ref.name, Value()).entry for ref in self._graph.outputs]
        if len(outputs) != 1:
            return f"it returns {len(outputs)} values, and a network has one output"
        if not self._entries:
            return "it has no layers"
        return (
            "" if outputs[0] == len(self._entries) else "its output is not that of its last layer"
        )

    def _calls(self) -> dict[tuple[str, int], tuple[int, tuple[int, ...]]]:
        """Return the entries whose values calls return: of each call, the one value that others
        use."""
        users: dict[str, list[frozenset[Scope]]] = {}
        for node in self._graph.nodes:
            for ref in node.sources:
                users.setdefault(ref.name, []).append(frozenset(node.scopes))
        for ref in self._graph.outputs:
            users.setdefault(ref.name, []).append(frozenset())
        outputs: dict[Scope, list[Node]] = {}
        for node in self._graph.nodes:
            for scope in node.scopes:
                if any(scope not in user for user in users.get(node.name, ())):
                    outputs.setdefault(scope, []).append(node)
        found = {}
        for scope, nodes in outputs.items():
            (node, *others), entry = nodes, self._made[nodes[0].name]
            alone = not others and node.name not in self._shared
            if alone and entry is not None and node.shape is not None:
                found[scope.path, scope.call] = entry, node.shape
        return found

    def _functions(self) -> dict[str, list[tuple[int | None, tuple[int, ...]]]]:
        """Return the entries whose values functions return, by their paths, in their order."""
        found: dict[str, list[tuple[int | None, tuple[int, ...]]]] = {}
        for node in self._graph.nodes:
            if node.shape is not None and node.scopes:
                path = function_path(node.scopes[-1].path, node.op)
                known = None if node.name in self._shared else self._made[node.name]
                found.setdefault(path, []).append((known, node.shape))
        return found


def _no_theory(node: Node, scope: Scope) -> str:
    kind = scope.kind if scope.library else node.op.strip(IN_PLACE)
    return f"{kind} has no theory"
