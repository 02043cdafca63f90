"""Where the samples, channels and positions of a layer's values are in the tensor of a node."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from snstat.errors import SnstatError
from snstat.layers.shape import Shape

# The channels among the axes of `Shape.sizes`, and the samples; those of the grid are 0 and 1.
CHANNELS, SAMPLES = -1, -2
REARRANGED = "it takes the input in another arrangement than a layer before it"


class NotMappedError(Exception):
    """Why an operation is no layer, in a few words; none where it simply has no theory."""


class Digit(NamedTuple):
    """A part of the numbers 0, 1, … along an axis: (number // `stride`) mod `size`. A view that
    divides an axis makes two digits of one."""

    axis: int
    stride: int
    size: int

    @property
    def end(self) -> int:
        """The stride of the digit before it."""
        return self.stride * self.size

    def split(self, size: int) -> tuple[Digit, Digit]:
        """Return the two digits of which the first, the slower one, has this size."""
        rest = self.size // size
        return Digit(self.axis, self.stride * rest, size), Digit(self.axis, self.stride, rest)


def _joined(digits: Iterable[Digit]) -> tuple[Digit, ...]:
    """Return digits without those of size 1, and with those as one that are next to each other."""
    found = list[Digit]()
    for digit in digits:
        last = found[-1] if found else None
        if digit.size == 1:
            continue
        if last is not None and last.axis == digit.axis and last.stride == digit.end:
            found[-1] = Digit(digit.axis, digit.stride, last.size * digit.size)
        else:
            found.append(digit)
    return tuple(found)


class Layout(NamedTuple):
    """For each axis of a tensor, the digits of the layer's axes that it merges, the slowest first.
    Axes of size 1 are left out: they may be anywhere."""

    axes: tuple[tuple[Digit, ...], ...]

    @classmethod
    def of(cls, shape: Shape, samples: int, axes: Sequence[int]) -> Layout:
        """Return that of so many samples × these axes of a shape; those that a shape does not have
        are of size 1."""
        return cls((_own(SAMPLES, samples), *(_of_shape(shape, axis) for axis in axes)))

    @classmethod
    def first(cls, shape: Shape, samples: int, spatial: int) -> Layout:
        """Return that of samples × channels × so many `spatial` axes."""
        return cls.of(shape, samples, (CHANNELS, *range(spatial)))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of the axes of the tensor."""
        return tuple(math.prod(digit.size for digit in merged) for merged in self.axes)

    def has_channels(self, axis: int, shape: Shape) -> bool:
        """Return whether the channels, and nothing else, are along an axis of the tensor."""
        return axis < len(self.axes) and self.axes[axis] == _of_shape(shape, CHANNELS)

    @property
    def has_samples(self) -> bool:
        """Whether the samples, in their order, and nothing else, are along the first axis."""
        own = [digit for merged in self.axes for digit in merged if digit.axis == SAMPLES]
        return bool(self.axes) and list(self.axes[0]) == own and len(own) <= 1

    def rechanneled(self, axis: int, shape: Shape) -> Layout:
        """Return the layout of a shape of which only the channels, along `axis`, are others."""
        return self.changed(axis, _of_shape(shape, CHANNELS))

    def changed(self, axis: int, digits: tuple[Digit, ...]) -> Layout:
        """Return that of a tensor with these digits along an axis."""
        found = list(self.axes)
        found[axis] = _joined(digits)
        return Layout(tuple(found))

    def without(self, axis: int) -> Layout:
        """Return that of a tensor without an axis."""
        found = list(self.axes)
        del found[axis]
        return Layout(tuple(found))

    def permuted(self, order: Sequence[int]) -> Layout:
        """Return that of a tensor whose axes are those of these numbers."""
        return Layout(tuple(self.axes[axis] for axis in order))

    def reshaped(self, sizes: Sequence[int]) -> Layout | None:
        """Return that of a tensor of other `sizes`; None if these divide an axis into parts of no
        whole number."""
        rest = [digit for merged in self.axes for digit in merged]
        found = []
        for size in sizes:
            merged, left = list[Digit](), size
            while left > 1 and rest:
                digit = rest.pop(0)
                if digit.size > left and digit.size % left == 0:
                    digit, fast = digit.split(left)
                    rest.insert(0, fast)
                if left % digit.size:
                    return None
                merged.append(digit)
                left //= digit.size
            if left > 1:
                return None
            found.append(_joined(merged))
        return None if rest else Layout(tuple(found))

    @property
    def places(self) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """The axes of the tensor that are positions, and those that are channels; None where one
        merges both, or where samples are not along the first axis."""
        if not self.has_samples:
            return None
        positions, channels = list[int](), list[int]()
        for number, merged in enumerate(self.axes[1:], 1):
            of_channels = [digit.axis == CHANNELS for digit in merged]
            if any(of_channels) and not all(of_channels):
                return None
            if merged:
                (channels if all(of_channels) else positions).append(number)
        return tuple(positions), tuple(channels)


def _own(axis: int, size: int) -> tuple[Digit, ...]:
    return (Digit(axis, 1, size),) if size > 1 else ()


def _of_shape(shape: Shape, axis: int) -> tuple[Digit, ...]:
    return _own(axis, shape.sizes[axis]) if axis < len(shape.grid) else ()


class Padding(NamedTuple):
    """What stands around the values of a tensor: zeros, or what is `around` the other end, so many
    on both sides of each axis of the grid."""

    around: bool
    sides: tuple[tuple[int, int], ...]


class Layouts:
    """The layouts of values, by the names of nodes, and the shapes of layers by their numbers.

    The values of the input are independent, so that it has the shape that its first layer takes
    them in, however they were arranged for that: until then, axes of layouts are those of the
    tensor of the input, of which the first is that of `samples`.
    """

    def __init__(
        self, first: str, sizes: Mapping[str, tuple[int, ...]], *, last: bool, tokens: int = 0
    ) -> None:
        """Begin with the input `first`, whose channels are along its `last` axis, or its second
        one, where nothing else is known. `sizes` are those of the tensors. Numbers of `tokens`, if
        they are such, have no channels. Raises SnstatError for these on more axes than a grid
        has."""
        self.shapes: list[Shape] = []
        self.padded: dict[str, Padding] = {}
        self.samples = next(iter(sizes[first]), 1)
        self._last, self._axes = last, 0
        self._arranged = {first: self.rearranged(sizes[first])}
        self._known: dict[str, Layout] = {}
        # Digits of the input, and what they are in its shape.
        self._settled: list[tuple[Digit, Digit]] | None = None
        if tokens:
            self._settle_tokens(sizes[first], tokens)

    def find(self, name: str) -> Layout | None:
        """Return the layout of a value, None if it is not known."""
        if name in self._arranged and self._settled is not None:
            return self._of_input(self._arranged[name])
        return self._known.get(name)

    def is_open(self, name: str) -> bool:
        """Return whether a value is an arrangement of the input that has no layout."""
        return name in self._arranged and self.find(name) is None

    def arrangement(self, name: str) -> Layout:
        """Return how the axes of the input are arranged in a value that is open."""
        return self._arranged[name]

    def rearranged(self, sizes: Sequence[int]) -> Layout:
        """Return an arrangement of the input that says nothing of those before it."""
        first, self._axes = self._axes, self._axes + len(sizes)
        others = (_own(first + n, size) for n, size in enumerate(sizes[1:]))
        return Layout((_own(SAMPLES, self.samples), *others))

    def of(self, name: str, channels: int | None = None) -> Layout:
        """Return the layout of a value that a layer takes, with the channels along an axis if it is
        the input and the first layer. Raises NotMappedError for another arrangement of the
        input."""
        if name in self._arranged and self._settled is None:
            self._settle(self._arranged[name], channels)
        found = self.find(name)
        if found is None:
            raise NotMappedError(REARRANGED)
        return found

    def take(self, name: str, source: str, layout: Layout | None) -> None:
        """Let a value have a layout, or that of its source if it is None."""
        if layout is not None:
            self._known[name] = layout
        elif source in self._arranged:
            self._arranged[name] = self._arranged[source]
        elif source in self._known:
            self._known[name] = self._known[source]

    def arrange(self, name: str, layout: Layout) -> None:
        """Let a value be another arrangement of the input."""
        self._arranged[name] = layout

    def _settle_tokens(self, sizes: Sequence[int], tokens: int) -> None:
        """Let the axes of the input beside that of samples be positions."""
        self.shapes.append(Shape.of_tokens(tokens, tuple(sizes[1:])))
        own = (_own(SAMPLES, self.samples), *map(_own, range(len(sizes) - 1), sizes[1:]))
        self._settled = [(digit, digit) for merged in own for digit in merged]

    def _settle(self, layout: Layout, channels: int | None) -> None:
        """Let the axes of a tensor beside that of samples be channels and positions."""
        count = len(layout.axes)
        if count < 2:
            raise NotMappedError
        if channels is None:
            channels = -1 if self._last else 1
        channels %= count
        parts = [tuple(d for d in merged if d.axis != SAMPLES) for merged in layout.axes]
        sizes = [math.prod(digit.size for digit in merged) for merged in parts]
        free = [n for n, merged in enumerate(layout.axes) if not merged and n != channels]
        of_samples = [n for n, merged in enumerate(layout.axes) if not parts[n] and merged]
        # A single sample is along the first axis that may be its own.
        of_samples += free[:1] if self.samples == 1 else []
        grid = [n for n in range(count) if n != channels and n not in of_samples]
        try:
            shape = Shape(sizes[channels], tuple(sizes[n] for n in grid))
        except SnstatError:
            raise NotMappedError(f"it takes a grid of {len(grid)} axes") from None
        self.shapes.append(shape)
        self._settled = [(d, d) for m in layout.axes for d in m if d.axis == SAMPLES]
        for own, place in ((CHANNELS, channels), *enumerate(grid)):
            stride = sizes[place]
            for digit in parts[place]:
                stride //= digit.size
                self._settled.append((digit, Digit(own, stride, digit.size)))

    def _of_input(self, layout: Layout) -> Layout | None:
        """Return the layout of an arrangement of the input, None if its digits are others than
        those that are settled."""
        found = []
        for merged in layout.axes:
            digits = list[Digit]()
            for digit in merged:
                parts = _parts(digit, self._settled or [])
                if math.prod(part.size for part in parts) != digit.size:
                    return None
                digits += parts
            found.append(_joined(digits))
        return Layout(tuple(found))


def _parts(digit: Digit, settled: Iterable[tuple[Digit, Digit]]) -> list[Digit]:
    """Return what of a digit of the input is settled, the slowest part first."""
    found = list[tuple[int, Digit]]()
    for own, other in settled:
        low, high = max(digit.stride, own.stride), min(digit.end, own.end)
        whole = low % digit.stride == low % own.stride == 0
        if digit.axis != own.axis or high <= low or not whole:
            continue
        if high % low or digit.end % high or own.end % high:
            continue
        stride = low // own.stride * other.stride
        found.append((low, Digit(other.axis, stride, high // low)))
    return [part for _, part in sorted(found, reverse=True)]
