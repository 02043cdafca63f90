"""The graph of a module as layers of snstat, as far as it maps.

On each path it ends at the first node that is no layer, with the reason. Values that an operation
writes to in place have its result from then on, and so have all views of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from snstat.errors import SnstatError
from snstat.layers.activation import Activation
from snstat.layers.block import Block
from snstat.layers.entry import Entry
from snstat.layers.flatten import Flatten
from snstat.layers.keys import INPUT, PREVIOUS
from snstat.layers.layer import Layer
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.results.module import Left
from snstat.sources.mapped import Place
from snstat.sources.torch.called import function_path
from snstat.sources.torch.draws import Draws
from snstat.sources.torch.encodings import encodings_of
from snstat.sources.torch.folding import alone
from snstat.sources.torch.found import Found, Seen
from snstat.sources.torch.graph import IN_PLACE, Graph, Node, Ref, Scope
from snstat.sources.torch.layout import Layouts, NotMappedError
from snstat.sources.torch.operation import CHANGED, Context, Made, Operation, Value
from snstat.sources.torch.operations import DROP, FIRST, KEEP, LAST, made
from snstat.sources.torch.operations_of_tokens import CALCULATED
from snstat.sources.torch.users import live_of, readers_of, returned_by

ITEM = "getitem"
# Names of layers that begin with a digit get this before it. A name with its number has at most 100
# characters.
LAYER, MOST_OF_A_NAME = "layer_", 80


def as_layers(
    graph: Graph, first: str, draws: Draws, *, tokens: int, train: bool, epsilon: float
) -> Found:
    """Return the layers that a graph is whose input is the value `first`, numbers of `tokens` if
    that is not 0; other inputs have no theory. `train` is its mode, and `epsilon` that of its
    numbers. Raises SnstatError for tokens on more axes than grids have."""
    mapper = _Mapper(graph, first, draws, tokens=tokens, train=train, epsilon=epsilon)
    for node in graph.nodes:
        mapper.take(node)
    return mapper.found()


class _Mapper:
    """Goes through the nodes of a graph."""

    def __init__(
        self, graph: Graph, first: str, draws: Draws, *, tokens: int, train: bool, epsilon: float
    ) -> None:
        self._graph, self._first = graph, first
        self._values = {name: Value() for name in graph.inputs}
        self._values |= {key: Value(parameter=name) for key, name in graph.parameters.items()}
        self._constants = {key: Value(number=alone(x)) for key, x in graph.constants.items()}
        self._values |= self._constants
        self._values[first] = Value(entry=0)
        order = (node.op for node in graph.nodes if node.op in FIRST or node.op in LAST)
        last = next(order, "") in LAST
        self._layouts = Layouts(first, graph.shapes, last=last, tokens=tokens)
        encodings = encodings_of(graph)
        self._context = Context(
            self._values,
            graph.shapes,
            graph.values,
            encodings,
            self._layouts,
            draws,
            train,
            epsilon,
        )
        self._entries: list[Entry] = []
        self._places: list[Place] = []
        self._names: set[str] = set()
        # The entry that the value of each node was when it was made.
        self._made: dict[str, int | None] = {first: 0}
        # How many values there were when some were written to, which ones, and in which calls.
        self._writes: list[tuple[int, set[int], frozenset[Scope]]] = []
        # Values that are those of another node, which others use too.
        self._shared: set[str] = set()
        self._ends: list[Left] = []
        # Of each call of a module that is an activation: its nodes, and what it starts from.
        self._inside: dict[Scope, tuple[set[str], list[Ref]]] = {}
        self._returned = returned_by(graph)
        self._live = live_of(graph)
        self._readers = readers_of(graph, self._live)

    def take(self, node: Node) -> None:
        """Take up the next node."""
        sources = [self._values.setdefault(ref.name, Value()) for ref in node.sources]
        scope = self._graph.activation(node)
        if scope is not None:
            value = self._within(node, scope)
            self._values[node.name], self._made[node.name] = value, value.entry
            return
        known = node.name in self._constants  # as are the values of all that it writes to
        value = self._constants.get(node.name, Value())
        if any(source.ended for source in sources):
            value.ended = True
            for source in sources:
                source.why = "" if self._tell(node, source.why) else source.why
        elif any(source.entry is not None or source.scores is not None for source in sources):
            value = self._mapped(node)
        elif node.op in KEEP and sources:
            own = sources[0]
            value = own if node.view else Value(parameter=own.parameter, number=own.number)
        if node.op.endswith(IN_PLACE) and sources and value is not sources[0] and not known:
            # The result is what was written to, and views of all of it are one value.
            self._write(node, sources[0], value)
            value = sources[0]
        elif node.view and all(value is not source for source in sources):
            value.relatives += sources
            for source in sources:
                source.relatives.append(value)
        for ref in node.written:
            self._write(node, self._values[ref.name], Value(ended=True))
            self._values[ref.name].why = CHANGED
        self._values[node.name] = value
        self._made[node.name] = value.entry

    def _within(self, node: Node, scope: Scope) -> Value:
        """Return the value of a node of a module that is an activation function: that of this
        function if the module returns it."""
        inside, starts = self._inside.setdefault(scope, (set(), []))
        starts += [ref for ref in node.sources if ref.name not in inside]
        inside.add(node.name)
        if [own.name for own in self._returned.get(scope, ())] != [node.name]:
            return Value()
        given = {id(value): value for value in (self._values[ref.name] for ref in starts)}
        values = [value for value in given.values() if value.entry is not None or value.ended]
        for value in (own for own in values if own.ended):
            value.why = "" if self._tell(node, value.why) else value.why
        if len(values) != 1 or values[0].entry is None:
            return Value(ended=True)
        layer = Activation(self._graph.activations[scope.path])
        source = next(ref.name for ref in starts if self._values[ref.name] is values[0])
        try:
            self._layouts.of(source)  # of the input, too
            entry = self._entered(node, layer, source, Made(layer, (values[0].entry,)), scope)
        except NotMappedError as error:
            self._tell(node, str(error))
            return Value(ended=True)
        return Value(entry=entry)

    def _write(self, node: Node, to: Value, value: Value) -> None:
        """Write a value to another one."""
        family = {id(own) for own in to.family}
        self._writes.append((len(self._made), family, frozenset(node.scopes)))
        to.written(value)

    def _mapped(self, node: Node) -> Value:
        """Return the value of a node that depends on the input."""
        unused = not self._graph.users.get(node.name)
        if unused and (node.shape is None or node.op == ITEM):  # a check, or a part that is left
            return Value()
        try:
            found = made(Operation(node, self._context))
            if found.scores is not None:
                return Value(scores=found.scores)
            if found.parts is not None:
                return Value(entry=found.inputs[0], parts=found.parts)
            # Of what is no argument of the node, the layout is given.
            starts = (r for r in node.sources if self._values[r.name].entry == found.inputs[0])
            source = next((ref.name for ref in starts), "")
            if found.layer is not None:
                entry = self._entered(node, found.layer, source, found)
                return Value(entry=entry, states=found.states)
            return self._same(node, source, found)
        except NotMappedError as error:
            self._tell(node, str(error) or _no_theory(node, node.scopes[-1]))
            return Value(ended=True)

    def _tell(self, node: Node, why: str) -> bool:
        """Say that theory ends at a node, if that matters to anything. Return whether it does."""
        scope = node.scopes[-1]
        end = Left(scope.path, why, scope.call)
        if why and node.name in self._live and end not in self._ends:
            self._ends.append(end)
        return node.name in self._live

    def _same(self, node: Node, source: str, found: Made) -> Value:
        """Return the value of a node that is that of its source, maybe in another layout."""
        (entry,) = found.inputs
        if found.arranged is not None:
            self._layouts.arrange(node.name, found.arranged)
        else:
            self._layouts.take(node.name, source, found.layout)
            if found.padding is None and not self._layouts.is_open(node.name):
                self._require(node, self._layouts.shapes[entry])
        if found.padding is not None:
            self._layouts.padded[node.name] = found.padding
            return Value(entry=entry)
        # The gradient of this one is not that of a value that others use as well.
        shared = self._readers[source] > 1
        if node.view or node.op in DROP:
            self._shared |= {node.name} if shared else set()
            return self._values[source]
        if shared:
            self._layouts.of(source)
            entry = self._append(node, Scale(1.0), (entry,))
        return Value(entry=entry)

    def _entered(
        self, node: Node, layer: Layer, source: str, found: Made, scope: Scope | None = None
    ) -> int:
        """Return the number of a new entry. Raises NotMappedError for one of another shape."""
        self._layouts.take(node.name, source, found.layout)
        inputs = self._alike(node, found.inputs)
        if node.shape is not None:
            self._require(node, self._shape(layer, tuple(inputs)))
        for place, factor in enumerate(found.factors):
            if factor != 1.0:
                inputs[place] = self._append(node, Scale(factor), (inputs[place],))
        if not isinstance(layer, Block):
            return self._append(node, layer, tuple(inputs), scope)
        for entry in layer.entries:  # of several layers, each is one
            places = (inputs[number] for number in entry.inputs)
            inputs.append(self._append(node, entry.layer, tuple(places)))
        return inputs[-1]

    def _alike(self, node: Node, inputs: tuple[int, ...]) -> list[int]:
        """Return inputs of which grids of one position are vectors, if others are vectors."""
        shapes = [self._layouts.shapes[number] for number in inputs]
        if all(shape.grid for shape in shapes) or any(shape.positions > 1 for shape in shapes):
            return list(inputs)
        return [
            self._append(node, Flatten(), (number,)) if shape.grid else number
            for number, shape in zip(inputs, shapes, strict=True)
        ]

    def _require(self, node: Node, shape: Shape) -> None:
        """Raise NotMappedError for a value of another shape than that of a layer, as after numbers
        that are repeated along an axis."""
        layout = self._layouts.of(node.name)
        count = math.prod(layout.sizes)
        if node.shape != layout.sizes or count != self._layouts.samples * shape.units:
            raise NotMappedError

    def _append(
        self, node: Node, layer: Layer, inputs: tuple[int, ...], own: Scope | None = None
    ) -> int:
        scope = own or node.scopes[-1]
        named = own is not None or scope.library
        kind = scope.kind if named else node.op.strip(IN_PLACE)
        shape = self._shape(layer, inputs)
        self._entries.append(Entry(layer, inputs, self._name(scope) if named else ""))
        self._places.append(Place(scope.path, scope.call, kind))
        self._layouts.shapes.append(shape)
        return len(self._entries)

    def _shape(self, layer: Layer, inputs: tuple[int, ...]) -> Shape:
        shapes = [self._layouts.shapes[number] for number in inputs]
        if not layer.takes_tokens and any(shape.tokens for shape in shapes):
            raise NotMappedError(CALCULATED)
        try:
            return layer.shape(shapes)
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
        shapes = self._layouts.shapes
        return Found(
            shapes[0] if shapes else None,
            self._seen(self._first, self._graph.shapes[self._first]),
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
        if self._graph.outputs[0].name in self._layouts.padded:
            return "its output has a border around it"
        if not self._entries:
            return "it has no layers"
        return (
            "" if outputs[0] == len(self._entries) else "its output is not that of its last layer"
        )

    def _seen(self, name: str, shape: tuple[int, ...] | None) -> Seen:
        """Return what is known of the value that a node returned when it was made."""
        if name in self._shared or name in self._layouts.padded or shape is None:
            return Seen()
        layout = self._layouts.find(name)
        return Seen(self._made[name], shape, None if layout is None else layout.places)

    def _calls(self) -> dict[tuple[str, int], Seen]:
        """Return the entries whose values calls return: of each call, the one value that others
        use, if nothing in the call writes to it after it was made."""
        places = {name: place for place, name in enumerate(self._made)}
        return {
            (scope.path, scope.call): self._seen(nodes[0].name, nodes[0].shape)
            for scope, nodes in self._returned.items()
            if len(nodes) == 1 and not self._is_rewritten(nodes[0].name, places, scope)
        }

    def _is_rewritten(self, name: str, places: Mapping[str, int], scope: Scope) -> bool:
        """Return whether a value was written to after it was made, within a call."""
        own = id(self._values[name])
        return any(
            count > places[name] and own in family and scope in scopes
            for count, family, scopes in self._writes
        )

    def _functions(self) -> dict[str, list[Seen]]:
        """Return the entries whose values functions return, by their paths, in their order."""
        found: dict[str, list[Seen]] = {}
        for node in self._graph.nodes:
            if node.shape is not None and node.scopes:
                path = function_path(node.scopes[-1].path, node.op)
                found.setdefault(path, []).append(self._seen(node.name, node.shape))
        return found


def _no_theory(node: Node, scope: Scope) -> str:
    kind = scope.kind if scope.library else node.op.strip(IN_PLACE)
    return f"{kind} has no theory"
