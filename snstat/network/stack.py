"""The network: a dense stack with its initialiser, and their validation.

Layer 0 is the input; layer l (1..depth) is activation l. Layer l computes
``phi(W x + b)`` with ``W`` of shape (fan_out, fan_in). All layers have the same width and
activation unless `widths` or `last` is given. The cost does not grow with layers of equal width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from snstat.activation import resolve
from snstat.errors import InvalidValueError
from snstat.layers.dense_layer import DenseLayer
from snstat.layers.options import defaults, require_one_size
from snstat.limits import MAX_WIDTH
from snstat.network.settings import DEFAULT_DEPTH, DEFAULT_WIDTH, NetworkSettings
from snstat.network.widths import (
    Runs,
    end_of_run,
    joined,
    parse_widths,
    shortened,
    width_at,
    write_widths,
)
from snstat.values import integer


@dataclass(frozen=True, slots=True)
class Stretch:
    """Layers first..first+count−1 of equal fan_out and activation.

    `leading` is the first layer, and `later` describes all others (even if there are none).
    """

    first: int
    count: int
    leading: DenseLayer
    later: DenseLayer


@dataclass(frozen=True, slots=True)
class Stack:
    """A dense stack. Build it with `Stack.build`, which validates and fills defaults.

    `weight_gain`, `weight_std` and `bias_std` are None for the initialiser's values; at most one of
    the first two is set. If layers differ in width, `runs` lists them as (units, layers) and
    `width` is the largest; otherwise `runs` is empty. `last` is the activation of the last layer,
    None if it is that of the others. `own_gain` tells that `weight_gain` is the activation's
    default, not the user's. Two stacks are equal if and only if all their layers are.
    """

    activation: str
    depth: int
    width: int
    input_width: int
    init: str
    weight_gain: float | None
    bias_std: float | None
    runs: Runs = ()
    last: str | None = None
    weight_std: float | None = None
    own_gain: bool = field(default=False, compare=False)

    @classmethod
    def build(cls, *settings: Any, input_width: int | None = None, **options: Any) -> Stack:
        """Return the stack of `NetworkSettings(*settings, **options)`: see `of`."""
        return cls.of(NetworkSettings(*settings, **options), input_width)

    @classmethod
    def of(cls, settings: NetworkSettings, input_width: int | None = None) -> Stack:
        """Return the stack that `settings` describe.

        `settings.widths`, the units of the input and of each layer (see `widths.parse_widths`),
        replaces depth, width and `input_width`. `init` defaults to that of the activation's
        literature (`Activation.default_init`), `input_width` to the width. Raises InvalidValueError
        for settings that contradict each other.
        """
        require_one_size(settings.weight_gain, settings.weight_std)
        activation = resolve(settings.activation).name
        init, gain = defaults(activation, settings.init, settings.weight_gain, settings.weight_std)
        runs: Runs = ()
        if settings.widths is not None:
            given = {"depth": settings.depth, "width": settings.width, "input_width": input_width}
            for name, value in given.items():
                if value is not None:
                    bound = "left out with --widths, which gives the units of every layer"
                    raise InvalidValueError(name, value, bound)
            input_width, runs = parse_widths(settings.widths)
        else:
            width = DEFAULT_WIDTH if settings.width is None else settings.width
            depth = DEFAULT_DEPTH if settings.depth is None else settings.depth
            if input_width is None:
                input_width = width
            runs = ((width, depth),)
        stack = cls(
            activation,
            0,
            0,
            integer("input width", input_width, 1, MAX_WIDTH),
            init,
            gain,
            settings.bias_std,
            last=None if settings.last is None else resolve(settings.last).name,
            weight_std=settings.weight_std,
            own_gain=gain is not None and settings.weight_gain is None,
        )
        return stack.of_runs(runs)

    def of_runs(self, runs: Runs) -> Stack:
        """Return this stack with layers of these widths, in canonical form."""
        runs = joined(runs)
        depth, activation, last = sum(times for _, times in runs), self.activation, self.last
        if last is not None and depth == 1:
            activation = last
        return replace(
            self,
            activation=activation,
            depth=depth,
            width=max(units for units, _ in runs),
            runs=runs if len(runs) > 1 else (),
            last=None if last == activation else last,
        )

    def of_depth(self, depth: int) -> Stack:
        """Return this stack with `depth` layers; `last` applies to the last of them.

        Layers beyond the present ones have the width of the last hidden layer.
        """
        if depth == self.depth:
            return self
        if not self.runs:
            return self.of_runs(((self.width, depth),))
        if depth > self.depth:
            return self.of_runs((*self.runs, (self.repeated.fan_out, depth - self.depth)))
        return self.of_runs(shortened(self.runs, depth))

    @property
    def uniform(self) -> bool:
        """Whether all layers after the first are equal."""
        return not self.runs and self.last is None

    @property
    def widths(self) -> str | None:
        """The units of the input and of each layer as `build` takes them, None for one width."""
        return self.written_widths if self.runs else None

    @property
    def written_widths(self) -> str:
        """The units of the input and of each layer as `build` takes them: "784,512*3,10"."""
        return write_widths(self.input_width, self.runs or ((self.width, self.depth),))

    def width_of(self, index: int) -> int:
        """Return the units of layer `index` (0..depth). Layer 0 is the input."""
        if index == 0:
            return self.input_width
        return width_at(self.runs, index) if self.runs else self.width

    def activation_of(self, index: int) -> str:
        """Return the name of the activation of layer `index` (1..depth)."""
        return self.last if self.last is not None and index == self.depth else self.activation

    def layer(self, index: int) -> DenseLayer:
        """Return layer `index` (1..depth), or `repeated` beyond the depth."""
        if index > self.depth:
            return self.repeated
        fan_in, fan_out = self.width_of(index - 1), self.width_of(index)
        return self._between(fan_in, fan_out, self.activation_of(index))

    @property
    def repeated(self) -> DenseLayer:
        """The layer that is repeated and would continue the stack: square, as wide as the last
        layer of its activation."""
        units = self.width_of(self.depth - 1 if self.last is not None else self.depth)
        return self._between(units, units, self.activation)

    def _between(self, fan_in: int, fan_out: int, activation: str) -> DenseLayer:
        return DenseLayer.of(
            self.init,
            fan_in,
            fan_out,
            weight_gain=self.weight_gain,
            weight_std=self.weight_std,
            bias_std=self.bias_std,
            activation=activation,
        )

    @property
    def read_out(self) -> DenseLayer | None:
        """The last layer if it has another activation than all others, else None."""
        return None if self.last is None else self.layer(self.depth)

    @property
    def activations(self) -> tuple[str, ...]:
        """The names of the activations, each once, in the order of the layers."""
        return (self.activation,) if self.last is None else (self.activation, self.last)

    @property
    def widest(self) -> int:
        """The units of the widest layer, not counting the input."""
        return self.width

    def turned(self, knob: str, value: Any) -> Stack | None:
        """Return this stack with `knob` set to `value`, None if there is no such knob to turn.

        The knobs are weight_gain and weight_std, which replace each other, bias_std, depth (see
        `of_depth`), and width where all layers have one; an input of that width follows it.
        """
        if knob in ("weight_gain", "weight_std"):
            size = {"weight_gain": None, "weight_std": None, knob: value}
            return replace(self, **size, own_gain=False)
        if knob == "bias_std":
            return replace(self, bias_std=value)
        if knob == "depth":
            return self.of_depth(value)
        if knob != "width" or self.runs:
            return None
        fed = value if self.input_width == self.width else self.input_width
        return replace(self, width=value, input_width=fed)

    def fed(self, units: int) -> Stack:
        """Return this stack with an input of `units` units."""
        return replace(self, input_width=units)

    def layers(self) -> Iterator[DenseLayer]:
        """Yield layers 1..depth."""
        for stretch in self.stretches():
            yield stretch.leading
            for _ in range(1, stretch.count):
                yield stretch.later

    def stretches(self, first: int = 1, count: int | None = None) -> Iterator[Stretch]:
        """Yield layers first..first+count−1 (by default to the last) as stretches of equal fan_out
        and activation. A uniform stack is one stretch, whatever its depth."""
        end = self.depth if count is None else first + count - 1
        while first <= end:
            stop = min(end_of_run(self.runs, first), end) if self.runs else end
            if self.last is not None and first < self.depth:
                stop = min(stop, self.depth - 1)
            leading = self.layer(first)
            units = leading.fan_out
            later = self._between(units, units, leading.activation)
            yield Stretch(first, stop - first + 1, leading, later)
            first = stop + 1

    def equal_layers(self) -> Iterator[tuple[int, int, DenseLayer]]:
        """Yield (first, count, layer) of the longest runs of equal layers, in order."""
        for stretch in self.stretches():
            if stretch.leading == stretch.later:
                yield stretch.first, stretch.count, stretch.later
                continue
            yield stretch.first, 1, stretch.leading
            if stretch.count > 1:
                yield stretch.first + 1, stretch.count - 1, stretch.later

    @property
    def repeated_gain(self) -> float:
        """G of the square layers: weights have variance G²/fan_in."""
        if self.weight_gain is not None:
            return self.weight_gain
        return math.sqrt(self.repeated.square_gain)

    @property
    def repeated_bias_std(self) -> float:
        """Standard deviation of the biases of the square layers."""
        return self.repeated.bias_std
