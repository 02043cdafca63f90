"""Expectations over one unit of a batch that batch norm has passed (arXiv:1902.08129).

Of B independent Gaussian samples, the deviations from their mean are r times a point that is
uniform on the unit sphere of dimension B − 1, with r² ~ χ²_{B−1} times the variance v and
independent of it. Batch norm makes them t·y, with y = √B times the point, t² = r²/(r² + Bη) for r²
in units of v, and η = ε/v. Any two coordinates have correlation ρ = −1/(B − 1):

    y_a = √(B−1) sin θ,   y_b = ρ y_a + √(1−ρ²) √(B−1) cos θ sin ψ

with densities ∝ cos^{B−3}θ and ∝ cos^{B−4}ψ; for B = 3 sin ψ is ±1, for B = 2 y is ±1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev

from snstat.activation import Activation
from snstat.activation.structure import GRADED
from snstat.gaussian.quadrature import FloatArray, composite, distinct, legendre

# Of sin θ, of sin ψ, and panels of either.
_OUTER, _INNER, _PANELS = 24, 16, 12
_RADIAL_POINTS, _RADIAL_PANELS = 24, 3
# Densities have fallen below 1e-17 of their largest value beyond these: |y|, and √(B−2) − r and
# r − √(B−2).
_FARTHEST, _BELOW, _ABOVE = 9.5, 6.5, 9.0
# Panels wider than this times the bend of an activation are divided.
_WIDEST = 1.5
# Panels do not resolve faster sines.
_FASTEST = 40.0
# Moments are interpolated between so many values of t, in a narrow range of it and in others, and
# not where coefficients have not fallen to this part of the largest.
_NARROW, _NODES, _SETTLED = 0.02, (10, 48), 1e-12
# Radii that weigh less than this are left out.
_LEAST = 1e-18


@dataclass(frozen=True, slots=True)
class Radial:
    """Radii of a batch, each array (radii,): t, κ = 2t² − t⁴, the probability `weight`, and
    `inverse` = 1/(r² + Bη) times it, whose sum is infinite if B ≤ 3 and η = 0."""

    t: FloatArray
    weight: FloatArray
    inverse: FloatArray

    @property
    def kappa(self) -> FloatArray:
        """How much of a gradient along y the division by the standard deviation removes."""
        square: FloatArray = self.t * self.t
        return 2.0 * square - square * square

    @property
    def square(self) -> float:
        """E[(ty)²], 1 for η = 0."""
        return float(self.weight @ (self.t * self.t))


@dataclass(frozen=True, slots=True)
class SphereMoments:
    """Moments of x = φ(f·t·y) with D = φ'(f·t·y): `mean` E[x], `square` E[x²], `gap` E[x²] −
    E[x_a x_b], `slope_square` E[D²], `slope_product` E[D_a D_b].

    A gradient with E[δ²] = g and E[δ_a δ_b] = h after φ has v E[δ²] = g·`own` − h·`other` before
    batch norm; both are infinite if B ≤ 3 and η = 0.
    """

    mean: float
    square: float
    gap: float
    slope_square: float
    slope_product: float
    own: float
    other: float


def radial(batch: int, ratio: float, bounds: tuple[float, ...] = ()) -> Radial:
    """Return radii for B = `batch` ≥ 2 and η = `ratio` ≥ 0. Panels end where t is in `bounds`."""
    if ratio == 0:
        mean = 1.0 / (batch - 3) if batch > 3 else math.inf
        return Radial(np.ones(1), np.ones(1), np.array([mean]))
    middle, bent = math.sqrt(batch - 2), math.sqrt(batch * ratio)
    low, high = max(middle - _BELOW, 0.0), middle + _ABOVE
    edges = [*np.linspace(low, high, _RADIAL_PANELS + 1)]
    edges += [bent * t / math.sqrt(1.0 - t * t) for t in bounds if t < 1]
    if low < bent:
        # 1/(r² + Bη) has a pole at this distance from 0.
        edges += [bent * 2.0**n for n in range(-1, math.ceil(math.log2(max(high / bent, 1.0))))]
    r, weight = _smooth(distinct(np.clip(edges, low, high)), _RADIAL_POINTS)
    power = (batch - 2) * np.log(r / middle) if batch > 2 else 0.0
    weight *= np.exp(power + 0.5 * (middle - r) * (middle + r))
    weight /= weight.sum()
    total = r * r + batch * ratio
    inverse = weight / total
    # Where B ≤ 3, small radii decide the latter.
    kept = (weight > _LEAST) | (inverse > _LEAST * inverse.sum())
    return Radial((r / np.sqrt(total))[kept], weight[kept], inverse[kept])


def pulled(batch: int, ratio: float) -> float:
    """Return C: v E[δ²] before batch norm is C·(g − h), for gradients that do not depend on y."""
    if ratio == 0:
        return (batch - 2) / (batch - 3) if batch > 3 else math.inf
    radii = radial(batch, ratio)
    return float(radii.inverse @ (batch - 1 - radii.kappa))


# A run asks for the same ones forward, on the way back and of every statistic.
@lru_cache(maxsize=256)
def sphere_moments(
    activation: Activation, batch: int, ratio: float, factor: float = 1.0
) -> SphereMoments | None:
    """Return the moments of φ after batch norm of `batch` ≥ 2 samples and ε/v = `ratio` ≥ 0, whose
    output is multiplied by `factor` > 0.

    None for a user's functions, for fast sines, and where a moment is not finite.
    """
    root = math.sqrt(batch - 1)
    sine = activation.formed("sine")
    if activation.custom or (sine is not None and sine[0] * factor * root > _FASTEST):
        return None
    bounds = sorted({bound / (factor * root) for bound in _bounds(activation.kinks, batch)})
    radii = radial(batch, ratio, tuple(bounds))
    mean, square, gap, slope, both, along, both_along = _rows(activation, batch, factor, radii.t)
    rest = batch - 1
    if ratio == 0 and batch <= 3:
        own = other = math.inf
    else:
        own = float(radii.inverse @ (rest * slope - radii.kappa * along))
        other = float(radii.inverse @ (rest * (both + radii.kappa * both_along)))
    means = [float(radii.weight @ row) for row in (mean, square, gap, slope, both)]
    if not np.isfinite(means).all():
        return None
    return SphereMoments(means[0], means[1], means[2], means[3], means[4], own, other)


def _bounds(kinks: tuple[float, ...], batch: int) -> list[float]:
    """Return the radii of spheres on which one coordinate, or two, just reach kinks."""
    found = [abs(kink) for kink in kinks]
    if batch > 2:
        rho = -1.0 / (batch - 1)
        for one in kinks:
            for two in kinks:
                square = one * one + two * two - 2.0 * rho * one * two
                found.append(math.sqrt(square / (1.0 - rho * rho)))
    return found


def _rows(activation: Activation, batch: int, factor: float, t: FloatArray) -> FloatArray:
    """Return what `_at` does at all radii, shape (7, radii)."""
    if activation.formed("half_linear") is not None:
        row = np.array(_at(activation, batch, factor))[:, None]
        powers: FloatArray = t ** np.array([1.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0])[:, None]
        return row * powers
    if set(activation.kinks) <= {0.0}:
        # No panel ends move with t, so that all are analytic in it.
        low, high = float(t.min()), float(t.max())
        count = _NODES[high - low > _NARROW * high]
        if count < t.size:
            nodes = chebyshev.chebpts1(count)
            at = 0.5 * (high + low) + 0.5 * (high - low) * nodes
            rows = np.array([_at(activation, batch, factor * one) for one in at])
            series = chebyshev.chebfit(nodes, rows, count - 1)
            # The mean of an odd function is rounding.
            sizes = np.abs(series)[:, activation.odd :]
            largest = sizes.max(axis=0)
            # D_a D_b y_a y_b is at most D²y², of which it is a small part for an odd function.
            largest[-1] = largest[-2:].max()
            if np.all(sizes[-3:].max(axis=0) <= _SETTLED * largest):
                return np.asarray(
                    chebyshev.chebval((2.0 * t - high - low) / (high - low), series), np.float64
                )
    return np.array([_at(activation, batch, factor * one) for one in t]).T


def _at(activation: Activation, batch: int, scale: float) -> tuple[float, ...]:
    """Return E of f, f², ½(f_a − f_b)², D², D_a D_b, D²y², D_a D_b y_a y_b at `scale`·y."""
    y, cosine, weight = _first(activation, batch, scale)
    other, both = _second(activation, batch, scale, y, cosine)
    value, slope = activation.function(scale * y), activation.derivative(scale * y)
    beside, tilt = activation.function(scale * other), activation.derivative(scale * other)
    square = slope * slope
    gap = 0.5 * np.sum(both * (value[:, None] - beside) ** 2, axis=1)
    mixed = slope * np.sum(both * tilt, axis=1)
    along = slope * y * np.sum(both * tilt * other, axis=1)
    parts = (value, value * value, gap, square, mixed, square * y * y, along)
    return tuple(float(weight @ part) for part in parts)


def _first(
    activation: Activation, batch: int, scale: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return nodes y_a, cos θ and weights."""
    if batch == 2:
        return np.array([-1.0, 1.0]), np.zeros(2), np.array([0.5, 0.5])
    root = math.sqrt(batch - 1)
    end = math.asin(min(1.0, _FARTHEST / root))
    turn = math.asin(1.0 / (batch - 1))
    edges = [*np.linspace(-end, end, _PANELS + 1)]
    edges += [math.asin(x) for x in _special(activation, scale * root) if abs(x) <= 1]
    for kink in {0.0, *activation.kinks}:  # many functions nearly have one at 0
        x = kink / (scale * root)
        if abs(x) <= 1:
            # From here on the other coordinate reaches the kink.
            edges += [sign * math.acos(x) - turn for sign in (-1.0, 1.0)]
            edges += [sign * math.acos(-x) + turn for sign in (-1.0, 1.0)]
    theta, weight = _smooth(distinct(np.clip(edges, -end, end)), _OUTER)
    cosine = np.cos(theta)
    weight *= cosine ** (batch - 3)
    return root * np.sin(theta), cosine, weight / weight.sum()


def _second(
    activation: Activation, batch: int, scale: float, y: FloatArray, cosine: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return nodes y_b and weights given y_a, each (y_a, nodes)."""
    if batch == 2:
        return -y[:, None], np.ones((2, 1))
    root, rho = math.sqrt(batch - 1), -1.0 / (batch - 1)
    width = math.sqrt(1.0 - rho * rho) * root * cosine[:, None]
    middle = rho * y[:, None]
    if batch == 3:
        return middle + width * np.array([-1.0, 1.0]), np.full((y.size, 2), 0.5)
    end = math.asin(min(1.0, _FARTHEST / math.sqrt(batch - 2)))
    points = root * np.array(_special(activation, scale * root))
    with np.errstate(divide="ignore", over="ignore"):
        at = np.arcsin(np.clip((points - middle) / width, -1.0, 1.0))
    grid = np.broadcast_to(np.linspace(-end, end, _PANELS + 1), (y.size, _PANELS + 1))
    edges = np.sort(np.concatenate([grid, np.clip(at, -end, end)], axis=1), axis=1)
    psi, weight = composite(edges, _INNER)
    weight *= np.cos(psi) ** (batch - 4)
    return middle + width * np.sin(psi), weight / weight.sum(axis=1, keepdims=True)


def _special(activation: Activation, radius: float) -> list[float]:
    """Return the kinks of φ(radius·x) and, where it bends within a panel, points around 0."""
    points = set(activation.kinks)
    if 2.0 * radius / _PANELS > _WIDEST * activation.bend:
        edges = [edge * activation.bend for edge in GRADED]
        while activation.tail and edges[-1] < radius:
            edges.append(2.0 * edges[-1])
        points |= {sign * edge for edge in edges for sign in (-1.0, 1.0)}
    return sorted(point / radius for point in points)


def _smooth(edges: FloatArray, points: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights on panels between `edges`, for functions that at the edges are
    analytic in the square root of the distance."""
    u, weight = legendre(points)
    node, weight = u * u * (3.0 - 2.0 * u), 6.0 * u * (1.0 - u) * weight
    width = np.diff(edges)[:, None]
    return (edges[:-1, None] + width * node).ravel(), (width * weight).ravel()
