"""Pair expectations of piecewise activations, in polar coordinates.

With z₁ = s·r·cos(ω − θ/2) and z₂ = s·r·cos(ω + θ/2), cos θ = c, s² = q, r Rayleigh-distributed and
ω uniform, z₁ and z₂ have correlation c. A kink at 0 is a ray in this plane, so smooth quadrature on
the arcs between the rays converges exponentially at any correlation:

    0 ≤ ω ≤ π/2 − θ/2: both positive · then an arc of width θ: z₁ > 0 ≥ z₂ · then both negative

By symmetry (ω → −ω swaps z₁ and z₂) half a turn is enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from snstat.gaussian.quadrature import FloatArray, composite

Kernel = Callable[[float, float], float]

_ANGLE_POINTS = 16
_RADIUS_POINTS = 12
# r·exp(−r²/2) is below 1e-19 of its peak beyond the last edge.
_RADIUS_EDGES = (0.0, 2.0, 4.0, 6.5, 9.7)


def angle_of(misalignment: float) -> float:
    """Return θ = arccos(c) from 1 − c, precise near 0."""
    return 2.0 * math.asin(math.sqrt(min(misalignment / 2.0, 1.0)))


def towards_zero(length: float, scale: float) -> list[float]:
    """Return edges on [0, length], halving towards 0 until a panel is shorter than 1/scale."""
    edges = [length]
    while edges[-1] * scale > 2.0:
        edges.append(edges[-1] / 2.0)
    return [0.0, *reversed(edges)]


def _mirrored(length: float, scale: float) -> list[float]:
    """Return edges on [0, length] graded towards both ends."""
    half = towards_zero(length / 2.0, scale)
    return [*half, *(length - edge for edge in reversed(half[:-1]))]


def mirrored(length: float, scale: float) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights on [0, length], on panels graded towards both ends."""
    return composite(np.array(_mirrored(length, scale)), _ANGLE_POINTS)


@lru_cache(maxsize=16)  # in a deep network only the angle moves on
def _radii(std: float) -> tuple[FloatArray, FloatArray]:
    edges = [*towards_zero(_RADIUS_EDGES[1], std), *_RADIUS_EDGES[2:]]
    radius, weight = composite(np.array(edges), _RADIUS_POINTS)
    return radius[None, :], weight * radius * np.exp(-0.5 * radius * radius)


def _mixed_arc(angle: float, std: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (sine₁, −sine₂, weight): z₁ = s·r·sine₁ ≥ 0 and z₂ = s·r·sine₂ ≤ 0 on the arc."""
    edges = towards_zero(angle, std) if angle < math.pi / 2 else _mirrored(angle, std)
    step, weight = composite(np.array(edges), _ANGLE_POINTS)
    return np.sin(angle - step)[:, None], np.sin(step)[:, None], weight


def _negative_arc(
    angle: float, std: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return (sine₁, sine₂, sine₂ − sine₁, weight): z₁, z₂ = −s·r·sine₁, −s·r·sine₂ ≤ 0."""
    edges = towards_zero((math.pi - angle) / 2.0, std)
    step, weight = composite(np.array(edges), _ANGLE_POINTS)
    first = np.sin(step)[:, None]
    difference = (2.0 * math.sin(angle / 2.0) * np.cos(step + angle / 2.0))[:, None]
    return first, first + difference, difference, weight


def elu_gap(alpha: float, scale: float) -> Kernel:
    """Return the gap of scale·(x if x > 0 else alpha·(eˣ − 1)) as a function of (q, 1 − c)."""

    def gap(second_moment: float, misalignment: float) -> float:
        std, angle = math.sqrt(second_moment), angle_of(misalignment)
        arc = (math.pi - angle) / 2.0
        positive = misalignment * (2.0 * arc - math.sin(2.0 * arc)) * second_moment
        radius, radial = _radii(std)
        up, down, weight = _mixed_arc(angle, std)
        jump = std * up * radius - alpha * np.expm1(-std * down * radius)
        mixed = weight @ (jump * jump) @ radial
        first, _, difference, weight = _negative_arc(angle, std)
        fall = alpha * np.exp(-std * first * radius) * np.expm1(-std * difference * radius)
        negative = weight @ (fall * fall) @ radial
        return scale * scale * float(positive + mixed + negative) / (2.0 * math.pi)

    return gap


def elu_slope(alpha: float, scale: float) -> Kernel:
    """Return E[φ'(z₁)φ'(z₂)] of the same activation as a function of (q, 1 − c)."""

    def slope(second_moment: float, misalignment: float) -> float:
        std, angle = math.sqrt(second_moment), angle_of(misalignment)
        radius, radial = _radii(std)
        _, down, weight = _mixed_arc(angle, std)
        mixed = weight @ np.exp(-std * down * radius) @ radial
        first, second, _, weight = _negative_arc(angle, std)
        negative = weight @ np.exp(-std * (first + second) * radius) @ radial
        total = (math.pi - angle) / 2.0 + alpha * mixed + alpha * alpha * negative
        return scale * scale * float(total) / math.pi

    return slope


def _inside(sine: FloatArray, second_moment: float) -> FloatArray:
    """Return P(r·s·|sine| < 1) for a Rayleigh-distributed r."""
    return -np.expm1(-0.5 / (second_moment * np.maximum(sine * sine, 1e-300)))


def clip_gap(bound: float) -> Kernel:
    """Return the gap of min(max(x, −bound), bound)."""
    square = bound * bound
    return lambda q, misalignment: square * hard_tanh_gap(q / square, misalignment)


def clip_slope(bound: float) -> Kernel:
    """Return E[φ'(z₁)φ'(z₂)] of the same activation."""
    return lambda q, misalignment: hard_tanh_slope(q / (bound * bound), misalignment)


def hard_tanh_slope(second_moment: float, misalignment: float) -> float:
    """Return P(|z₁| < 1 and |z₂| < 1). For every ω the larger of |cos(ω ± θ/2)| decides."""
    angle, std = angle_of(misalignment), math.sqrt(second_moment)
    # In terms of β = π/2 − (ω − θ/2), z₁ = s·r·sin β, with β from θ/2 to π/2 + θ/2.
    edges = [angle / 2.0 + edge for edge in _mirrored(math.pi / 2.0, 8.0 * std + 8.0)]
    step, weight = composite(np.array(edges), _ANGLE_POINTS)
    return float(weight @ _inside(np.sin(step), second_moment)) * 2.0 / math.pi


def hard_tanh_gap(second_moment: float, misalignment: float) -> float:
    """Return q·∫ slope dc from c to 1, with the integral over the angle in closed form."""
    # ∫ over θ' of sin θ' where θ'/2 ≤ β ≤ π/2 + θ'/2 and θ' ≤ θ, for each β on [0, π/2 + θ/2].
    return second_moment * _of_hard_tanh(
        second_moment,
        misalignment,
        lambda square: 2.0 * square,
        misalignment,
        lambda product: 2.0 * product,
    )


def hard_tanh_moment(second_moment: float, misalignment: float) -> float:
    """Return ∫ (c' − c)·slope dc' from c to 1, in the same way."""
    return _of_hard_tanh(
        second_moment,
        misalignment,
        lambda square: 2.0 * square * (misalignment - square),
        0.5 * misalignment * misalignment,
        lambda product: 2.0 * product * product,
    )


def _of_hard_tanh(
    second_moment: float,
    misalignment: float,
    first: Callable[[FloatArray], FloatArray],
    middle: float,
    last: Callable[[FloatArray], FloatArray],
) -> float:
    """Return an integral of `hard_tanh_slope` over θ', whose inner integral for each β is `first`
    of sin² β up to θ/2, `middle` up to π/2, and `last` of sin u sin(θ − u) at the distance u from
    π/2 + θ/2."""
    angle, scale = angle_of(misalignment), 8.0 * math.sqrt(second_moment) + 8.0
    half = angle / 2.0
    below, weight_below = composite(np.array(towards_zero(half, scale)), _ANGLE_POINTS)
    between_edges = [half + edge for edge in towards_zero(math.pi / 2.0 - half, scale)]
    between, weight_between = composite(np.array(between_edges), _ANGLE_POINTS)
    from_end, weight_above = composite(np.array(towards_zero(half, scale)), _ANGLE_POINTS)
    total = weight_below @ (_inside(np.sin(below), second_moment) * first(np.sin(below) ** 2))
    total += (weight_between @ _inside(np.sin(between), second_moment)) * middle
    total += weight_above @ (
        _inside(np.cos(half - from_end), second_moment)
        * last(np.sin(from_end) * np.sin(angle - from_end))
    )
    return float(total) * 2.0 / math.pi


def ramp_gap(bound: float, rise: float) -> Kernel:
    """Return the gap of rise·min(max(x, −bound), bound) plus any constant."""
    gap = clip_gap(bound)
    return lambda q, misalignment: rise * rise * gap(q, misalignment)


def ramp_slope(bound: float, rise: float) -> Kernel:
    """Return E[φ'(z₁)φ'(z₂)] of the same activation."""
    slope = clip_slope(bound)
    return lambda q, misalignment: rise * rise * slope(q, misalignment)


def clipped_relu_slope(bound: float) -> Kernel:
    """Return P(0 < z₁, z₂ < bound), as `hard_tanh_slope` with both of one sign."""

    def slope(second_moment: float, misalignment: float) -> float:
        q = second_moment / (bound * bound)
        angle, scale = angle_of(misalignment), 8.0 * math.sqrt(q) + 8.0
        edges = [angle + edge for edge in _mirrored((math.pi - angle) / 2.0, scale)]
        step, weight = composite(np.array(edges), _ANGLE_POINTS)
        return float(weight @ _inside(np.sin(step), q)) / math.pi

    return slope


def clipped_relu_gap(bound: float) -> Kernel:
    """Return q·∫ slope dc from c to 1, as `hard_tanh_gap`: for each β on [0, π/2 + θ/2], ∫ over θ'
    of sin θ' where θ' ≤ β ≤ π/2 + θ'/2 and θ' ≤ θ."""

    def gap(second_moment: float, misalignment: float) -> float:
        q = second_moment / (bound * bound)
        angle, scale = angle_of(misalignment), 8.0 * math.sqrt(q) + 8.0
        right = math.pi / 2.0
        below, weight = composite(np.array(towards_zero(min(angle, right), scale)), _ANGLE_POINTS)
        total = weight @ (_inside(np.sin(below), q) * 2.0 * np.sin(below / 2.0) ** 2)
        edges = np.array(_mirrored(abs(angle - right), scale)) + min(angle, right)
        between, weight = composite(edges, _ANGLE_POINTS)
        turned: float | FloatArray = misalignment
        if angle > right:
            turned = -2.0 * np.cos(1.5 * between) * np.cos(between / 2.0)
        total += weight @ (_inside(np.sin(between), q) * turned)
        last = np.array(towards_zero(min(angle, math.pi - angle) / 2.0, scale))
        from_end, weight = composite(last, _ANGLE_POINTS)
        turned = 2.0 * np.sin(from_end) * np.sin(angle - from_end)
        total += weight @ (_inside(np.cos(angle / 2.0 - from_end), q) * turned)
        return float(total) * second_moment / math.pi

    return gap
