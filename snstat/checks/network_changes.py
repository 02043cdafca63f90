"""Changes of a network's layers that may mend it, the mildest first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from snstat.checks.network_clauses import (
    Begin,
    Change,
    LeaveOut,
    Multiply,
    PutAfter,
    Set,
    tried,
)
from snstat.layers.block import Block
from snstat.layers.keys import INPUT
from snstat.layers.layer import Layer
from snstat.layers.normalise import Norm
from snstat.layers.options import WeightOptions
from snstat.layers.residual_block import Residual
from snstat.layers.scale import Scale
from snstat.network.editing import Draft, Inserted, counted_from
from snstat.network.reading import CHANNELS, TIMES
from snstat.values.option import options_of

Kind = TypeVar("Kind")
# Gains are tried in steps of a quarter of an octave, up to this many on either side of 1.
GAIN_STEPS = 8
# The parts of the present rate of dropout that are tried.
RATES = (0.5, 0.25, 0.1)
# The factors of widths that are tried.
WIDER = (2, 4)
# The digits of a value to try.
DIGITS = 3


def layer_changes(draft: Draft) -> Iterator[Change]:
    """Yield what to try, the mildest first: the usual gains, factors of residuals and of scale
    layers, other gains, rates of dropout, norms, widths. Changes that the layers do not allow, or
    that change nothing, are left out."""
    yield from tried(draft, LeaveOut())
    yield from _scales(draft)
    yield from _factors(draft)
    yield from with_gains(draft, _around_one())
    yield from _rates(draft)
    yield from _norms(draft)
    yield from _widths(draft)


def repeated(draft: Draft) -> Iterator[tuple[str, int]]:
    """Yield the name of each repeated block and how often it is repeated."""
    for name, place in draft.places.items():
        if isinstance(place.layer, Block) and place.layer.repetitions > 1:
            yield name, place.layer.repetitions


def fewer(draft: Draft, name: str, times: int) -> Change | None:
    """Return the network with fewer repetitions of a block, None where no such one exists."""
    now = str(dict(repeated(draft))[name])
    return next(tried(draft, Set(TIMES, [name], times, now)), None)


def _around_one() -> Iterator[float]:
    """Yield factors in steps of `GAIN_STEPS`, those nearest to 1 first."""
    for step in sorted(range(-GAIN_STEPS, GAIN_STEPS + 1), key=abs):
        yield 2 ** (step / 4)


def with_gains(draft: Draft, gains: Iterable[float], digits: int = DIGITS) -> Iterator[Change]:
    """Yield the network with each of these `gains`, of so many `digits`, for all weights."""
    layers = _of(draft, WeightOptions)
    given = {layer.weight_gain for layer in layers.values() if layer.weight_gain is not None}
    whole = all(layer.weight_gain is not None for layer in layers.values())
    now = _range(given) if given and whole else "left out of some" if given else "left out"
    if any(layer.weight_std is not None for layer in layers.values()):
        now += '; leave out "weight_std"'
    for gain in gains if layers else ():
        yield from tried(draft, Set("weight_gain", [*layers], _rounded(gain, digits), now))


def _scales(draft: Draft) -> Iterator[Change]:
    """Yield one factor for all residuals: 1, and such that the branches of all N together add about
    as much to the stream as it has, or half of that, where each preserves the signal. Then yield
    shortcuts as they are."""
    found = _of(draft, Residual)
    if not found:
        return
    count = sum(row.layer.kind == Residual.kind for row in draft.network.rows())
    scales = (1.0, 1.0 / math.sqrt(count), 1.0 / math.sqrt(2 * count))
    yield from _of_all(draft, "scale", scales, {n: own.scale for n, own in found.items()})
    yield from _of_all(draft, "skip", (1.0,), {n: own.skip for n, own in found.items()})


def _factors(draft: Draft) -> Iterator[Change]:
    """Yield one factor for all scale layers, those nearest to 1 first."""
    found = {name: own.factor for name, own in _of(draft, Scale).items()}
    yield from _of_all(draft, "factor", _around_one(), found)


def _of_all(
    draft: Draft, key: str, values: Iterable[float], found: Mapping[str, float]
) -> Iterator[Change]:
    """Yield the network with each of the `values` for a key of the layers `found`, by their names,
    the values that they have. Those that have it already are not named."""
    for value in map(_rounded, values):
        others = {name: own for name, own in found.items() if own != value}
        if others:
            yield from tried(draft, Set(key, [*others], value, _range(others.values())))


def _rates(draft: Draft) -> Iterator[Change]:
    """Yield one smaller rate for all layers with dropout."""
    found = {name: getattr(layer, "rate", 0.0) for name, layer in _layers(draft)}
    rates = {name: rate for name, rate in found.items() if rate > 0}
    for part in RATES if rates else ():
        value = _rounded(part * min(rates.values()))
        yield from tried(draft, Set("rate", [*rates], value, _range(rates.values())))


def _norms(draft: Draft) -> Iterator[Change]:
    """Yield a layer norm at the start of every branch, or of every repeated block where there are
    no residuals; and one after every sum. Not where that would change what numbers stand for."""
    residuals = [*_of(draft, Residual)]
    holders = residuals or [name for name, _ in repeated(draft)]
    plain = [name for name in holders if not _begins_with_norm(draft.places[name].layer)]
    for clause in (Begin(plain), PutAfter(residuals)):
        edits = [edit for edit in clause.edits(draft) if isinstance(edit, Inserted)]
        if not any(counted_from(draft.table(edit.path), edit.number) for edit in edits):
            yield from tried(draft, clause)


def _widths(draft: Draft) -> Iterator[Change]:
    """Yield wider layers of every kind that has a width, all but a last one, which is the read-out:
    by the same factor, so that sums still fit; and these with an input that is as much wider."""
    network = draft.network
    sized = {name: width for name, own in _layers(draft) if (width := _width(own))}
    if _width(network.block.entries[-1].layer):
        sized.popitem()
    for factor in WIDER if sized else ():
        yield from tried(draft, Multiply({"width": sized}, factor))
        if not network.input.tokens:
            channels = {INPUT: network.input.channels}
            yield from tried(draft, Multiply({"width": sized, CHANNELS: channels}, factor))


def _of(draft: Draft, kind: type[Kind]) -> dict[str, Kind]:
    """Return the layers of a kind, by name."""
    return {name: layer for name, layer in _layers(draft) if isinstance(layer, kind)}


def _layers(draft: Draft) -> Iterator[tuple[str, Layer]]:
    return ((name, place.layer) for name, place in draft.places.items())


def _begins_with_norm(layer: Layer) -> bool:
    return isinstance(layer, Residual | Block) and isinstance(layer.entries[0].layer, Norm)


def _rounded(value: float, digits: int = DIGITS) -> float:
    return float(f"{value:.{digits}g}")


def _width(layer: Layer) -> int:
    """Return the units that a layer is given, 0 for one whose input decides that."""
    return getattr(layer, "width", 0) if "width" in options_of(type(layer)) else 0


def _range(values: Iterable[float]) -> str:
    low, *_, high = sorted([*values] * 2)
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
