"""Changes of a network's layers that may mend it, in the words of its file, the mildest first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from snstat.errors import SnstatError
from snstat.layers.block import Block
from snstat.layers.layer import Layer
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.normalise import Norm
from snstat.layers.options import WeightOptions
from snstat.layers.residual_block import Residual
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.network.editing import Edit, begun, edited, written
from snstat.network.network import Network
from snstat.values.option import options_of

# Layers are listed by name up to so many.
MOST_NAMED = 3
# Gains are tried in steps of a quarter of an octave, up to this many on either side of 1.
GAIN_STEPS = 8
# The parts of the present rate of dropout that are tried.
RATES = (0.5, 0.25, 0.1)
# The factors of widths that are tried.
WIDER = (2, 4)
# The digits of a value to try.
DIGITS = 3


class Edited(NamedTuple):
    """A changed network, and what to do to its file."""

    words: str
    network: Network


def layer_changes(network: Network) -> Iterator[Edited]:
    """Yield what to try, the mildest first: the usual gains, factors of residuals and of scale
    layers, other gains, rates of dropout, norms, widths. Changes that the layers do not allow, or
    that change nothing, are left out."""
    yield from _own_gains(network)
    yield from _scales(network)
    yield from _factors(network)
    yield from _gains(network)
    yield from _rates(network)
    yield from _norms(network)
    yield from _widths(network)


def repeated(network: Network) -> Iterator[tuple[str, int]]:
    """Yield the name of each repeated block and how often it is repeated."""
    for name, layer in written(network):
        if isinstance(layer, Block) and layer.repetitions > 1:
            yield name, layer.repetitions


def fewer(network: Network, name: str, times: int) -> Edited | None:
    """Return the network with fewer repetitions of a block, None where no such one exists."""
    now = str(dict(repeated(network))[name])
    words = f'set "times" of block {name} to {times:,} (now {now})'
    return next(_tried(network, words, _turn("times", times, [name])), None)


def _tried(
    network: Network, words: str, edit: Edit, shape: Shape | None = None
) -> Iterator[Edited]:
    """Yield the edited network, of another `shape` of the input if one is given, if there is such a
    one and it is another one."""
    try:
        found = edited(network, edit, shape)
    except SnstatError:  # layers that do not fit each other, or a value that one cannot have
        return
    if found != network:
        yield Edited(words, found)


def _turn(knob: str, value: Any, names: Sequence[str]) -> Edit:
    """Return the edit of a knob of the layers of these `names`."""

    def edit(name: str, layer: Layer) -> tuple[Layer, ...]:
        turned = layer.turned(knob, value) if name in names else None
        return (turned or layer,)

    return edit


def _set(
    network: Network,
    knob: str,
    values: Iterable[float],
    names: Sequence[str],
    now: str,
    digits: int = DIGITS,
) -> Iterator[Edited]:
    """Yield the network with each of the `values` for a knob of the layers of these `names`, which
    is `now` another, of as many `digits` as the words show."""
    which = _which(network, names)
    for value in values:
        words = f'set "{knob}" of {which} to {value:.{digits}g} (now {now})'
        rounded = float(f"{value:.{digits}g}")
        yield from _tried(network, words, _turn(knob, rounded, names))


def _own_gains(network: Network) -> Iterator[Edited]:
    """Yield weights as the literature of each activation has them, where others are given."""
    keys = ("init", "weight_gain", "weight_std")
    given = {
        name: [key for key in keys if getattr(layer, key) is not None]
        for name, layer in written(network)
        if isinstance(layer, WeightOptions)
    }
    names = [name for name, own in given.items() if own]
    left = [f'"{key}"' for key in keys if any(key in given[name] for name in names)]

    def edit(name: str, layer: Layer) -> tuple[Layer, ...]:
        if name in names and isinstance(layer, WeightOptions):
            return (replace(layer, init=None, weight_gain=None, weight_std=None),)
        return (layer,)

    if names:
        yield from _tried(network, f"leave out {_listed(left)} of {_which(network, names)}", edit)


def _gains(network: Network) -> Iterator[Edited]:
    """Yield one gain for all weights, those nearest to 1 first."""
    yield from with_gains(network, _around_one())


def _around_one() -> Iterator[float]:
    """Yield factors in steps of `GAIN_STEPS`, those nearest to 1 first."""
    for step in sorted(range(-GAIN_STEPS, GAIN_STEPS + 1), key=abs):
        yield 2 ** (step / 4)


def with_gains(network: Network, gains: Iterable[float], digits: int = DIGITS) -> Iterator[Edited]:
    """Yield the network with each of these `gains`, of so many `digits`, for all weights."""
    layers = {name: layer for name, layer in written(network) if isinstance(layer, WeightOptions)}
    given = {layer.weight_gain for layer in layers.values() if layer.weight_gain is not None}
    whole = all(layer.weight_gain is not None for layer in layers.values())
    now = _range(given) if given and whole else "left out of some" if given else "left out"
    if any(layer.weight_std is not None for layer in layers.values()):
        now += '; leave out "weight_std"'
    if layers:
        yield from _set(network, "weight_gain", gains, [*layers], now, digits)


def _scales(network: Network) -> Iterator[Edited]:
    """Yield one factor for all residuals: 1, and such that the branches of all N together add about
    as much to the stream as it has, or half of that, where each preserves the signal."""
    found = {name: layer for name, layer in written(network) if isinstance(layer, Residual)}
    if not found:
        return
    count = sum(row.layer.kind == Residual.kind for row in network.rows())
    scales = (1.0, 1.0 / math.sqrt(count), 1.0 / math.sqrt(2 * count))
    yield from _of_all(network, "scale", scales, {n: own.scale for n, own in found.items()})


def _factors(network: Network) -> Iterator[Edited]:
    """Yield one factor for all scale layers, those nearest to 1 first."""
    found = {name: own.factor for name, own in written(network) if isinstance(own, Scale)}
    if found:
        yield from _of_all(network, "factor", _around_one(), found)


def _of_all(
    network: Network, knob: str, values: Iterable[float], found: Mapping[str, float]
) -> Iterator[Edited]:
    """Yield the network with each of the `values` for a knob of the layers `found`, by their names,
    the values that they have. Those that have it already are not named."""
    for value in values:
        rounded = float(f"{value:.{DIGITS}g}")
        others = {name: own for name, own in found.items() if own != rounded}
        if others:
            yield from _set(network, knob, [value], [*others], _range(others.values()))


def _rates(network: Network) -> Iterator[Edited]:
    """Yield one smaller rate for all layers with dropout."""
    found = {name: getattr(layer, "rate", 0.0) for name, layer in written(network)}
    rates = {name: rate for name, rate in found.items() if rate > 0}
    if rates:
        least = min(rates.values())
        smaller = (part * least for part in RATES)
        yield from _set(network, "rate", smaller, [*rates], _range(rates.values()))


def _norms(network: Network) -> Iterator[Edited]:
    """Yield a layer norm at the start of every branch, or of every repeated block where there are
    no residuals; and one after every sum."""
    layers = dict(written(network))
    residuals = [name for name, layer in layers.items() if isinstance(layer, Residual)]
    holders = residuals or [name for name, _ in repeated(network)]
    plain = [name for name in holders if not _begins_with_norm(layers[name])]

    def before(name: str, layer: Layer) -> tuple[Layer, ...]:
        if name in plain and isinstance(layer, Residual | Block):
            return (replace(layer, entries=begun(layer.entries, LayerNorm())),)
        return (layer,)

    def after(name: str, layer: Layer) -> tuple[Layer, ...]:
        return (layer, LayerNorm()) if name in residuals else (layer,)

    norm = f'{{ kind = "{LayerNorm.kind}" }}'
    if plain:
        part = "the branch of " if residuals else ""
        words = f"begin {part}{_which(network, plain)} with {norm}"
        yield from _tried(network, words, before)
    if residuals:
        yield from _tried(network, f"put {norm} after {_which(network, residuals)}", after)


def _widths(network: Network) -> Iterator[Edited]:
    """Yield wider layers of every kind that has a width, all but a last one, which is the read-out:
    by the same factor, so that sums still fit; and these with an input that is as much wider."""
    sized = [name for name, layer in written(network) if _width(layer)]
    if _width(network.block.entries[-1].layer):
        sized.pop()

    for factor in WIDER if sized else ():

        def edit(name: str, layer: Layer, factor: int = factor) -> tuple[Layer, ...]:
            wider = layer.turned("width", factor * _width(layer)) if name in sized else None
            return (wider or layer,)

        words = f'multiply "width" of {_which(network, sized)}'
        yield from _tried(network, f"{words} by {factor}", edit)
        if network.input.tokens:
            continue
        wide = Shape(factor * network.input.channels, network.input.grid)
        words = f'{words} and "channels" of the input by {factor}'
        yield from _tried(network, words, edit, wide)


def _width(layer: Layer) -> int:
    """Return the units that a layer is given, 0 for one whose input decides that."""
    return getattr(layer, "width", 0) if "width" in options_of(type(layer)) else 0


def _begins_with_norm(layer: Layer) -> bool:
    return isinstance(layer, Residual | Block) and isinstance(layer.entries[0].layer, Norm)


def _which(network: Network, names: Sequence[str]) -> str:
    """Return layers in words: "residual body.0", "dense layers 0 and 1", "all 7 residuals", "all 5
    dense layers but the last"."""
    kinds = {name: layer.kind for name, layer in written(network)}
    meant = sorted({kinds[name] for name in names})
    noun = _listed([kind.replace("_", " ") for kind in meant])
    if not {Residual.kind, Block.kind} & {*meant}:
        noun += " layer"
    every = [name for name, kind in kinds.items() if kind in meant]
    if len(names) > MOST_NAMED and [*names] == every[: len(names)] and len(every) < len(names) + 2:
        but = " but the last" if len(names) < len(every) else ""
        return f"all {len(every):,} {noun}s{but}"
    return f"{noun}{'s' if len(names) > 1 else ''} {_listed(names)}"


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _range(values: Iterable[float]) -> str:
    low, *_, high = sorted([*values] * 2)
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
