"""Operations of PyTorch that take a tensor apart along one of its axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from snstat.layers.activation import Activation
from snstat.layers.block import Block
from snstat.layers.crop import Crop
from snstat.layers.entry import Entry
from snstat.layers.flatten import Flatten
from snstat.layers.layer import Layer
from snstat.layers.multiply import Multiply
from snstat.layers.shape import Shape
from snstat.layers.slice import Slice
from snstat.sources.torch.graph import Ref
from snstat.sources.torch.layout import CHANNELS, SAMPLES, Digit, Layout, NotMappedError
from snstat.sources.torch.operation import Made, Map, Operation, Parts, Value

OF_SAMPLES = "it takes some of the samples"
STATES = "it takes states of a cell, or of several layers"
NOT_NEXT = "it takes channels or positions that are not next to each other"


def _axis(op: Operation) -> int:
    return int(op["dim"]) % len(op.shape("self"))


def _split(op: Operation, sizes: Sequence[int], *, squeezed: bool = False) -> Made:
    """Return the parts of so many numbers along an axis, each of which is taken by itself."""
    ends = [*accumulate(sizes, initial=0)]
    parts = Parts(op["self"].name, _axis(op), tuple(pairwise(ends)), squeezed)
    return Made(None, (_entry(op, parts),), parts=parts)


def _of_size(op: Operation) -> Made:
    count, size = op.shape("self")[_axis(op)], op["split_size"]
    if not isinstance(size, int):
        return _split(op, size)
    return _split(op, [min(size, count - first) for first in range(0, count, size)])


def _of_sizes(op: Operation) -> Made:
    return _split(op, op["split_sizes"])


def _chunk(op: Operation) -> Made:
    count = op.shape("self")[_axis(op)]
    size = -(-count // op["chunks"])
    return _split(op, [min(size, count - first) for first in range(0, count, size)])


def _unbind(op: Operation) -> Made:
    return _split(op, [1] * op.shape("self")[_axis(op)], squeezed=True)


def _item(op: Operation) -> Made:
    """Return one of the parts of a tensor."""
    of, number = op["args"]
    value = op.context.values[of.name] if isinstance(of, Ref) else Value()
    if value.states:
        return _state(op, of, number, value.states)
    if value.parts is None:
        raise NotMappedError
    return _part(op, value.parts, *value.parts.bounds[number])


def _state(op: Operation, of: Ref, number: int, layers: int) -> Made:
    """Return what a recurrent layer returns: its units at all times, or its last ones."""
    entry, layout = op.entry_of(of), op.layouts.of(of.name)
    if not number:
        return Made(None, (entry,), layout=layout)
    if number > 1 or layers > 1:
        raise NotMappedError(STATES)
    shape = op.layouts.shapes[entry]
    crop = Crop(shape.positions - 1, shape.positions)
    last = Block((Entry(crop, (0,)), Entry(Flatten(), (1,))))
    after = Layout.of(Shape(shape.channels), op.layouts.samples, (CHANNELS,))
    return Made(last, (entry,), layout=Layout(((), *after.axes)))


def _select(op: Operation) -> Made:
    axis = _axis(op)
    number = op["index"] % op.shape("self")[axis]
    return _part(op, Parts(op["self"].name, axis, (), True), number, number + 1)


def _slice(op: Operation) -> Made:
    axis = _axis(op)
    count = op.shape("self")[axis]
    if op["step"] != 1:
        raise NotMappedError(NOT_NEXT)
    first, last, _ = slice(op["start"], op["end"]).indices(count)
    return _part(op, Parts(op["self"].name, axis, (), False), first, last)


def _narrow(op: Operation) -> Made:
    axis = _axis(op)
    first = op["start"] % op.shape("self")[axis]
    return _part(op, Parts(op["self"].name, axis, (), False), first, first + op["length"])


def _entry(op: Operation, parts: Parts) -> int:
    """Return the layer whose values are taken apart. Raises NotMappedError for parts of samples."""
    entry = op.entry_of(Ref(parts.of))
    digits = op.layouts.of(parts.of).axes[parts.axis]
    if any(digit.axis == SAMPLES for digit in digits):
        raise NotMappedError(OF_SAMPLES)
    return entry


def _part(op: Operation, parts: Parts, start: int, stop: int) -> Made:
    """Return the numbers `start` to `stop` − 1 along an axis."""
    entry = op.entry_of(Ref(parts.of))
    shape, layout = op.layouts.shapes[entry], op.layouts.of(parts.of)
    digits = layout.axes[parts.axis]
    after = layout.without(parts.axis)
    if layout.sizes[parts.axis] == stop - start:  # all there is
        return Made(None, (entry,), layout=after if parts.squeezed else layout)
    _entry(op, parts)
    if len(digits) != 1:
        raise NotMappedError(NOT_NEXT)
    (digit,) = digits
    if not parts.squeezed:
        after = layout.changed(parts.axis, (Digit(digit.axis, digit.stride, stop - start),))
    layer: Layer
    if digit.axis == CHANNELS:
        if digit.end != shape.channels:
            raise NotMappedError(NOT_NEXT)
        layer = Slice(start * digit.stride, stop * digit.stride)
    else:
        layer = _cropped(shape, digit, start, stop)
        if parts.squeezed and len(shape.grid) == 1:  # a vector
            layer = Block((Entry(layer, (0,)), Entry(Flatten(), (1,))))
    return Made(layer, (entry,), layout=after)


def _cropped(shape: Shape, digit: Digit, start: int, stop: int) -> Layer:
    if digit.size != shape.grid[digit.axis]:
        raise NotMappedError(NOT_NEXT)
    if len(shape.grid) == 1:
        return Crop(start, stop)
    starts, stops = [0] * len(shape.grid), list(shape.grid)
    starts[digit.axis], stops[digit.axis] = start, stop
    return Crop(tuple(starts), tuple(stops))


def _glu(op: Operation) -> Made:
    """Return a gate: one half of the channels times the sigmoid of the other."""
    axis = _axis(op)
    entry = op.along("self", axis)
    half = op.layouts.shapes[entry].channels // 2
    gate = Block((
        Entry(Slice(0, half), (0,)),
        Entry(Slice(half, 2 * half), (0,)),
        Entry(Activation("sigmoid"), (2,)),
        Entry(Multiply(), (1, 3)),
    ))  # fmt: skip
    after = Shape(half, op.layouts.shapes[entry].grid)
    return Made(gate, (entry,), layout=op.layout("self").rechanneled(axis, after))


OF_PARTS: Mapping[str, Map] = {
    "split": _of_size,
    "split_with_sizes": _of_sizes,
    "chunk": _chunk,
    "unbind": _unbind,
    "getitem": _item,
    "select": _select,
    "slice": _slice,
    "narrow": _narrow,
    "glu": _glu,
}
