"""Operations of PyTorch that move, merge or divide the axes of a tensor, and change no value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from snstat.layers.flatten import Flatten
from snstat.layers.shape import Shape
from snstat.sources.torch.layout import Layout, NotMappedError, Padding
from snstat.sources.torch.operation import OTHERS, Made, Map, Operation

WHOLE = "it makes other numbers of them"
DIVIDED = "it divides channels or positions"
BORDER = "its border is not around positions alone"
# What `F.pad` fills a border with.
ZEROS, AROUND = "constant", "circular"


def _same(op: Operation) -> Made:
    name = op["self"].name
    entry = op.value("self").entry
    if not op.node.floating and not (entry is not None and op.layouts.shapes[entry].tokens):
        raise NotMappedError(WHOLE)
    if op.layouts.is_open(name):
        return Made(None, (_of_input(op),), arranged=op.layouts.arrangement(name))
    # A layer after it finds a border.
    border = op.layouts.padded.get(name)
    return Made(None, (op.entry_of(op["self"], padded=True),), padding=border)


def _of_input(op: Operation) -> int:
    entry = op.value("self").entry
    if entry is None:
        raise NotMappedError(OTHERS)
    return entry


def _laid_out(op: Operation, after: Callable[[Layout], Layout | None]) -> Made:
    """Return the same values in another layout; those of a whole grid along one axis are those of a
    vector. Values of the input are independent, so that any arrangement of its samples will do."""
    name = op["self"].name
    if op.layouts.is_open(name):
        found = after(op.layouts.arrangement(name))
        if found is None and op.shape("self")[:1] == (op.node.shape or ())[:1]:
            found = op.layouts.rearranged(op.node.shape or ())
        if found is None:
            raise NotMappedError(DIVIDED)
        return Made(None, (_of_input(op),), arranged=found)
    entry = op.entry("self")
    shape, found = op.layouts.shapes[entry], after(op.layout("self"))
    if found is None:
        raise NotMappedError(DIVIDED)
    # One token is no other vector: attention may read it later.
    vector = len(found.axes) == 2 and found.has_samples and not shape.tokens
    if vector and shape.grid not in ((), (1,)):
        return Made(Flatten(), (entry,), layout=op.first(Shape(shape.units), 0))
    return Made(None, (entry,), layout=found)


def _reshaped(op: Operation) -> Made:
    if op["dtype"] is not None:  # its bits as other numbers
        raise NotMappedError(WHOLE)
    return _laid_out(op, lambda layout: layout.reshaped(op.node.shape or ()))


def _permuting(order: Callable[[Operation, list[int]], Sequence[int]]) -> Map:
    """Return what moves axes: `order` is that of their numbers after it, from the list of them
    before."""

    def made(op: Operation) -> Made:
        found = order(op, [*range(len(op.shape("self")))])
        return _laid_out(op, lambda layout: layout.permuted(found))

    return made


def _permuted(op: Operation, axes: list[int]) -> list[int]:
    return [axes[axis] for axis in op["dims"]]


def _swapped(one: str, other: str) -> Callable[[Operation, list[int]], list[int]]:
    def order(op: Operation, axes: list[int]) -> list[int]:
        first, second = axes[op[one]], axes[op[other]]
        axes[first], axes[second] = second, first
        return axes

    return order


def _last_swapped(_: Operation, axes: list[int]) -> list[int]:
    axes[-2:] = axes[:-3:-1]
    return axes


def _moved(op: Operation, axes: list[int]) -> list[int]:
    """Return the axes with those of `source` at `destination`, and the others in their order."""
    source, destination = (
        [axes[axis] for axis in (op[name] if isinstance(op[name], tuple) else (op[name],))]
        for name in ("source", "destination")
    )
    places = dict(zip(destination, source, strict=True))
    rest = iter(axis for axis in axes if axis not in source)
    return [places[place] if place in places else next(rest) for place in axes]


def _padded(op: Operation) -> Made:
    """Return the same values with a border around their positions, which a convolution may see."""
    if not any(op["pad"]):
        return _same(op)
    mode = op["mode"] or ZEROS
    if mode not in (ZEROS, AROUND) or (mode == ZEROS and op["value"]):
        raise NotMappedError(f"its border is {mode if mode != ZEROS else 'not of zeros'}")
    axes, pad = len(op.shape("self")) - 2, op["pad"]
    entry, _ = op.on_grid("self", axes)
    ends = [*zip(pad[::2], pad[1::2], strict=True)][::-1]  # the last axis comes first
    if len(ends) > axes or any(end < 0 for pair in ends for end in pair):
        raise NotMappedError(BORDER)
    sides = ((0, 0),) * (axes - len(ends)) + tuple(ends)
    return Made(None, (entry,), padding=Padding(mode == AROUND, sides))


OF_AXES: Mapping[str, Map] = {
    **dict.fromkeys(
        ("flatten", "view", "reshape", "_unsafe_view", "unflatten", "squeeze", "unsqueeze"),
        _reshaped,
    ),
    "permute": _permuting(_permuted),
    **dict.fromkeys(("transpose", "swapdims"), _permuting(_swapped("dim0", "dim1"))),
    "swapaxes": _permuting(_swapped("axis0", "axis1")),
    **dict.fromkeys(("movedim", "moveaxis"), _permuting(_moved)),
    "mT": _permuting(_last_swapped),
    **dict.fromkeys(("numpy_T", "t"), _permuting(lambda _, axes: axes[::-1])),
    **dict.fromkeys(("pad", "constant_pad_nd"), _padded),
    **dict.fromkeys(("alias", "contiguous", "clone", "to", "_to_copy"), _same),
}
