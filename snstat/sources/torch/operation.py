"""One operation of a graph, and what is known of the values that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from snstat.layers.layer import Layer
from snstat.layers.shape import Shape
from snstat.sources.torch.draws import Draws
from snstat.sources.torch.encodings import Encoding
from snstat.sources.torch.graph import Node, Ref
from snstat.sources.torch.layout import CHANNELS, SAMPLES, Layout, Layouts, NotMappedError, Padding

if TYPE_CHECKING:
    import torch

OTHERS = "it depends on other values than those of the input"
MIXED, PARTLY = "it takes positions for channels", "it takes a part of the channels"
SAMPLES_MIXED = "it takes samples for channels"
VECTOR = "it takes a vector for a grid"
PADDED = "it takes values with a border around them"
CHANGED = "it takes values of which a part was changed"


class Parts(NamedTuple):
    """What a tensor, the node called `of`, is divided into along an `axis`: the numbers there from
    the first to before the last of each of `bounds`. The axis is gone if `squeezed`."""

    of: str
    axis: int
    bounds: tuple[tuple[int, int], ...]
    squeezed: bool


class Scores(NamedTuple):
    """Products q·k of the nodes `queries` and `keys`, times `factor`, of tokens that are not later
    if `causal`, and their softmax if `soft`, of which the part `dropout` is dropped. The last two
    axes of the keys are `swapped`, as for a matrix product, or not."""

    queries: Ref
    keys: Ref
    factor: float
    swapped: bool
    causal: bool = False
    soft: bool = False
    dropout: float = 0.0


@dataclass
class Value:
    """What a node returns: the values of the layer number `entry` (0 is the input), or a
    `parameter`, or a `number`; or something else, of which nothing is known if `ended`, and which
    does not depend on the input if not, and `why` then, if that is not told yet. A list has the
    `parts` of a layer, or the `states` of so many recurrent ones after their units at all times,
    and `scores` are what attention calculates on its way. What is written to it
    is written to all that may share its memory, its `relatives`, too."""

    entry: int | None = None
    parameter: str | None = None
    number: float | None = None
    ended: bool = False
    why: str = ""
    relatives: list[Value] = field(default_factory=list)
    parts: Parts | None = None
    states: int = 0
    scores: Scores | None = None

    def end(self, why: str = "") -> None:
        """Know nothing of it any more, nor of its relatives."""
        self.entry, self.number, self.parts, self.scores = None, None, None, None
        self.ended, self.why = True, self.why if self.ended else why
        for other in self.relatives:
            if not other.ended:
                other.end(why)

    def written(self, value: Value) -> None:
        """Take what was written to it. What its relatives are then is not known."""
        self.end(CHANGED)
        self.parameter, self.ended, self.why = None, value.ended, ""  # the reason was told
        if not value.ended:
            self.entry, self.number, self.scores = value.entry, value.number, value.scores

    @property
    def family(self) -> list[Value]:
        """Itself, and all that may share its memory."""
        found = [self]
        for one in found:
            found += [other for other in one.relatives if all(other is not own for own in found)]
        return found


class Made(NamedTuple):
    """The layer that an operation is, with the entries that it starts from, and the factors of
    these, if they are not 1; None for one that leaves the values as they are. `layout` is that of
    its result, None for that of the value that it starts from. Without a layer, `arranged` may be
    how the input is rearranged, and `padding` what stands around the values; or there are `parts`,
    or `scores`, which are no values of a layer. A recurrent layer returns its `states` too."""

    layer: Layer | None
    inputs: tuple[int, ...]
    factors: tuple[float, ...] = ()
    layout: Layout | None = None
    arranged: Layout | None = None
    padding: Padding | None = None
    parts: Parts | None = None
    scores: Scores | None = None
    states: int = 0


@dataclass(frozen=True)
class Context:
    """What all nodes have in common: what is known of values and parameters, the shapes of values,
    the values of `constants`, which of them are `encodings` of positions, where channels and
    positions are, whether the whole module is in train mode, and the ε of its numbers. `used` are
    the parameters that layers drew so far."""

    values: Mapping[str, Value]
    shapes: Mapping[str, tuple[int, ...]]
    constants: Mapping[str, torch.Tensor]
    encodings: Mapping[str, Encoding]
    layouts: Layouts
    draws: Draws
    train: bool
    epsilon: float
    used: set[str] = field(default_factory=set)


class Operation:
    """A node, and the values of its arguments."""

    def __init__(self, node: Node, context: Context) -> None:
        self.node, self.context = node, context
        self.draws, self.train, self.layouts = context.draws, context.train, context.layouts
        self._values, self._shapes = context.values, context.shapes

    @property
    def on_scores(self) -> bool:
        """Whether it is given what attention calculates on its way."""
        return any(self._values[ref.name].scores is not None for ref in self.node.sources)

    def __getitem__(self, name: str) -> Any:
        """Return an argument as it is."""
        return self.node.arguments.get(name)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an argument, () of what is no tensor."""
        return self.shape_of(self[name])

    def shape_of(self, value: Any) -> tuple[int, ...]:
        """Return the shape of a value."""
        return self._shapes.get(value.name, ()) if isinstance(value, Ref) else ()

    def value(self, name: str) -> Value:
        """Return what is known of an argument."""
        found = self[name]
        return self._values[found.name] if isinstance(found, Ref) else Value()

    def sizes(self, name: str, axes: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return an argument that has one number for all axes, or one for each."""
        given = self[name]
        found = tuple(given) if isinstance(given, tuple | list) else (given,)
        found = default if given is None or not found else found
        return found * axes if len(found) == 1 else found

    def entry(self, name: str) -> int:
        """Return the layer that an argument is the output of."""
        return self.entry_of(self[name])

    def entry_of(self, value: Any, channels: int | None = None, *, padded: bool = False) -> int:
        """Return the layer that a value is the output of, without a border unless it may be
        `padded`; its channels are to be along an axis, if that is given. Raises NotMappedError."""
        found = self._values[value.name].entry if isinstance(value, Ref) else None
        if found is None:
            raise NotMappedError(OTHERS)
        if value.name in self.layouts.padded and not padded:
            raise NotMappedError(PADDED)
        layout = self.layouts.of(value.name, channels)
        if channels is not None and not layout.has_channels(channels, self.layouts.shapes[found]):
            raise NotMappedError(_mixed(layout, channels))
        return found

    def require_samples(self, name: str) -> None:
        """Raise NotMappedError for an argument that is the output of a layer whose samples are not
        along the first axis."""
        if not self.layout(name).has_samples:
            raise NotMappedError(SAMPLES_MIXED)

    def first(self, shape: Shape, axes: int) -> Layout:
        """Return the layout of samples × channels × so many axes."""
        return Layout.first(shape, self.layouts.samples, axes)

    def along(self, name: str, axis: int) -> int:
        """Return the layer that an argument is the output of, whose channels are along an axis; its
        positions may be anywhere."""
        return self.entry_of(self[name], axis)

    def layout(self, name: str) -> Layout:
        """Return the layout of an argument that is the output of a layer."""
        return self.layouts.of(self[name].name)

    def on_grid(
        self, name: str, axes: int, *, vector: bool = False, padded: bool = False
    ) -> tuple[int, Shape]:
        """Return the layer that an argument is the output of, and its shape: samples × channels ×
        a grid of so many axes, or of none if it may be a `vector`. Raises NotMappedError."""
        if len(self.shape(name)) != axes + 2:
            raise NotMappedError(SAMPLES_MIXED)
        entry = self.entry_of(self[name], 1, padded=padded)
        shape = self.layouts.shapes[entry]
        if not shape.grid and not vector:
            raise NotMappedError(VECTOR)
        if len(shape.grid) not in (0, axes) or self.layout(name) != self.first(shape, axes):
            raise NotMappedError("it takes the axes of a grid in another order")
        return entry, shape

    def constant(self, name: str) -> torch.Tensor | None:
        """Return the values of an argument that are the same in all trials, None for others."""
        value = self[name]
        return self.context.constants.get(value.name) if isinstance(value, Ref) else None

    def encoding(self, name: str) -> Encoding | None:
        """Return the encoding of positions that an argument is, None for others."""
        value = self[name]
        return self.context.encodings.get(value.name) if isinstance(value, Ref) else None

    def number(self, name: str) -> float | None:
        """Return the number that an argument is, or that all its values are; None if it is none."""
        return self.number_of(self[name])

    def number_of(self, value: Any) -> float | None:
        """Return the same of a value."""
        if not isinstance(value, Ref):
            return float(value) if isinstance(value, int | float) else None
        found = self._values[value.name]
        if found.parameter is not None:
            return self.draws.constant(found.parameter)
        return found.number

    def parameter(self, name: str) -> str | None:
        """Return the name of the parameter that an argument is, None if it is none."""
        return self.value(name).parameter

    def drawn(self, name: str, what: str) -> str:
        """Return the name of a parameter that a layer draws. Raises NotMappedError for values that
        are no parameter, or one that an earlier layer drew, or a copy of one."""
        return self.drawn_of(self[name], what)

    def drawn_of(self, value: Any, what: str) -> str:
        """Return the same of a value."""
        found = self._values[value.name].parameter if isinstance(value, Ref) else None
        if found is None:
            raise NotMappedError(f"its {what} are computed from others")
        return self.taken(found, what)

    def taken(self, parameter: str, what: str) -> str:
        """Return the same of a parameter, by its name."""
        if parameter in self.context.used:
            raise NotMappedError(f"its {what} were used before")
        if self.draws.constant(parameter) != 0.0:
            other = self.draws.copied(parameter, self.context.used)
            if other is not None:
                raise NotMappedError(f"its {what} are a copy of {other}")
            self.context.used.add(parameter)
        return parameter

    def require(self, name: str, wanted: float, words: str) -> None:
        """Raise NotMappedError for an argument that is given and not this number throughout."""
        if self[name] is not None and self.number(name) != wanted:
            raise NotMappedError(words)

    def weights(self, weights: str, biases: str | None, *, by_gain: bool = True) -> dict[str, Any]:
        """Return the options of a layer that draws these arguments, the weights `by_gain` or by
        their standard deviation. Raises NotMappedError and NotDrawnError."""
        options = self.draws.weights(self.drawn(weights, "weights"), by_gain=by_gain)
        if biases and self[biases] is not None:
            own = self.drawn(biases, "biases")
            options["bias_std"] = self.draws.biases(own, options["init"])
        elif options["init"] == "torch_default":
            options["bias_std"] = 0.0
        return options

    def require_affine(self) -> None:
        """Raise NotMappedError for a norm whose weights are not 1 or whose biases are not 0."""
        self.require("weight", 1.0, "its weight is not 1")
        self.require("bias", 0.0, "its bias is not 0")


def _mixed(layout: Layout, axis: int) -> str:
    """Return why the channels are not along an axis."""
    there = {digit.axis for digit in layout.axes[axis]} if axis < len(layout.axes) else set()
    if SAMPLES in there:
        return SAMPLES_MIXED
    return PARTLY if there == {CHANNELS} else MIXED


Map = Callable[[Operation], Made]
