"""The structure of a function, found from its values: kinks, flat parts and ends.

Theory integrates an activation on panels between its kinks and on both sides of 0. For a user's
functions the panels are verified: φ and φ′ must be polynomials there, to rounding. Beyond the first
panel where they are not, the functions count as unknown (NaN), and so does every expectation that
needs them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from snstat.activation.base import Asymptote, FloatArray

Function = Callable[[FloatArray], FloatArray]

# The largest |x| that is examined, and the |x| where cells of equal width end.
_FARTHEST, _NEAR = 2.0**29, 24.0
# The width of cells. No kink at a short number falls on an edge of a cell.
_CELL = 0.7071067811865476
# Theory uses 20 points in a panel: a polynomial of degree 19 and its square are exact.
_POINTS, _NODES = 20, 24
_RESOLVED = 1e-12
# The most halvings of a cell, the most cells, and the width of a cell that holds a kink.
_HALVINGS, _MOST_CELLS, _NARROW = 46, 1200, 1e-5
_MOST_KINKS = 16
# The values of `bend` that are tried, and the edges of panels in units of it. Poles of tanh
# lie π/2 from the origin: panels grow in proportion to the distance from 0.
_BENDS = (1.0, 0.25, 0.0625, 0.015625)
_EVENLY = tuple(6.0 * k for k in range(-8, 9))
GRADED = (0.0, 1.0, 2.0, 3.0, 4.5, 6.5, 9.0, 13.0, 18.0, 36.0)
# Relative tolerance to which φ must be the integral of φ′ and have no jumps.
_CONSISTENT = 1e-9
# Slopes and levels at an end that differ relatively by less than this have a limit there.
_LEVEL = 1e-3
# The range in which saturation is looked for.
_STEEP = 50.0


@dataclass(frozen=True, slots=True)
class Structure:
    """What theory needs of an activation; see `Activation`. Functions are known within ±`reach`;
    `doubt` says why not beyond."""

    kinks: tuple[float, ...]
    flat: tuple[tuple[float, float], ...]
    left: Asymptote | None
    right: Asymptote | None
    slopes: tuple[float, float]
    bend: float
    reach: float
    doubt: str

    def within(self, function: Function) -> Function:
        """Return `function`, with NaN where it is unknown."""
        if self.reach == math.inf:
            return function

        def limited(x: FloatArray) -> FloatArray:
            x = np.asarray(x, np.float64)
            inside = np.abs(x) <= self.reach
            return np.where(inside, function(np.where(inside, x, 0.0)), math.nan)

        return limited

    def underflow(self, dphi: Callable[[Any], Any]) -> float:
        """Return the least |x| at which φ′ is 0 outside of the flat parts, in either dtype."""
        found = self.reach
        size = np.concatenate([np.linspace(1e-3, _NEAR, 2000), np.geomspace(_NEAR, _FARTHEST, 500)])
        for x in (size, -size, size.astype(np.float32), -size.astype(np.float32)):
            zero = dphi(x) == 0
            for low, high in self.flat:
                zero &= (x < low) | (x > high)
            found = min(found, float(np.abs(x[zero]).min(initial=math.inf)))
        return found


def structure_of(phi: Function, dphi: Function) -> Structure:
    """Return the structure of a function from values of it and of its derivative."""
    both = (phi, dphi)
    scales = tuple(_scale(function) for function in both)
    found = _kinks(both, scales)
    verified = [_verified(both, scales, found, bend) for bend in _BENDS]
    (reach, doubt), bend = max(
        zip(verified, _BENDS, strict=True), key=lambda pair: (pair[0][0], pair[1])
    )
    # Edges of panels do no harm if there is no kink.
    kinks = tuple(sorted({-bend, 0.0, bend, *found}))
    if reach < _STEEP:  # such as a sine, which curves everywhere
        evenly = tuple(sorted({*kinks, *_EVENLY}))
        further, why = _verified(both, scales, evenly, bend)
        if further > reach:
            kinks, reach, doubt = evenly, further, why
    if not math.isfinite(reach) or reach < 2.0 * bend:
        return Structure((-1.0, 0.0, 1.0), (), None, None, (0.0, 0.0), 1.0, 0.0, doubt)
    left = right = None
    if reach >= _STEEP:
        left, right = (_end(both, sign * reach, scales[0]) for sign in (-1.0, 1.0))
    slopes = (_slope(dphi, -reach), _slope(dphi, reach))
    return Structure(kinks, _flat(dphi, found, reach), left, right, slopes, bend, reach, doubt)


def _scale(function: Function) -> float:
    """Return the size of a function near 0, relative to which errors are measured."""
    values = np.abs(function(np.linspace(-4.03, 4.01, 201)))
    return float(np.max(np.where(np.isfinite(values), values, 0.0), initial=0.0)) or 1.0


def _nodes(count: int) -> FloatArray:
    return -np.cos(math.pi * (np.arange(count) + 0.5) / count)


def _resolved(
    functions: tuple[Function, ...], scales: tuple[float, ...], low: FloatArray, high: FloatArray
) -> np.ndarray:
    """Return for every interval (intervals,) whether the functions are polynomials on it."""
    node = _nodes(_NODES)
    order = np.arange(_NODES)
    transform = np.cos(np.outer(order, math.pi * (order + 0.5) / _NODES)) * (2.0 / _NODES)
    x = (0.5 * (low + high))[:, None] + (0.5 * (high - low))[:, None] * -node
    result = np.ones(low.size, np.bool_)
    for function, scale in zip(functions, scales, strict=True):
        values = function(x)
        size = np.maximum(np.abs(values).max(axis=1), scale)
        with np.errstate(all="ignore"):
            tail = np.abs((values / size[:, None]) @ transform[_POINTS:].T).max(axis=1)
        result &= tail <= _RESOLVED  # False for NaN
    return result


def _kinks(functions: tuple[Function, ...], scales: tuple[float, ...]) -> tuple[float, ...]:
    """Return the points around which halved intervals never resolve the functions."""
    inner = np.arange(0.31 * _CELL, _NEAR, _CELL)
    outer = inner[-1] * 1.9 ** np.arange(1.0, 12.0)
    edges = np.concatenate([-outer[::-1], -inner[::-1], inner + 0.1, outer])
    low, high = edges[:-1], edges[1:]
    narrow: list[tuple[float, float]] = []
    for _ in range(_HALVINGS):
        fine = _resolved(functions, scales, low, high)
        small = high - low < _NARROW
        narrow += zip(low[small & fine].tolist(), high[small & fine].tolist(), strict=True)
        low, high = low[~fine], high[~fine]
        if low.size > _MOST_CELLS:  # cells that far out are dropped
            nearest = np.argsort(np.minimum(np.abs(low), np.abs(high)))[: _MOST_CELLS // 2]
            low, high = low[nearest], high[nearest]
        middle = 0.5 * (low + high)
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
    narrow += zip(low.tolist(), high.tolist(), strict=True)
    return tuple(_points(sorted(narrow)))[:_MOST_KINKS]


def _points(cells: list[tuple[float, float]]) -> list[float]:
    """Return one point for each group of adjacent cells: a short number if there is one."""
    groups: list[list[tuple[float, float]]] = []
    for cell in cells:
        if groups and cell[0] - groups[-1][-1][1] <= _NARROW:
            groups[-1].append(cell)
        else:
            groups.append([cell])
    found = []
    for group in groups:
        width = min(high - low for low, high in group)
        finest = [cell for cell in group if cell[1] - cell[0] <= 1.5 * width]
        low, high = finest[0][0] - width, finest[-1][1] + width
        middle = 0.5 * (low + high)
        short = (round(middle, digits) + 0.0 for digits in range(13))
        found.append(next((value for value in short if low <= value <= high), middle))
    return found


def panels(kinks: tuple[float, ...], bend: float) -> FloatArray:
    """Return the edges of the panels on which theory integrates, from −`_FARTHEST` on."""
    positive = [edge * bend for edge in GRADED]
    while positive[-1] < _FARTHEST:
        positive.append(2.0 * positive[-1])
    return np.array(sorted({*kinks, *positive, *(-edge for edge in positive)}))


def _verified(
    functions: tuple[Function, ...],
    scales: tuple[float, ...],
    kinks: tuple[float, ...],
    bend: float,
) -> tuple[float, str]:
    """Return the |x| up to which every panel is resolved and φ is the integral of φ′, and what is
    wrong beyond ("" for nothing)."""
    edges = panels(kinks, bend)
    low, high = edges[:-1], edges[1:]
    resolved = _resolved(functions, scales, low, high)
    phi, dphi = functions
    node, weight = np.polynomial.legendre.leggauss(_POINTS)
    half = 0.5 * (high - low)
    inside_low, inside_high = low + 1e-9 * half, high - 1e-9 * half
    x = (0.5 * (low + high))[:, None] + half[:, None] * node
    with np.errstate(all="ignore"):
        change = half * (dphi(x) @ weight)
        start, end = phi(inside_low), phi(inside_high)
        size = np.maximum(np.abs(phi(x)).max(axis=1), scales[0]) + np.abs(half * scales[1])
        integral = np.abs(end - start - change) <= 20.0 * _CONSISTENT * size
        # Jumps at the edges of panels.
        above, below = phi(np.nextafter(edges, math.inf)), phi(np.nextafter(edges, -math.inf))
        whole = np.abs(above - below) <= _CONSISTENT * np.maximum(np.abs(above), scales[0])
    good = resolved & integral & whole[:-1] & whole[1:]
    if good.all():
        return _FARTHEST, ""
    near = np.minimum(np.abs(low), np.abs(high))
    first = int(np.argmin(np.where(good, math.inf, near)))
    doubt = _not_finite(functions, x[first])
    if not doubt and resolved[first] and not integral[first]:
        doubt = "dphi is not the derivative of phi"
    elif not doubt and resolved[first]:
        edge = first if not whole[first] else first + 1
        doubt = _not_finite((phi,), np.nextafter(edges[edge], [-math.inf, math.inf]))
        doubt = doubt or f"phi jumps at {edges[edge]:.3g}"
    return float(near[first]), doubt or "phi or dphi is not smooth between a few kinks"


def _not_finite(functions: tuple[Function, ...], x: FloatArray) -> str:
    """Return where a function is not finite at points `x`, the nearest to 0, "" for nowhere."""
    x = x[np.argsort(np.abs(x))]
    for name, function in zip(("phi", "dphi"), functions, strict=False):
        values = function(x)
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            return f"{name} is {values[bad[0]]:g} at {x[bad[0]]:.3g}"
    return ""


def _flat(
    dphi: Function, kinks: tuple[float, ...], reach: float
) -> tuple[tuple[float, float], ...]:
    """Return the intervals between kinks on which φ′ is exactly 0."""
    edges = [-math.inf, *kinks, math.inf]
    found: list[tuple[float, float]] = []
    for low, high in pairwise(edges):
        first, last = max(low, -reach), min(high, reach)
        # Points are dense near both ends, because an interval may be long.
        share = np.geomspace(1e-6, 0.5, 60)
        x = np.concatenate([first + (last - first) * share, last - (last - first) * share])
        if low == -math.inf and high == math.inf:
            x = np.linspace(-10.0, 10.0, 101)
        if first >= last or np.any(dphi(x) != 0):
            continue
        if found and found[-1][1] == low:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return tuple(found)


def _slope(dphi: Function, end: float) -> float:
    """Return the limit of φ′ at an end, infinity if there is none."""
    near, far = (float(dphi(np.array([0.999 * end * part]))[0]) for part in (0.5, 1.0))
    return far if abs(far - near) <= _LEVEL * max(abs(far), 1e-3) else math.inf


def _end(functions: tuple[Function, ...], end: float, scale: float) -> Asymptote | None:
    """Return the horizontal asymptote at an end, None if there is none."""
    phi = functions[0]
    level, before = (float(phi(np.array([0.999 * end * part]))[0]) for part in (1.0, 0.25))
    if not abs(level - before) <= _LEVEL * max(abs(level), scale):
        return None
    return Asymptote(level, lambda x: phi(np.asarray(x, np.float64)) - level)
