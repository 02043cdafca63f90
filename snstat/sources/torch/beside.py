"""What theory needs of a traced module: its layers, by its graph and its weights in all trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from snstat.errors import SnstatError
from snstat.layers.shape import Shape
from snstat.results.module import Left
from snstat.results.network import INPUT
from snstat.sources.calls.inputs import Inputs, Source, Spec
from snstat.sources.calls.row import Row
from snstat.sources.mapped import Mapped
from snstat.sources.torch.as_network import as_layers
from snstat.sources.torch.draws import Draws
from snstat.sources.torch.found import Seen
from snstat.sources.torch.gates import Calls, gates_of
from snstat.sources.torch.graph import Graph, GraphError, exported
from snstat.sources.torch.modules import place_of
from snstat.sources.torch.roles import roles_of
from snstat.values.tracing import MODES

TRAIN = MODES[0]
# Laws of inputs that theory knows: of numbers, and of the numbers of tokens.
DRAWN, TOKENS = ("normal", "uniform"), "tokens"


class Beside:
    """Looks at the module of each trial, at its graph in the first. `drawn` is whether each trial
    draws its weights, and `gradients` whether those are of a read-out of all outputs."""

    def __init__(self, mode: str, *, drawn: bool, gradients: bool) -> None:
        self._train, self._drawn, self._gradients = mode == TRAIN, drawn, gradients
        self._graph: Graph | None = None
        self._draws = Draws({})
        self._first, self._law, self._tokens = "", "", 0
        self._epsilon = 0.0
        # Why there is no theory at all: where it ends, or a note.
        self._end: Left | None = None
        self._note = ""

    def look(
        self,
        model: nn.Module,
        aliases: Mapping[str, str],
        inputs: Inputs,
        drawn: tuple[Sequence[torch.Tensor], Mapping[str, torch.Tensor]],
    ) -> None:
        """Look at the module of the first trial, which is called with the `drawn` inputs."""
        positional, by_name = drawn
        place, source = _first(inputs)
        if not isinstance(source, Spec) or source.kind not in (*DRAWN, TOKENS):
            self._end = Left(INPUT, f"{source.text} is not drawn with known moments")
            return
        if source.batch_axis() != 0:
            self._end = Left(INPUT, f"the first axis of {source.text} is not that of samples")
            return
        try:
            graph = exported(model, aliases, positional, by_name)
        except GraphError as error:
            self._note = f"no theory: {error}"
            return
        after = place - len(positional)
        self._law, self._tokens = source.kind if source.floating else DRAWN[0], source.tokens
        self._first = graph.inputs[place] if after < 0 else [*by_name][after]
        value = (*positional, *by_name.values())[place]
        own = value.dtype if source.floating else place_of(model, None, None)[0]
        self._epsilon = torch.finfo(own).eps
        self._graph, self._draws = graph, Draws(roles_of(graph, self._first))

    def take(self, model: nn.Module, trial: int) -> None:
        """Look at the parameters of the module of a trial."""
        if self._graph is not None and (self._drawn or trial == 0):
            self._draws.take(model)

    @property
    def gates(self) -> Calls:
        """The calls that make gates only, as far as the graph tells."""
        return frozenset() if self._graph is None else gates_of(self._graph)

    def mapped(self, rows: Sequence[Row], trials: int, notes: list[str]) -> Mapped | None:
        """Return the layers, for the rows of a trace from row 0, the input, on. If there is no
        theory, return None, and add the reason to the `notes`."""
        if self._end is not None:
            return Mapped(Shape(1), "", self._train, ends=(self._end,), missing=self._end.reason)
        if any(len(row.values) < trials for row in rows[1:]):
            self._note = self._note or "no theory: calls differ between trials"
        if self._graph is None or self._note:
            notes.append(self._note)
            return None
        try:
            found = as_layers(
                self._graph, self._first, self._draws,
                tokens=self._tokens, train=self._train, epsilon=self._epsilon,
            )  # fmt: skip
        except SnstatError as error:
            notes.append(f"no theory: {error}")
            return None
        seen = Counter(row.path for row in rows)
        outputs = Counter((row.path, row.call, row.shape) for row in rows)
        entries = [(0, 0, _alike(rows[0], found.own))]
        for number, row in enumerate(rows[1:], 1):
            own = row.origin
            # Functions are told by their order, if all of a name are seen.
            same = found.functions.get(own.path, ())
            value = found.calls.get((own.path, own.call), Seen())
            if len(same) == seen[own.path]:
                value = same[own.call - 1]
            # Of several outputs, the one that others use is told by its shape.
            alone = not own.output or outputs[own.path, own.call, own.shape] == 1
            if value.entry is not None and alone and own.shape == value.shape:
                entries.append((number, value.entry, _alike(row, value)))
        return Mapped(
            found.input or Shape(1),
            self._law,
            self._train,
            found.entries,
            found.places,
            tuple(entries),
            found.ends,
            found.missing,
            drawn=self._drawn,
            gradients=self._gradients,
        )


def _first(inputs: Inputs) -> tuple[int, Source]:
    """Return the place of the input that theory starts from, and itself: the first floating one,
    which is row 0, or tokens beside a floating one that is not drawn, such as a mask."""
    places = [place for place, own in enumerate(inputs.sources) if own.floating]
    place = next(iter(places), 0)
    own = inputs.sources[place]
    if not isinstance(own, Spec) or own.kind not in DRAWN:
        tokens = (n for n, other in enumerate(inputs.sources) if _is_tokens(other))
        place = next(tokens, place)
    return place, inputs.sources[place]


def _is_tokens(source: Source) -> bool:
    return isinstance(source, Spec) and source.kind == TOKENS


def _alike(row: Row, value: Seen) -> bool:
    """Return whether samples, positions and units of a row are those of a layer. An axis of size 1
    is of none of them."""
    if row.axes is None or value.axes is None:
        return False
    own = row.axes.sample, row.axes.position, row.axes.unit
    _, positions, units = (tuple(axis for axis in part if row.shape[axis] > 1) for part in own)
    return (own[0], positions, units) == ((0,), *value.axes)
