"""Theory of turns that are not followed one by one, at the nodes of a stretch: see `layers.folded`.

What `walk` writes of the layers of one turn is a smooth function of the number of the turn, as the
signal is. Where it is not, all turns are followed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.folded import EXACT, FEW_DIGITS, Accuracy, Fold, RoughError
from snstat.layers.no_theory import NoTheory
from snstat.layers.signal import Slope, Step
from snstat.layers.spread import Average, Given, Spread

# What the fluctuations of the Gaussian of a sum have that does not depend on those before it.
_RENEWED = [Given._fields.index(name) for name in ("share", "pinned", "pinned_pair", "centred")]
# These write what they find of the layers of one turn with these steps to an array (…, layers).
Write = Callable[[Sequence[Step], FloatArray], None]
Back = Callable[[Sequence[Step], Slope, FloatArray], Slope]
Onward = Callable[[int, Sequence[Step], Spread, FloatArray], Spread | NoTheory]


def forward_through(fold: Fold, write: Write, out: FloatArray) -> None:
    """Write the moments of all layers of a fold to `out`, (columns, layers)."""
    rows = _rows(fold, out)
    for steps, row in zip(fold.steps, rows, strict=True):
        write(steps, row)
    try:
        _spread_out(fold, rows, out)
    except RoughError:
        for number, own in _turns(fold, out):
            write(fold.at(number), own)


def back_through(fold: Fold, back: Back, slope: Slope, out: FloatArray) -> Slope:
    """Return the slope before a fold, given that after it, and write ln of the squared norms of
    gradients to `out`, (layers,)."""
    try:
        return _back(fold, back, slope, out)
    except RoughError:
        for number, own in reversed(_turns(fold, out)):
            slope = back(fold.at(number), slope, own)
        return slope


def onward_through(
    fold: Fold, onward: Onward, before: Spread, out: FloatArray
) -> Spread | NoTheory:
    """Return the spread after a fold, given that before it, or why it is not known, and write
    those of all layers to `out`, (columns, layers)."""
    try:
        return _onward(fold, onward, before, out)
    except RoughError:
        after, response, detailed = before, 1.0, False
        for number, own in _turns(fold, out):
            found = onward(number, fold.at(number), after, own)
            if isinstance(found, NoTheory):
                out[:, (number - fold.stretch.first) * own.shape[1] + own.shape[1] :] = math.nan
                return found
            response *= found.responses[0]
            after, detailed = found, detailed or found.detailed
        return after._replace(responses=(response,), detailed=detailed)


def _turns(fold: Fold, out: FloatArray) -> list[tuple[int, FloatArray]]:
    """Return the turns, and the part of `out`, (…, layers), that each writes to."""
    numbers = range(fold.stretch.first, fold.stretch.end)
    size = out.shape[-1] // len(numbers)
    return [(n, out[..., i * size : (i + 1) * size]) for i, n in enumerate(numbers)]


def _back(fold: Fold, back: Back, slope: Slope, out: FloatArray) -> Slope:
    stretch = fold.stretch
    turns = stretch.end - stretch.first
    whole = out.reshape(turns, -1)
    last = back(fold.at(stretch.end - 1), slope, whole[-1])
    # The same from turn to turn, but for its scale.
    unit = replace(last, log=0.0)
    rows = np.empty((len(fold.steps), whole.shape[1] + 1))
    for steps, row in zip(fold.steps, rows, strict=True):
        before = back(steps, unit, row[:-1])
        if not before.repeats(unit):
            raise RoughError
        row[-1] = before.log
    found = stretch.of_nodes(rows)[:-1]
    # Gradients after each turn, from the last but one on.
    after = last.log + np.concatenate([[0.0], np.cumsum(found[::-1, -1])])
    whole[:-1] = found[:, :-1] + after[-2::-1, None]
    return replace(last, log=float(after[-1]))


def _onward(fold: Fold, onward: Onward, before: Spread, out: FloatArray) -> Spread:
    place = {number: n for n, number in enumerate(fold.stretch.nodes)}
    rows, responses = _rows(fold, out), np.empty(len(place))
    unknown, detailed = np.isnan(_numbers(before)), False
    renewed = [5 + n for n in _RENEWED] if before.given is not None else []

    def advance(numbers: Sequence[int], states: FloatArray) -> FloatArray:
        nonlocal detailed
        added = []
        for number, state in zip(numbers, states, strict=True):
            n = place[number]
            own = _spread(np.where(unknown, math.nan, state), before)
            after = onward(number, fold.steps[n], own, rows[n])
            if isinstance(after, NoTheory) or not _alike(after, before):
                raise RoughError
            numbers_after = _numbers(after)
            if not np.array_equal(np.isnan(numbers_after), unknown):
                raise RoughError
            (responses[n],) = after.responses
            detailed = detailed or after.detailed
            more = np.where(unknown, 0.0, numbers_after)
            kept = more[renewed]
            more -= state
            more[renewed] = kept
            added.append(more)
        return np.array(added)

    start = np.where(unknown, 0.0, _numbers(before))
    states = fold.stretch.followed(start, advance, FEW_DIGITS, renewed)
    if not np.all(responses > 0):
        raise RoughError
    response = math.exp(float(np.log(fold.stretch.of_nodes(responses, FEW_DIGITS)).sum()))
    _spread_out(fold, rows, out, FEW_DIGITS)
    found = _spread(np.where(unknown, math.nan, states[-1]), before)
    return found._replace(responses=(response,), detailed=detailed)


def _rows(fold: Fold, out: FloatArray) -> FloatArray:
    """Return an array for the layers of the turns at nodes, (nodes, columns, layers)."""
    size = out.shape[1] // (fold.stretch.end - fold.stretch.first)
    return np.empty((len(fold.steps), len(out), size))


def _spread_out(fold: Fold, rows: FloatArray, out: FloatArray, accuracy: Accuracy = EXACT) -> None:
    found = fold.stretch.of_nodes(rows, accuracy)
    out.reshape(len(out), *found.shape[::2])[...] = found.swapaxes(0, 1)


def _alike(one: Spread, other: Spread) -> bool:
    """Return whether the same is known of both."""
    parts = (one.given, other.given), (one.average, other.average)
    return all((a is None) == (b is None) for a, b in parts)


def _numbers(spread: Spread) -> FloatArray:
    return np.array([*spread[:5], *(spread.given or ()), *(spread.average or ())])


def _spread(numbers: FloatArray, like: Spread) -> Spread:
    own = numbers.tolist()
    given = average = None
    if like.given is not None:
        given = Given(*own[5 : 5 + len(Given._fields)])
    if like.average is not None:
        average = Average(*own[-len(Average._fields) :])
    variance, pair, bias, residual, fourth = own[:5]
    return Spread(variance, pair, bias, residual, fourth, given, average)
