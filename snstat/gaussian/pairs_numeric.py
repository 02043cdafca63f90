"""Pair expectations of any activation by quadrature.

Smooth activations with arguments of moderate size use the trapezoidal rule in two dimensions, which
converges exponentially for functions analytic in a strip (Trefethen, Weideman, SIAM Review 56,
2014). At larger arguments, and with a kink at 0, polar coordinates serve (`pairs_graded`). All
others use one-dimensional expectations (`expectations`) conditional on the part that the two inputs
share.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import Activation
from snstat.gaussian.expectations import derivative_mean, moments
from snstat.gaussian.pairs_graded import bends_at_zero, graded_gap, graded_slope
from snstat.gaussian.quadrature import FloatArray, composite, distinct, legendre

# Aliasing of the trapezoidal rule and truncation at the last node are both below exp(−38).
_LOG_ACCURACY = 38.0
_RANGE = 8.9
# Wider strips gain nothing against the growth of exp(d²/2). The margin keeps away from the pole.
_WIDEST_STRIP, _POLE_MARGIN = 8.0, 0.85
# With more nodes than this the conditional method is faster.
_MOST_NODES, _MOST_LINE_NODES = 200_000, 500
# The number of harmonics in φ⁴, the highest power needed.
_HARMONICS, _MOST_SINE_NODES = 4.0, 2_000_000
# Below this half-difference φ(x+h) − φ(x−h) is integrated from φ' to avoid cancellation.
# n points are exact to (difference/2)²ⁿ times a derivative: (bound, points), finest first.
_DIFFERENCES = ((1e-4, 2), (0.1, 4))
# Entire activations such as erf or Φ grow like exp(y²) off the real line; this strip is effective.
_ENTIRE_STRIP = 1.2
# A kink blurred over less than this counts as sharp.
_NARROWEST = 1e-8
_OUTER_RANGE, _OUTER_PANELS, _OUTER_POINTS = 9.8, 14, 14


def _step(activation: Activation, scale: float) -> float:
    """Return the step at which exp(−u²/2)·f(scale·u) is integrated to rounding."""
    return strip_step(activation, scale, _LOG_ACCURACY)


def strip_step(activation: Activation, scale: float, accuracy: float) -> float:
    """Return the step at which exp(−u²/2)·f(scale·u) is integrated to exp(−`accuracy`)."""
    sine = activation.formed("sine")
    if sine is not None:
        # The transform of a Gaussian times the fourth power of a sine ends at 4ω·scale and √(2a).
        return 2.0 * math.pi / (_HARMONICS * sine[0] * scale + math.sqrt(2.0 * accuracy))
    pole = min(activation.pole_distance, _ENTIRE_STRIP)
    strip = min(_POLE_MARGIN * pole / max(scale, 1e-300), _WIDEST_STRIP)
    largest = math.pi / math.sqrt(accuracy)
    return min(largest, 2.0 * math.pi * strip / (accuracy + 0.5 * strip * strip))


def _grid(step: float) -> tuple[FloatArray, FloatArray]:
    """Return positive midpoint nodes, with weights that count both signs."""
    node = step * (np.arange(math.ceil(_RANGE / step), dtype=np.float64) + 0.5)
    weight: FloatArray = np.exp(-0.5 * node * node)
    return node, weight / float(weight.sum())


def trapezoid(activation: Activation, std: float) -> tuple[FloatArray, FloatArray] | None:
    """Return nodes x and weights for expectations over N(0, std²), None if there are too many."""
    step = _step(activation, std)
    most = _MOST_LINE_NODES if activation.formed("sine") is None else _MOST_SINE_NODES
    if activation.kinks or _RANGE / step > most:
        return None
    node, weight = _grid(step)
    both = np.concatenate([-node[::-1], node]) * std
    return both, np.concatenate([weight[::-1], weight]) / 2.0


def _tensor(
    activation: Activation, second_moment: float, misalignment: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray] | None:
    """Return shared part (u,), half-difference (v,) and weights, None if there are too many."""
    if activation.kinks:
        return None
    shared = math.sqrt(second_moment * (2.0 - misalignment) / 2.0)
    apart = math.sqrt(second_moment * misalignment / 2.0)
    step_u, step_v = _step(activation, shared), _step(activation, apart)
    if 2.0 * _RANGE / step_u * _RANGE / step_v > _MOST_NODES:
        return None
    u, weight_u = _grid(step_u)
    v, weight_v = _grid(step_v)
    both = np.concatenate([-u[::-1], u]) * shared
    return both, v * apart, np.concatenate([weight_u[::-1], weight_u]) / 2.0, weight_v


def numeric_gap(activation: Activation, second_moment: float, misalignment: float) -> float:
    """Return ½E[(φ(z₁) − φ(z₂))²] at q = `second_moment`, 1 − c = `misalignment`."""
    tensor = _tensor(activation, second_moment, misalignment)
    if tensor is None and bends_at_zero(activation):
        return graded_gap(activation, second_moment, misalignment)
    if tensor is None:
        return conditional_gap(activation, second_moment, misalignment)
    shared, half, weight_shared, weight_half = tensor
    points = next((count for bound, count in _DIFFERENCES if half[-1] < bound), None)
    if points is not None:
        t, weight_t = legendre(points)
        difference = np.zeros((shared.size, half.size))
        for node, weight in zip(2.0 * t - 1.0, 2.0 * weight_t, strict=True):
            difference += weight * activation.derivative(shared[:, None] + node * half)
        difference *= half
    else:
        upper = activation.function(shared[:, None] + half)
        difference = upper - activation.function(shared[:, None] - half)
    return 0.5 * float(weight_shared @ (difference * difference) @ weight_half)


def numeric_slope(activation: Activation, second_moment: float, misalignment: float) -> float:
    """Return E[φ'(z₁)φ'(z₂)] at q = `second_moment`, 1 − c = `misalignment`."""
    tensor = _tensor(activation, second_moment, misalignment)
    if tensor is None and bends_at_zero(activation):
        return graded_slope(activation, second_moment, misalignment)
    if tensor is None:
        return conditional_slope(activation, second_moment, misalignment)
    shared, half, weight_shared, weight_half = tensor
    product = activation.derivative(shared[:, None] + half)
    product *= activation.derivative(shared[:, None] - half)
    return float(weight_shared @ product @ weight_half)


def _shared(
    activation: Activation, second_moment: float, misalignment: float
) -> tuple[FloatArray, FloatArray, float]:
    """Return the shared part t (nodes,), its weights and the variance of the rest.

    z₁ = t + e₁ and z₂ = ±t + e₂, with the sign of the correlation.
    """
    alignment = abs(1.0 - misalignment)
    own = min(misalignment, 2.0 - misalignment)
    std = math.sqrt(second_moment * alignment)
    edges = np.linspace(-_OUTER_RANGE, _OUTER_RANGE, _OUTER_PANELS + 1)
    if std > 0:
        # Near a kink the integrand varies over the width of the rest; near 0, over the unit of φ.
        rest = max(math.sqrt(own / alignment), _NARROWEST)
        # With a negative correlation z₂ meets the kinks at their mirror images in t.
        sides = (1.0,) if misalignment <= 1 else (1.0, -1.0)
        kinks = {side * kink for kink in activation.kinks for side in sides}
        bends = [(kink / std, rest) for kink in kinks] or [(0.0, max(rest, 1.0 / std))]
        for centre, width in bends:
            count = max(math.ceil(math.log2(_OUTER_RANGE / width)) + 2, 1)
            near = width * 2.0 ** np.arange(-1.0, count)
            edges = np.concatenate([edges, centre + near, centre - near, [centre]])
        edges = distinct(np.clip(edges, -_OUTER_RANGE, _OUTER_RANGE))
    node, weight = composite(edges, _OUTER_POINTS)
    weight = weight * np.exp(-0.5 * node * node)
    return node * std, weight / weight.sum(), second_moment * own


def conditional_slope(activation: Activation, second_moment: float, misalignment: float) -> float:
    """Return the result of `numeric_slope` for any activation."""
    t, weight, variance = _shared(activation, second_moment, misalignment)
    slope = derivative_mean(activation, t, variance)
    other = slope if misalignment <= 1 else derivative_mean(activation, -t, variance)
    return float(weight @ (slope * other))


def conditional_gap(activation: Activation, second_moment: float, misalignment: float) -> float:
    """Return the result of `numeric_gap` for any activation."""
    shared, weight, variance = _shared(activation, second_moment, misalignment)
    mean, spread = moments(activation, shared, np.full(shared.size, variance))
    inner = float(weight @ spread)
    if misalignment <= 1:
        return inner
    # Negative correlation: z₂ = −t + e₂, so gap = E Var + Var ψ − Cov(ψ(t), ψ(−t)).
    opposite, _ = moments(activation, -shared, np.full(shared.size, variance))
    centre = weight @ mean
    return inner + float(weight @ ((mean - centre) * (mean - opposite)))
