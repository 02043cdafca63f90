"""The density of the singular values of a Jacobian, and the largest, from the S-transform.

With M(z) = z G(z) − 1 for the resolvent G of JJᵀ, M S(M)/(1 + M) = 1/z. S needs of every layer the
ω with E[d/(ω − d)] = u at u = N_L M/N_l: then S_{D²}(u) = (1 + u)/(u ω). On the negative real axis
all of these are real, and ω < 0 is monotone, so bisection finds it. From there they are followed
along circles in the upper half-plane to the positive real axis, where −Im M/π is the density of
ln z. There M and all ω stay in the half-planes where the logarithms below have one branch, because
ω is a subordination function (Belinschi and Bercovici, Journal d'Analyse Mathématique 101, 2007).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from snstat.gaussian.quadrature import FloatArray
from snstat.theory.jacobian import Factor, rank, shown

Complex = npt.NDArray[np.complex128]

# Values of a law of slopes in all groups together, and groups of layers whose slopes differ.
_VALUES, _GROUPS = 256, 8
_POINTS = 160
# The path ends at this angle to the real axis; the density at twice that removes what it smooths.
_ANGLE, _STEPS, _NEWTON = 0.008, 56, 5
# Halvings of the range of ln of a gap.
_BISECTIONS, _RANGE = 60, 60.0
# How far beyond the edge the density is followed, in ln of squared singular values.
_BEYOND = 0.02
# The share of values below the range of the density.
BELOW = 1e-3
# A step after which no other is taken.
_CLOSE = 1e-8
# The size of the last step where an equation counts as solved, and the share that has to be: single
# values, such as the largest, may have a probability of their own.
_RESOLVED, _MOSTLY = 1e-6, 0.9


def grouped(layers: Sequence[Factor]) -> list[Factor]:
    """Return layers with few different laws of slopes, and few values in each.

    Neighbours whose laws are much alike get that of the middle one, with the mean of all: gains are
    changed for it.
    """
    tolerance, groups = 1e-3, list[list[Factor]]()
    while True:
        groups = []
        for own in layers:
            if groups and _near(groups[-1][0], own, tolerance):
                groups[-1].append(own)
            else:
                groups.append([own])
        if len(groups) <= _GROUPS or tolerance > 1.0:
            break
        tolerance *= 2.0
    most = max(_VALUES // len(groups), 24)
    return [_middle(group, most) for group in groups]


def _middle(group: Sequence[Factor], most: int) -> Factor:
    counts = np.array([own.count for own in group])
    logs = np.log([own.square_gain * own.slopes.mean for own in group])
    spreads = np.array([own.slopes.spread for own in group])
    own = group[int(np.argmin(np.abs(spreads - counts @ spreads / counts.sum())))]
    gain = math.exp(float(counts @ logs) / counts.sum()) / own.slopes.mean
    slopes = own.slopes.merged(most)
    return replace(own, slopes=slopes, square_gain=gain, count=int(counts.sum()))


def _near(one: Factor, other: Factor, tolerance: float) -> bool:
    same = (one.after, one.before, one.orthogonal) == (other.after, other.before, other.orthogonal)
    first, second = one.slopes, other.slopes
    return same and all(
        abs(a - b) <= tolerance * (a + b)
        for a, b in (
            (1.0 + first.spread, 1.0 + second.spread),
            (1.0 - first.zero, 1.0 - second.zero),
        )
    )


def log_largest(layers: Sequence[Factor]) -> float | None:
    """Return ln of the largest squared singular value, the upper edge of the spectrum; None where
    slopes are not bounded. It is the minimum of z(M) = (1 + M)/(M S(M)) over M > 0."""
    from scipy.optimize import minimize_scalar

    if not all(own.slopes.bounded for own in layers):
        return None

    def log_z(log_m: float) -> float:
        m = np.array([math.exp(log_m)])
        total = sum(own.count * float(_log_s(own, m)[0][0]) for own in layers)
        return math.log1p(float(m[0])) - log_m - total

    # Beyond the first bound the edge is that of a product without spread.
    found = minimize_scalar(log_z, bounds=(-12.0, 14.0), method="bounded", options={"xatol": 1e-10})
    return float(found.fun)


def _log_s(own: Factor, m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return ln of the S-transform of one layer at real M > 0, or −rank < M < 0, and ω; arrays as
    M."""
    u = own.after * m
    omega = _omega(own, u)
    found = np.log1p(u) - np.log(np.abs(u)) - np.log(np.abs(omega))
    return found - _weights(own, m)[0].real, omega


def _omega(own: Factor, u: FloatArray) -> FloatArray:
    """Return the real ω with E[d/(ω − d)] = u, all u of one sign: above all d for u > 0, below 0
    for u < 0."""
    d, p = own.slopes.squares, own.slopes.weights
    top, above = float(d[-1]), bool(u[0] > 0)
    # ln of the gap between ω and the nearest end of the range of slopes.
    low = np.full(u.shape, math.log(top) - _RANGE)
    high = np.full(u.shape, math.log(top) + _RANGE)
    away = top - d if above else d
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        larger = (1.0 / (np.exp(middle)[:, None] + away)) @ (p * d) > np.abs(u)
        low, high = np.where(larger, middle, low), np.where(larger, high, middle)
    gap = np.exp(0.5 * (low + high))
    found: FloatArray = top + gap if above else -gap
    return found


def log_density(layers: Sequence[Factor], log_edge: float) -> tuple[FloatArray, FloatArray] | None:
    """Return ln σ ascending, and the density of ln σ over all singular values, each (points,).

    It begins where a share of 1e-3 is below and ends at the largest; values that are exactly 0 are
    not in it. None where the equations are not solved.

    `log_edge` is what `log_largest` returns. The error is about a hundredth near edges, less
    elsewhere.
    """
    log_x, m, omegas = _start(layers, log_edge)
    for angle in np.geomspace(math.pi, 2.0 * _ANGLE, _STEPS):
        m, omegas, _ = _solved(layers, log_x, float(angle), m, omegas)
    twice = m
    for angle in np.geomspace(2.0 * _ANGLE, _ANGLE, 4)[1:]:
        m, omegas, error = _solved(layers, log_x, float(angle), m, omegas)
    good = error < _RESOLVED
    if np.count_nonzero(good) < _MOSTLY * len(good):
        return None
    # By ln σ = ½ ln z, and over the singular values instead of the units of the last layer.
    density = -(2.0 * m.imag - twice.imag) * (2.0 / math.pi) * shown(layers)
    density = np.interp(log_x, log_x[good], np.maximum(density[good], 0.0))
    return 0.5 * log_x, density


def _start(layers: Sequence[Factor], log_edge: float) -> tuple[FloatArray, Complex, list[Complex]]:
    """Return ln x of squared singular values, ascending, finer near the largest, and M and all ω at
    −x. There ln x is a function of M that needs no search."""
    total = rank(layers)
    least = min(BELOW / total, 0.1)
    ends = np.geomspace(1e-9, 0.5, _POINTS)
    part = np.concatenate([ends, 1.0 - ends[-2::-1]])  # −M/rank, ascending
    m = -total * part
    found = [_log_s(own, m) for own in layers]
    log_x = np.log1p(m) - np.log(-m)
    log_x -= sum(own.count * logs for own, (logs, _) in zip(layers, found, strict=True))
    low = float(np.interp(1.0 - least, part, log_x))
    steps = np.linspace(1.0, 0.0, _POINTS)
    x = log_edge + _BEYOND - max(log_edge - low, 2.0) * steps**2
    # Descending in M: np.interp wants ascending places.
    order = np.argsort(log_x)
    start = -np.exp(np.interp(x, log_x[order], np.log(-m)[order]))
    near = [-np.exp(np.interp(x, log_x[order], np.log(-omega)[order])) for _, omega in found]
    return x, start.astype(complex), [omega.astype(complex) for omega in near]


def _solved(
    layers: Sequence[Factor],
    log_x: FloatArray,
    angle: float,
    m: Complex,
    omegas: Sequence[Complex],
) -> tuple[Complex, list[Complex], FloatArray]:
    """Return M and all ω at z = x·exp(i angle), from those at an angle nearby, by Newton's method,
    and the size of the last step."""
    right = log_x + 1j * (angle - math.pi)  # ln(−z)
    size = np.zeros(len(m))
    found = list(omegas)
    for _ in range(_NEWTON):
        value = np.log(-m) - np.log(1.0 + m) + right
        slope = 1.0 / m - 1.0 / (1.0 + m)
        inner = []
        for own, omega in zip(layers, found, strict=True):
            d, p, c = own.slopes.squares, own.slopes.weights, own.after
            share = 1.0 / (omega[:, None] - d)
            rest = c * m - share @ (p * d)
            back = -((share * share) @ (p * d))
            value += own.count * (np.log(1.0 + c * m) - np.log(-c * m) - np.log(-omega))
            slope += own.count * (c / (1.0 + c * m) - 1.0 / m)
            weights, by_m = _weights(own, m)
            value -= own.count * weights
            slope -= own.count * by_m
            inner.append((rest, back))
            value -= own.count * rest / (back * omega)
            slope -= own.count * c / (back * omega)
        step = -value / slope
        m = m + step
        size = np.abs(step)
        done = bool(np.all(size < _CLOSE))
        for place, (own, (rest, back)) in enumerate(zip(layers, inner, strict=True)):
            found[place] = found[place] + (rest + own.after * step) / back
        if done:
            break
    return m, found, size


def _weights(own: Factor, m: FloatArray | Complex) -> tuple[Complex, Complex]:
    """Return −ln of the S-transform of the weights of a layer, and its derivative by M."""
    value = np.full(m.shape, complex(math.log(own.square_gain)))
    slope = np.zeros(m.shape, complex)
    if not own.orthogonal or own.before > own.after:
        value += np.log(1.0 + own.before * m)
        slope += own.before / (1.0 + own.before * m)
    if own.orthogonal and own.before > own.after:
        value -= np.log(1.0 + own.after * m)
        slope -= own.after / (1.0 + own.after * m)
    return value, slope
