"""Recurrent modules of PyTorch, each of which is one operation, as kinds of layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from snstat.layers.block import Block
from snstat.layers.dropout import Dropout
from snstat.layers.elman import Elman
from snstat.layers.entry import Entry
from snstat.layers.gru import Gru
from snstat.layers.layer import Layer
from snstat.layers.lstm import Lstm
from snstat.layers.shape import Shape
from snstat.sources.torch.graph import Ref
from snstat.sources.torch.layout import CHANNELS, Layout, NotMappedError
from snstat.sources.torch.operation import Made, Map, Operation

OTHER_TIMES = "its times are along another axis"
BOTH_WAYS = "it reads backwards too"
STARTED = "its first states are not 0"
# Matrices of one layer: on the inputs, and on the units before.
MATRICES = 2


def _recurrent(cell: Callable[..., Layer]) -> Map:
    def made(op: Operation) -> Made:
        entry = op.along("input", -1)
        shape, layout = op.layouts.shapes[entry], op.layout("input")
        times = Layout.of(shape, op.layouts.samples, (0, CHANNELS))
        if len(shape.grid) != 1 or layout != (
            times if op["batch_first"] else times.permuted((1, 0, 2))
        ):
            raise NotMappedError(OTHER_TIMES)
        if op["bidirectional"]:
            raise NotMappedError(BOTH_WAYS)
        states = (op["hx"],) if isinstance(op["hx"], Ref) else op["hx"]
        if any(op.number_of(state) != 0.0 for state in states):
            raise NotMappedError(STARTED)
        count = MATRICES * (2 if op["has_biases"] else 1)
        params = op["params"]
        parts = [params[first : first + count] for first in range(0, len(params), count)]
        layers = [_cell(op, cell, own) for own in parts]
        if op["dropout"] and op["train"] and len(layers) > 1:
            if not op.train:
                raise NotMappedError("it drops units in eval mode")
            dropped = [[own, Dropout(op["dropout"])] for own in layers]
            layers = [layer for pair in dropped for layer in pair][:-1]
        chain = Block(tuple(Entry(own, (number,)) for number, own in enumerate(layers)))
        width = op.shape_of(params[1])[1]
        after = layout.rechanneled(-1, Shape(width, shape.grid))
        return Made(chain, (entry,), layout=after, states=len(parts))

    return made


def _cell(op: Operation, cell: Callable[..., Layer], params: Sequence[Ref]) -> Layer:
    """Return a layer whose matrices and biases are PyTorch's own draw."""
    words = ["weights"] * MATRICES + ["biases"] * (len(params) - MATRICES)
    for ref, what in zip(params, words, strict=True):
        op.draws.require_default(op.drawn_of(ref, what), what)
    options: dict[str, Any] = {} if len(params) > MATRICES else {"bias_std": 0.0}
    return cell(width=op.shape_of(params[1])[1], init="torch_default", **options)


OF_TIME: Mapping[str, Map] = {
    "rnn_tanh": _recurrent(partial(Elman, activation="tanh")),
    "rnn_relu": _recurrent(partial(Elman, activation="relu")),
    "lstm": _recurrent(Lstm),
    "gru": _recurrent(Gru),
}
