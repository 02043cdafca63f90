"""The limit of infinite width of a network, as a population of units.

In the limit, units are independent, and the pre-activations of one unit at all samples, positions
and times that share its weights are Gaussian with covariance G² E[xx'] + b². A population of N
units has its own mean over units in the place of the expectation. Given that mean, N fresh units
are independent draws of N(0, K), so that the means over them are off by O(N^(-1/2)), and by O(1/N)
on average. That is, in law, a network with N units in every layer and Gaussian weights, whose gains
and biases are those of the network at its own widths. Sources: arXiv:1910.12478, arXiv:2009.10685.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from math import lcm
from typing import Any, NamedTuple, TypeVar

from snstat.errors import InvalidValueError, LayerError
from snstat.layers.block import Block
from snstat.layers.concat import Concat
from snstat.layers.entry import Entry
from snstat.layers.layer import Layer
from snstat.layers.shape import Shape
from snstat.layers.weights import Weights
from snstat.network.network import Network
from snstat.network.rows import Row
from snstat.values.option import options_of

T = TypeVar("T", bound=Layer)

# The option that asks for it.
NAME = "infinite_width"
# Options of layers that say how many units there are after them.
WIDTHS = ("width", "channels")
# Options of layers that divide their units into equal parts. There stay as many groups, and heads
# keep their units.
HEADS, GROUPS = "heads", "groups"


class Widths(NamedTuple):
    """How many units stand for those of a layer: `units`, or with a `narrowest` width, which has as
    many, a number in proportion for wider ones."""

    units: int
    narrowest: int

    def of(self, width: int) -> int:
        """Return how many units stand for `width`."""
        if width <= self.narrowest or not self.narrowest:
            return self.units
        return self.units * width // self.narrowest


class OwnLayer(NamedTuple):
    """A layer at its own width: what its `matrices` are drawn from, and its `channels`."""

    matrices: tuple[Weights, ...]
    channels: int


@dataclass(frozen=True)
class Population:
    """A network at its `own` widths, and with `units` units or more after every layer with weights:
    `wide`, of which each unit of the input stands in `copies`."""

    units: int
    own: Network
    wide: Network
    copies: int = 1

    @classmethod
    def of(cls, network: Network, units: int) -> Population:
        """Return the population of `network`.

        Where parts of different widths are concatenated, widths keep their proportions, and the
        narrowest part has `units`. Raises LayerError with the path of a layer that has no such
        limit, or whose parts do not divide the units.
        """
        widths = Widths(units, _narrowest(network, units))
        _require_parts(network, widths)
        block: Block = _wide(network.block, widths)
        with _small_enough(units):
            return cls._of(network, widths, block)

    @classmethod
    def _of(cls, network: Network, widths: Widths, block: Block) -> Population:
        """Return the population whose layers are those of `block`."""
        units = widths.units
        try:
            found = cls(units, network, replace(network, block=block))
            found.require_limits()
        except LayerError as error:
            channels = network.input.channels
            wide = widths.of(channels)
            copies, rest = divmod(wide, channels)
            if network.input.tokens or (copies == 1 and not rest):
                raise
            shape = replace(network.input, channels=wide)
            found = cls(units, network, Network(shape, block, network.law, network.name), copies)
            found.require_limits()
            if rest or not copies:
                raise LayerError(error.path, _of_input(network, units)) from None
        return found

    def rows(self) -> Iterator[tuple[Row, Row]]:
        """Yield different layers, at their own widths and in the population."""
        seen = set[tuple[int, tuple[Shape, ...], tuple[Shape, ...]]]()
        for own, wide in zip(self.own.rows(), self.wide.rows(), strict=True):
            key = id(own.layer), own.before, wide.before
            if key not in seen:
                seen.add(key)
                yield own, wide

    def require_limits(self) -> None:
        """Raise LayerError for a layer with weights that has as many units as the input, and for
        one that says that it has no such limit."""
        for own, wide in self.rows():
            if own.layer.matrices(own.before) and wide.after.channels < self.units:
                bound = "left out for a layer that has as many units as its input"
                raise _error(own, self.units, bound)
            _require_limit(own, wide.before, self.units)

    @cached_property
    def layers(self) -> tuple[OwnLayer, ...]:
        """What all layers are at their own widths, layer 1 first."""
        seen: dict[tuple[int, tuple[Shape, ...]], OwnLayer] = {}
        found = list[OwnLayer]()
        for row in self.own.rows():
            key = id(row.layer), row.before
            if key not in seen:
                seen[key] = OwnLayer(row.layer.matrices(row.before), row.after.channels)
            found.append(seen[key])
        return tuple(found)

    def growth(self, row: Row) -> int:
        """Return how many parts of a layer stand for each of its own, rounded up: 1 where its parts
        are wider instead."""
        if not row.layer.sized:
            return 1
        return -(-row.after.channels // self.layers[row.number - 1].channels)

    def laws(self, row: Row) -> tuple[Weights, ...]:
        """Return what the matrices of a layer of `wide` are drawn from."""
        own = self.layers[row.number - 1].matrices
        return tuple(map(gaussian, row.layer.matrices(row.before), own))

    @property
    def alike(self) -> bool:
        """Whether theory of the network `wide` is that of the population: no layer has a part that
        keeps its size, gains and biases do not depend on widths, and no unit of the input stands in
        several copies."""
        return self.copies == 1 and all(
            not own.layer.sized and _gains(own) == _gains(wide) for own, wide in self.rows()
        )


def gaussian(weights: Weights, own: Weights) -> Weights:
    """Return the law of a matrix of the population, whose shape `weights` have, in the limit that
    `own` has."""
    return Weights(
        weights.fan_in, weights.fan_out, "normal", own.square_gain, "normal", own.bias_std
    )


def _gains(row: Row) -> list[tuple[float, float]]:
    """Return G² and the standard deviation of the biases of all matrices of a layer."""
    return [(own.square_gain, own.bias_std) for own in row.layer.matrices(row.before)]


@contextmanager
def _small_enough(units: int) -> Iterator[None]:
    """Turn the error of a layer with too many units into one of the number that was asked for."""
    try:
        yield
    except InvalidValueError as error:
        bound = f"small enough for all layers: {error.bound}"
        raise InvalidValueError(NAME, units, bound) from None


def _narrowest(network: Network, units: int) -> int:
    """Return the channels of the narrowest part of concatenations of parts that differ, 0 if there
    are none. Raises LayerError where these do not divide the units."""
    found = 0
    for row in network.rows():
        parts = {shape.channels for shape in row.before}
        if isinstance(row.layer, Concat) and len(parts) > 1:
            found, last = min(*parts, found or max(parts)), row
    if found and units % found:
        bound = f"a multiple of the {found:,} channels of the narrowest part of a concatenation"
        raise _error(last, units, bound, f"try {-(-units // found) * found:,}")
    return found


def _wide(layer: T, widths: Widths) -> T:
    """Return a layer, and all that it contains, with wide outputs."""
    changes: dict[str, Any] = {}
    for name in options_of(type(layer)):
        value = getattr(layer, name)
        if name in WIDTHS:
            changes[name] = widths.of(value)
        elif isinstance(value, tuple) and all(isinstance(part, Entry) for part in value):
            changes[name] = tuple(replace(part, layer=_wide(part.layer, widths)) for part in value)
    return replace(layer, **changes) if changes else layer  # type: ignore[type-var]  # kinds are dataclasses


def _require_parts(network: Network, widths: Widths) -> None:
    """Raise LayerError for heads or groups that do not divide the units."""
    every = 1
    for row in network.rows():
        _require_limit(row, row.before, widths.units)
        for name in (HEADS, GROUPS):
            parts: int = getattr(row.layer, name, 1)
            own = row.before[0].channels // parts
            least = lcm(parts, own) if hasattr(row.layer, HEADS) else parts
            every = lcm(every, least)
            if widths.of(row.before[0].channels) % least:
                bound = f"a multiple of its {parts:,} {name}"
                if least > parts:
                    bound += f" and of their {own:,} units"
                remedy = f"try {-(-widths.units // every) * every:,}"
                raise _error(row, widths.units, bound, remedy)


def _require_limit(row: Row, wide: Sequence[Shape], units: int) -> None:
    reason = row.layer.unlimited(row.before, wide)
    if reason:
        raise _error(row, units, f"left out: {reason}")


def _of_input(network: Network, units: int) -> InvalidValueError:
    """Return the error of a network with a layer whose units are those of the input."""
    channels = network.input.channels
    bound = f"a multiple of the {channels:,} channels of the input, whose units this layer keeps"
    return InvalidValueError(NAME, units, bound, f"try {-(-units // channels) * channels:,}")


def _error(row: Row, units: int, bound: str, remedy: str = "") -> LayerError:
    return LayerError(tuple(row.name.split(".")), InvalidValueError(NAME, units, bound, remedy))
