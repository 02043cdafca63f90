"""Where the channels and positions of a layer's values are in the tensor of a node."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from snstat.errors import SnstatError
from snstat.layers.shape import Shape

# The channels among the axes of `Shape.sizes`; those of the grid are 0 and 1.
CHANNELS = -1
REARRANGED = "it takes the input in another arrangement than a layer before it"


class NotMappedError(Exception):
    """Why an operation is no layer, in a few words; none where it simply has no theory."""


class Layout(NamedTuple):
    """For each axis of a tensor beyond that of samples, the axes of the layer's `Shape.sizes` that
    it merges, the slowest first. Axes of size 1 are left out: they may be anywhere."""

    axes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, shape: Shape, axes: Sequence[int]) -> Layout:
        """Return the layout of a tensor with these axes of a shape; those that a shape does not
        have are of size 1."""
        return cls(tuple(_own(shape, axis) for axis in axes))

    @classmethod
    def first(cls, shape: Shape, spatial: int) -> Layout:
        """Return that of samples × channels × so many `spatial` axes."""
        return cls.of(shape, (CHANNELS, *range(spatial)))

    def sizes(self, shape: Shape) -> tuple[int, ...]:
        """Return the sizes of the axes of the tensor, without the samples."""
        return tuple(math.prod(shape.sizes[axis] for axis in merged) for merged in self.axes)

    def has_channels(self, axis: int, shape: Shape) -> bool:
        """Return whether the channels, and nothing else, are along an axis of the tensor."""
        at = axis - 1 if axis > 0 else axis
        return bool(self.axes) and self.axes[at] == _own(shape, CHANNELS)

    def rechanneled(self, axis: int, shape: Shape) -> Layout:
        """Return the layout of a shape of which only the channels, along `axis`, are others."""
        found = list(self.axes)
        found[axis - 1 if axis > 0 else axis] = _own(shape, CHANNELS)
        return Layout(tuple(found))

    def permuted(self, order: Sequence[int]) -> Layout:
        """Return that of a tensor whose axes, samples first, are those of these numbers."""
        return Layout(tuple(self.axes[axis - 1] for axis in order[1:]))

    def reshaped(self, shape: Shape, sizes: Sequence[int]) -> Layout | None:
        """Return that of a tensor of other `sizes`, without the samples; None if these divide an
        axis of the shape."""
        rest = [axis for merged in self.axes for axis in merged]
        found = []
        for size in sizes:
            merged = list[int]()
            while rest and math.prod(shape.sizes[axis] for axis in merged) < size:
                merged.append(rest.pop(0))
            if math.prod(shape.sizes[axis] for axis in merged) != size:
                return None
            found.append(tuple(merged))
        return Layout(tuple(found))

    @property
    def places(self) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """The axes of the tensor that are positions, and those that are channels; None where one
        merges both."""
        positions, channels = list[int](), list[int]()
        for number, merged in enumerate(self.axes, 1):
            if CHANNELS in merged and len(merged) > 1:
                return None
            if merged:
                (channels if CHANNELS in merged else positions).append(number)
        return tuple(positions), tuple(channels)


def _own(shape: Shape, axis: int) -> tuple[int, ...]:
    there = axis < len(shape.grid) and shape.sizes[axis] > 1
    return (axis,) if there else ()


class Padding(NamedTuple):
    """What stands around the values of a tensor: zeros, or what is `around` the other end, so many
    on both sides of each axis of the grid."""

    around: bool
    sides: tuple[tuple[int, int], ...]


class Step(NamedTuple):
    """How a tensor is rearranged: to other sizes, or to another order of its axes."""

    reshapes: bool
    numbers: tuple[int, ...]


class Layouts:
    """The layouts of values, by the names of nodes, and the shapes of layers by their numbers.

    The values of the input are independent, so that it has the shape that its first layer takes
    them in, however they were arranged for that.
    """

    def __init__(self, first: str, sizes: Mapping[str, tuple[int, ...]], *, last: bool) -> None:
        """Begin with the input `first`, whose channels are along its `last` axis, or its second
        one, where nothing else is known. `sizes` are those of the tensors."""
        self.shapes: list[Shape] = []
        self.padded: dict[str, Padding] = {}
        self._sizes, self._last = sizes, last
        self._known: dict[str, Layout] = {}
        # How values of the input are arranged, and the arrangement that has a layout.
        self._arranged: dict[str, tuple[Step, ...]] = {first: (Step(True, sizes[first]),)}
        self._settled: tuple[tuple[Step, ...], Layout] | None = None

    def find(self, name: str) -> Layout | None:
        """Return the layout of a value, None if it is not known."""
        if name in self._arranged and self._settled is not None:
            own, layout = self._settled
            return layout if self._arranged[name] == own else None
        return self._known.get(name)

    def is_open(self, name: str) -> bool:
        """Return whether a value is an arrangement of the input that has no layout."""
        return name in self._arranged and self.find(name) is None

    def of(self, name: str, channels: int | None = None) -> Layout:
        """Return the layout of a value that a layer takes, with the channels along an axis if it is
        the input and the first layer. Raises NotMappedError for another arrangement of the
        input."""
        if name in self._arranged and self._settled is None:
            self._settle(name, channels)
        found = self.find(name)
        if found is None:
            raise NotMappedError(REARRANGED)
        return found

    def _settle(self, name: str, channels: int | None) -> None:
        sizes = self._sizes[name][1:]
        if not sizes:
            raise NotMappedError
        if channels is None:
            channels = -1 if self._last else 1
        axis = channels - 1 if channels > 0 else len(sizes) + channels
        grid = range(len(sizes) - 1)
        try:
            shape = Shape(sizes[axis], (*sizes[:axis], *sizes[axis + 1 :]))
        except SnstatError:
            raise NotMappedError(f"it takes a grid of {len(grid)} axes") from None
        layout = Layout.of(shape, (*grid[:axis], CHANNELS, *grid[axis:]))
        self.shapes.append(shape)
        self._settled = self._arranged[name], layout

    def take(self, name: str, source: str, layout: Layout | None) -> None:
        """Let a value have a layout, or that of its source if it is None."""
        if layout is not None:
            self._known[name] = layout
        elif source in self._arranged:
            self._arranged[name] = self._arranged[source]
        elif source in self._known:
            self._known[name] = self._known[source]

    def rearrange(self, name: str, source: str, step: Step) -> None:
        """Let a value be another arrangement of the input than its source."""
        steps = self._arranged[source]
        if step.reshapes and steps[-1].reshapes:
            steps = steps[:-1]
        self._arranged[name] = (*steps, step)
