"""Fluctuations of sums and concatenations, from those of their parts.

Parts fluctuate together where they follow the same sources (`Spread.sources`). See
docs/finite-width.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, permutations

from snstat.layers.law import GAUSSIAN, ZERO, Masked, is_masked
from snstat.layers.no_theory import ON_GRID, STILL, NoTheory
from snstat.layers.signal import Signal, Step
from snstat.layers.spread import Average, Given, Spread


def after_sum(step: Step, inputs: Sequence[Spread], factors: Sequence[float]) -> Spread | NoTheory:
    """Return the fluctuations of the sum of signals times `factors`.

    Or why not: a summand comes twice, or two have units whose sign does not come from weights or
    masks of their own, or one that depends on the signs of another: the mean of products is not
    known.
    """
    signals, total = step.inputs, float(step.signal.same.flat[0])
    if step.signal.mean.size > 1:
        return NoTheory(ON_GRID)
    if not total > 0:
        return NoTheory(STILL)
    if len({id(signal) for signal in signals}) < len(signals):
        return NoTheory("one layer is added to itself")
    odd = [x for x, signal in zip(inputs, signals, strict=True) if not _symmetric(signal)]
    if len(odd) > 1 or any(_sees(odd[0], y) for y in inputs if odd and y is not odd[0]):
        return NoTheory("products of two summands have a mean that is not known")
    units = step.signal.shape.channels
    shares = [c * c * float(x.same[0, 0]) / total for x, c in zip(signals, factors, strict=True)]
    variance, pair = _combined(shares, inputs)
    # The mean of products of two summands.
    for (one, a), (two, b) in combinations(zip(signals, shares, strict=True), 2):
        variance += 4.0 * a * b / units
        pair += 4.0 * a * b * _cosine(one) * _cosine(two) / units
    fourth = _weighted([a * a for a in shares], [x.fourth for x in inputs])
    fourth += 6.0 * sum(a * b for a, b in combinations(shares, 2))
    found = Spread(
        variance,
        pair,
        _weighted(shares, [x.bias for x in inputs]),
        _weighted(shares, [x.residual for x in inputs]),
        fourth,
        average=_average(signals, inputs, shares, factors, units),
        responses=tuple(shares),
        detailed=True,
    )
    if any(signal.law != GAUSSIAN for signal in signals):
        return found
    return found._replace(
        given=_given(inputs, shares, [_cosine(x) for x in signals], found, step.signal)
    )


def after_concat(step: Step, inputs: Sequence[Spread]) -> Spread | NoTheory:
    """Return the fluctuations of the units of all parts together."""
    total = float(step.signal.same.flat[0])
    if step.signal.mean.size > 1:
        return NoTheory(ON_GRID)
    if not total > 0:
        return NoTheory(STILL)
    units = step.signal.shape.channels
    parts = [signal.shape.channels / units for signal in step.inputs]
    sizes = [float(signal.same[0, 0]) / total for signal in step.inputs]
    shares = [part * size for part, size in zip(parts, sizes, strict=True)]
    variance, pair = _combined(shares, inputs)
    return Spread(
        variance,
        pair,
        _weighted(shares, [x.bias for x in inputs]),
        _weighted(shares, [x.residual for x in inputs]),
        _weighted([a * b for a, b in zip(shares, sizes, strict=True)], [x.fourth for x in inputs]),
        responses=tuple(shares),
    )


def _symmetric(signal: Signal) -> bool:
    """Return whether each unit has either sign alike, whatever other signals are."""
    masked = is_masked(signal.law) and Masked.of(signal.law).symmetric
    return signal.law in (GAUSSIAN, ZERO) or masked


def _sees(x: Spread, y: Spread) -> bool:
    """Return whether x depends on the units of y beyond their mean square, as on their mean."""
    return any(y.own in source.seen for source in x.sources)


def _cosine(signal: Signal) -> float:
    square = float(signal.same[0, 0])
    return 1.0 - float(signal.gap[0, 0]) / square if square > 0 else 0.0


def _weighted(weights: Sequence[float], values: Sequence[float]) -> float:
    """Return the sum of `values` times `weights`; those without weight may be NaN."""
    return sum(a * x for a, x in zip(weights, values, strict=True) if a)


def _combined(shares: Sequence[float], inputs: Sequence[Spread]) -> tuple[float, float]:
    """Return the relative variance of the sum of mean squares, of one sample and of two."""
    weights = [a * a for a in shares]
    variance = _weighted(weights, [x.variance for x in inputs])
    pair = _weighted(weights, [x.pair for x in inputs])
    for (one, a), (two, b) in combinations(zip(inputs, shares, strict=True), 2):
        if a * b:
            together, apart = one.shared(two)
            variance += 2.0 * a * b * together
            pair += 2.0 * a * b * apart
    return variance, pair


def _average(
    signals: Sequence[Signal],
    inputs: Sequence[Spread],
    shares: Sequence[float],
    factors: Sequence[float],
    units: int,
) -> Average | None:
    """Return the fluctuations of the mean over units. That of symmetric summands follows nothing;
    there is at most one that is not symmetric."""
    roots = [math.copysign(math.sqrt(a), c) for a, c in zip(shares, factors, strict=True)]
    found = [x.average for x in inputs]
    known = [x for x in found if x is not None]
    if len(known) < len(found):
        return None
    third = _weighted([root**3 for root in roots], [x.third for x in known])
    covariance = 0.0
    for place, (signal, x, a, root) in enumerate(zip(signals, inputs, shares, roots, strict=True)):
        if _symmetric(signal) or not a:
            continue
        mean = float(signal.mean[0]) / math.sqrt(float(signal.same[0, 0]))
        others = [(y, b) for n, (y, b) in enumerate(zip(inputs, shares, strict=True)) if n != place]
        # E[x y²], and E[y · xy]/n.
        third += 3.0 * root * mean * (1.0 - a)
        covariance += root * 2.0 * mean * (1.0 - a) / units
        followed = a + sum(b * _follows(y, x) for y, b in others)
        covariance += root * followed * known[place].covariance
    return Average(
        _weighted(roots, [x.shift for x in known]),
        _weighted([abs(root) for root in roots], [x.residual for x in known]),
        _weighted(shares, [x.variance for x in known]),
        _weighted(shares, [x.pair for x in known]),
        covariance,
        third,
        max(x.size for x in known),
    )


def _follows(y: Spread, x: Spread) -> float:
    """Return by how much y follows x, NaN where it also follows what x does."""
    if len(x.sources) == 1:
        return y.sources.get(x.own, 0.0) / x.sources[x.own]
    return math.nan if any(y.sources.get(source) for source in x.sources) else 0.0


def _given(
    inputs: Sequence[Spread],
    shares: Sequence[float],
    cosines: Sequence[float],
    found: Spread,
    signal: Signal,
) -> Given | None:
    """Return the fluctuations of q of a sum of Gaussian summands.

    What a summand follows the units of another by, beyond the q of that, acts as a fourth cumulant.
    """
    known = [x.given for x in inputs if x.given is not None]
    if len(known) < len(inputs) or any(g.centred for g in known):
        return None
    # One whose q depends on the units of another beyond their mean square: E[φ²] does as well.
    if any(_sees(y, x) for x, y in permutations(inputs, 2)):
        return None
    weights, units = [a * a for a in shares], signal.shape.channels
    # What the summands fluctuate by given their q: each, both, and one that follows the other.
    parts = list(zip(inputs, known, shares, strict=True))
    own = _weighted(weights, [x.variance - g.variance for x, g, _ in parts])
    own_pair = _weighted(weights, [x.pair - g.pair for x, g, _ in parts])
    followed = 0.0
    for (x, g, a), (y, _, b) in permutations(parts, 2):
        follows = 2.0 * a * b * y.sources.get(x.own, 0.0) / x.sources[x.own]
        followed += follows * (x.variance - g.variance)
        own_pair += follows * (x.pair - g.pair)
    for (a, c), (b, d) in combinations(zip(shares, cosines, strict=True), 2):
        own += 4.0 * a * b / units
        own_pair += 4.0 * a * b * c * d / units
    own += followed
    cosine = _cosine(signal)
    pinned = pinned_pair = 1.0 - 0.5 * units * own
    if cosine:
        pinned_pair = 1.0 - 0.5 * units * own_pair / cosine**2
    return Given(
        1.0,
        pinned,
        _weighted(shares, [g.uniform for g in known]),
        found.variance - own,
        found.pair - own_pair,
        _weighted(shares, [g.bias for g in known]),
        _weighted(weights, [g.shape for g in known]) + followed,
        _weighted(shares, [g.residual for g in known]),
        pinned_pair,
    )
