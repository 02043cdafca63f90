"""The limit of a stack's forward signal and of its gradients, in one record."""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import resolve
from snstat.errors import InvalidValueError
from snstat.network.stack import Stack
from snstat.results import FixedPoint, Outlook
from snstat.theory.ensemble import ensemble_image, find_ensemble, zero_slope
from snstat.theory.linear import MARGINAL
from snstat.theory.prediction import Prediction

# A relative distance from a fixed point below which a second moment counts as equal to it.
_ARRIVED = 1e-9


def outlook(stack: Stack, prediction: Prediction) -> Outlook | None:
    """Return the limit of the stack's signal and its gradients if the stack were continued.

    The limit is that of the map of the square layers, starting from the last predicted second
    moment (before a last layer of another activation). q moves in one direction only: to the next
    fixed point, to 0 or to infinity. If the inputs are too large for a prediction, q starts from
    infinity. Returns None if the theory does not know the activation for signals of every size.
    """
    layer = stack.repeated
    activation, gain, bias = resolve(layer.activation), layer.gain, layer.bias_std
    factor = _exponential(float(prediction.log_gradient[0]))
    try:
        search = find_ensemble(activation, gain, bias, pairs=False)
    except InvalidValueError:
        return None
    hidden = stack.depth if stack.read_out is None else stack.depth - 1
    known = np.flatnonzero(np.isfinite(prediction.pre_second_moment))
    overflown = known.size == 0 or known[-1] < stack.depth
    # The inputs are exactly 0, not just too small to square.
    if prediction.statistics["zero_samples"][0] == 1 and prediction.pre_second_moment[-1] == 0:
        zero = activation.function(np.zeros(1))[0] == 0
        if zero and bias == 0:
            return Outlook("silent", 0.0, 0.0)
    if search.continuum:
        last = {name: float(prediction.statistics[name][hidden]) for name in ("mean", "variance")}
        growth = search.fixed_points[0].gradient_growth
        return Outlook("neutral", last["mean"], last["variance"], 1.0, growth, factor)
    if overflown:
        q, rises = math.inf, search.at_infinity == "grows"
    else:
        q = float(prediction.pre_second_moment[hidden])
        if stack.layer(hidden) != layer:
            q = gain * gain * float(prediction.statistics["second_moment"][hidden]) + bias * bias
        rises = ensemble_image(activation, q, gain * gain, bias) > q
    if q == 0 and not rises:  # a signal too small to square
        rises = zero_slope(activation, gain * gain) > 1.0 + MARGINAL
    limit = _limit(search.fixed_points, q, gain * gain, bias * bias, rises=rises)
    if limit is None:
        left, right = activation.slopes
        rate = gain * gain * (left * left + right * right) / 2.0
        if abs(rate - 1.0) <= MARGINAL and not overflown:
            return Outlook("drifts", gradient_growth=rate, gradient_factor=factor)
        return Outlook("explodes", rate=rate, gradient_growth=rate, gradient_factor=factor)
    if limit.second_moment == 0:
        rate = zero_slope(activation, gain * gain)
        exponential = rate if rate < 1.0 - MARGINAL else None
        return Outlook("vanishes", 0.0, 0.0, exponential, rate, factor)
    return Outlook(
        "converges",
        limit.mean,
        limit.variance,
        limit.spectral_radius,
        limit.gradient_growth,
        factor,
    )


def _limit(
    points: tuple[FixedPoint, ...], q: float, square_gain: float, bias_square: float, *, rises: bool
) -> FixedPoint | None:
    """Return the fixed point that q is at or moves to, or None for infinity."""
    points = tuple(sorted(points, key=lambda point: point.second_moment))
    places = [square_gain * point.second_moment + bias_square for point in points]
    for place, point in zip(places, points, strict=True):
        if abs(place - q) <= _ARRIVED * place and not (rises and place == 0):
            return point
    if rises:
        above = [i for i, place in enumerate(places) if place > q]
        return points[above[0]] if above else None
    below = [i for i, place in enumerate(places) if place < q]
    return points[below[-1]] if below else None


def _exponential(logarithm: float) -> float | None:
    """Return e to the `logarithm`: 0 or infinity when out of range, None for NaN."""
    if math.isnan(logarithm):
        return None
    try:
        return math.exp(logarithm)
    except OverflowError:
        return math.inf
