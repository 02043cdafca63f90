"""The records of stacks and networks. What draws the same networks has equal records."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby, zip_longest
from typing import TYPE_CHECKING, Any

from snstat.activation import resolve
from snstat.layers.dense_layer import DenseLayer
from snstat.layers.initialisers import INITIALISERS
from snstat.network.stack import Stack
from snstat.results import INPUT, DrawnLayers, LayerSummary, NetworkSummary, StackSummary

if TYPE_CHECKING:
    from snstat.network.network import Network

# Relative difference of two gains that are equal but for rounding.
AGREE = 1e-9
# What the record keeps of the name and the shape of a layer.
BYTES_PER_ROW = 400
# Settings that default to the initialiser's values.
SETTINGS = ("weight_gain", "weight_std", "bias_std")


def summary_of(stack: Stack) -> StackSummary:
    """Return the record of `stack`."""
    return StackSummary(
        stack.activation,
        stack.depth,
        stack.width,
        stack.input_width,
        stack.init,
        stack.repeated_gain,
        stack.repeated_bias_std,
        stack.weight_std,
        stack.widths,
        stack.last,
        _given(stack),
        tuple(_drawn(stack)),
    )


def network_summary(network: Network, samplers: Sequence[str | None] = ()) -> NetworkSummary:
    """Return the record of `network`. `samplers` name how the weights of each layer were sampled,
    those of the input first."""
    first = LayerSummary(INPUT, INPUT, network.input.sizes)
    rows = (
        LayerSummary(row.name, row.layer.kind, row.after.sizes, sampler, row.inner)
        for row, sampler in zip_longest(network.rows(), samplers[1 : network.depth + 1])
    )
    return NetworkSummary(network.name, network.form(), (first, *rows))


def _given(stack: Stack) -> tuple[str, ...]:
    """Return which of `SETTINGS` were given; the activation's default gain was not."""
    by_default = stack.own_gain and has_own_gain(stack.activation, stack.init, stack.repeated_gain)
    defaults = {"weight_gain"} if by_default else set()
    return tuple(
        name for name in SETTINGS if getattr(stack, name) is not None and name not in defaults
    )


def has_own_gain(activation: str, init: str, weight_gain: float) -> bool:
    """Return whether a gain that was not given is the default of the activation, beside which the
    initialiser is its default too."""
    phi = resolve(activation)
    gain = phi.default_gain
    return (
        gain is not None
        and init == phi.default_init
        and math.isclose(weight_gain, gain, rel_tol=AGREE)
    )


def settings_of(summary: StackSummary) -> dict[str, Any]:
    """Return the arguments of `Stack.build` that describe the stack, except its input width."""
    names: tuple[str, ...] = ("activation", "init")
    names += ("depth", "width") if summary.widths is None else ("widths",)
    names += () if summary.last is None else ("last",)
    settings: dict[str, Any] = {name: summary[name] for name in names}
    settings |= {name: summary[name] if name in summary.given else None for name in SETTINGS}
    if not {"weight_gain", "weight_std"} & set(summary.given) and has_own_gain(
        summary.activation, summary.init, summary.weight_gain
    ):
        settings["init"] = None
    return settings


def own_settings(stack: Stack) -> dict[str, Any]:
    """Return what a stack has where an option was left out whose default depends on others, as that
    option would say it."""
    found: dict[str, Any] = {"init": stack.init, "last": stack.last or stack.activation}
    if stack.weight_std is None:
        found["weight_gain"] = stack.repeated_gain
    if not INITIALISERS[stack.init].bias_square_gain:  # else it draws biases of its own law
        found["bias_std"] = stack.repeated_bias_std
    return found


def stack_of(summary: StackSummary) -> Stack:
    """Return the stack that `summary` describes."""
    settings = settings_of(summary)
    if summary.widths is None:
        settings["input_width"] = summary.input_width
    return Stack.build(**settings)


def _drawn(stack: Stack) -> Iterator[DrawnLayers]:
    """Yield the distributions of the layers, with consecutive equal layers as one entry."""
    for draws, group in groupby(stack.equal_layers(), key=lambda part: _draws(part[2])):
        (first, count, _), *others = group
        yield DrawnLayers(first, first + count + sum(more for _, more, _ in others) - 1, *draws)


def _draws(layer: DenseLayer) -> tuple[int, str, str, float, str, float]:
    """Return units, activation, distribution and standard deviation of the weights, and
    distribution and standard deviation of the biases."""
    std = math.sqrt(layer.square_gain / layer.fan_in)
    return (
        layer.fan_out,
        layer.activation,
        layer.distribution if std > 0 else "zero",
        std,
        layer.bias_distribution if layer.bias_std > 0 else "zero",
        layer.bias_std,
    )
