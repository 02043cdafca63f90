"""Expected values of statistics that are ratios or compare samples, to first order in 1/width.

With the state of `gram` after a layer (a and g for ½E(φ₁ ± φ₂)²) and c the cosine at infinite
width,

    variance over the batch   (1 − 1/B) gap (1 + b_g)
    cosine                    c + ½(1 − c²)(b_a − b_g − ½V_a + ½V_g − ½c(V_a + V_g − 2C) + cV_x)

because, for samples of equal norm, the cosine is tanh of half of ln(a/g). The kurtosis of all
activations of a layer is expanded in their first four pooled moments. Derived in
docs/finite-width.md.
"""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np

from snstat.gaussian.kurtosis_moments import KurtosisMoments
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.spread import ENDLESS
from snstat.network.stack import Stack
from snstat.results import InputMoments
from snstat.theory.by_layer import units
from snstat.theory.corrected import LARGEST_SHIFT, Corrected
from snstat.theory.fluctuations import Fluctuations
from snstat.theory.gram import GramColumns
from snstat.theory.layer_moments import Moments
from snstat.theory.prediction import Prediction

# The relative difference between equal samples in float32.
_ROUNDING = 2.0**-21
# Kurtosis of drawn inputs → their sixth moment over the third power of the variance.
_SIXTH = {3.0: 15.0, 1.8: 27.0 / 7.0}


def over_batch(prediction: Prediction, state: GramColumns) -> Corrected:
    """Return the expected variance over the batch."""
    theory = prediction.statistics["variance_over_batch"]
    rounded = prediction.statistics["second_moment"] * _rounding(theory.size)
    value, neglected = theory * (1.0 + state.across), theory * state.residual + rounded
    return Corrected(value, neglected, state.trusted)


def _rounding(layers: int) -> FloatArray:
    """Return the squared relative distance that float32 rounding in every layer puts between equal
    samples."""
    rounded: FloatArray = _ROUNDING**2 * np.arange(layers, dtype=np.float64)
    return rounded


def cosine(
    prediction: Prediction, batch: int, state: GramColumns, square_error: FloatArray
) -> Corrected:
    """Return the expected cosine; `square_error` is the relative residual of the second moment."""
    theory = prediction.statistics
    c = theory["cosine"]
    # 1 − c at full precision.
    apart = theory["variance_over_batch"] / (1.0 - 1.0 / batch) / theory["second_moment"]
    free = apart * (1.0 + c)
    terms = (
        state.along - state.across,
        0.5 * (state.second - state.first),
        -0.5 * c * (state.first + state.second - 2.0 * state.mixed),
        c * state.crossed,
    )
    carried = np.minimum(
        state.product_residual + np.abs(c) * square_error,
        apart * (state.residual + square_error),
    )
    # Where the sum and the difference are symmetric, the terms of every order are 0.
    leaning = np.abs(terms[0]) + np.abs(terms[1]) + np.abs(c) * state.spread
    value = c + 0.5 * free * (terms[0] + terms[1] + terms[2] + terms[3])
    neglected = carried + free * leaning * state.spread + _rounding(c.size)
    return Corrected(value, neglected, state.trusted)


def kurtosis(
    stack: Stack, batch: int, inputs: InputMoments, moments: Moments, fluctuations: Fluctuations
) -> Corrected:
    """Return the expected kurtosis of every layer."""
    # Expectation, residual and the size of the corrections.
    columns = np.full((3, stack.depth + 1), math.nan)
    if inputs.drawn and inputs.kurtosis in _SIXTH:
        columns[:, 0] = *_of_input(inputs.kurtosis, batch * stack.width_of(0)), 0.0
    state = np.stack(
        [
            moments.q,
            moments.misalignment,
            moments.states,
            units(stack),
            *(getattr(fluctuations, field.name) for field in fields(fluctuations)),
        ]
    )
    # Equal layers are evaluated once.
    same = (state[:, 1:] == state[:, :-1]) | (np.isnan(state[:, 1:]) & np.isnan(state[:, :-1]))
    for layer in np.flatnonzero(fluctuations.variance <= ENDLESS).tolist():
        if layer > 1 and same[:, layer - 1].all():
            columns[:, layer] = columns[:, layer - 1]
        else:
            units_here = float(state[3, layer])
            columns[:, layer] = _of_layer(layer, batch, units_here, moments, fluctuations)
    expected, residual, shift = columns
    return Corrected(expected, residual, shift <= LARGEST_SHIFT)


def _of_input(kurtosis: float, values: int) -> tuple[float, float]:
    """Return the expected kurtosis of `values` independent drawn inputs, and its residual."""
    if kurtosis == 3.0:
        return 3.0 * (values - 1.0) / (values + 1.0), 0.0
    sixth = _SIXTH[kurtosis]
    first = (
        6.0 / kurtosis - 2.0 + 3.0 * (kurtosis - 1.0) - 2.0 * (sixth - kurtosis) / kurtosis
    ) / values
    return kurtosis * (1.0 + first), kurtosis * (10.0 / values) ** 2


def _of_layer(
    layer: int, batch: int, width: float, moments: Moments, fluctuations: Fluctuations
) -> tuple[float, float, float]:
    """Return expectation, residual, and the sum of the sizes of the relative corrections."""
    one = moments.kurtosis(layer)
    two = moments.gram(layer) if batch > 1 else None
    if one is None or (two is None and batch > 1):
        return math.nan, math.nan, math.nan
    variance, pair, bias, shape, error, share, pinned = (
        float(column[layer])
        for column in (
            fluctuations.variance,
            fluctuations.pair,
            fluctuations.bias,
            fluctuations.shape,
            fluctuations.residual,
            fluctuations.share,
            fluctuations.pinned,
        )
    )
    m, slopes = one.moments, [by_q.slope for by_q in one.by_q]
    aligned = share - float(moments.misalignment[layer])

    def covariance(j: int, k: int) -> float:
        """Return the covariance between the pooled means of y^j and y^k."""
        both = slopes[j] * slopes[k]
        own = (m[j + k] - m[j] * m[k] - 2.0 * pinned * share**2 * both) / width + both * variance
        if two is None:
            return own
        fresh = two.powers[j, k] - m[j] * m[k] - 2.0 * pinned * aligned**2 * both
        return own / batch + (1.0 - 1.0 / batch) * (fresh / width + both * pair)

    def shift(k: int) -> float:
        return slopes[k] * bias + 0.5 * one.by_q[k].curvature * (variance + shape)

    terms = (
        shift(4) / m[4] - 4.0 * m[3] / m[4] * shift(1) - 2.0 * shift(2),
        -4.0 * covariance(1, 3) / m[4],
        (6.0 / m[4] + 2.0) * covariance(1, 1),
        3.0 * covariance(2, 2),
        -2.0 * covariance(2, 4) / m[4],
        8.0 * m[3] / m[4] * covariance(1, 2),
    )
    size = sum(map(abs, terms))
    again = _carried(one, error, (variance + abs(shape)) ** 2) + size**2
    return m[4] * (1.0 + sum(terms)), m[4] * again, size


def _carried(one: KurtosisMoments, error: float, size: float) -> float:
    """Return the relative size of the terms that the moments neglect in the kurtosis."""
    factors = (4.0 * abs(one.moments[3]) / one.moments[4], 2.0, 1.0 / one.moments[4])
    return sum(
        factor * (abs(by_q.slope) * error + by_q.roughness * size)
        for factor, by_q in zip(factors, (one.by_q[1], one.by_q[2], one.by_q[4]), strict=True)
    )
