"""Weights that are normalized or standardized: theory against plain matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.errors import InvalidValueError
from snstat.layers.dense import Dense
from snstat.layers.law import GAUSSIAN, OTHER
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope
from snstat.layers.spread import Spread
from snstat.layers.through_weights import pre_second_moment
from tests.layers.plain_draw import PlainDraw

INITS = ["lecun_normal", "he_uniform", "glorot_truncated"]


def inputs(width, seed=1):
    return 0.7 + np.random.default_rng(seed).normal(size=(width, 2))


@pytest.mark.parametrize("init", INITS)
def test_rows_have_their_norm_and_their_sum(init):
    layer = Dense(7, init=init, weight_gain=1.5)
    for form in ("normalized", "standardized"):
        matrix = PlainDraw().rows(layer.turned("weights", form).at(20))
        assert np.linalg.norm(matrix, axis=1) == pytest.approx([1.5] * 7, rel=1e-14)
    assert matrix.sum(axis=1) == pytest.approx([0.0] * 7, abs=1e-14)


@pytest.mark.parametrize("form", ["normalized", "standardized"])
@pytest.mark.parametrize("init", INITS)
def test_second_moments_are_exact_at_any_fan_in(init, form):
    """Inputs are drawn anew for every matrix. Tolerance: 5 standard errors of 20 000 of them."""
    fan_in, trials = 5, 20_000
    layer = Dense(1, init=init, weight_gain=1.5, bias_std=0.4, weights=form)
    drawn, random = PlainDraw(3), np.random.default_rng(4)
    # Two samples with E[x] = 0.7, E[x²] = 1.49 and E[xx'] = 0.99.
    common, own = random.normal(size=(trials, fan_in, 1)), random.normal(size=(trials, fan_in, 2))
    x = 0.7 + math.sqrt(0.5) * (common + own)
    z = np.stack([drawn.linear(one, layer.at(fan_in)).values[0] for one in x])
    state = Signal.of_one(Shape(fan_in), (0.7, 1.49, 0.5), OTHER)
    signal = layer.moments([state], 2).signal
    assert signal.law == GAUSSIAN
    for found, expected in (
        (z[:, 0] ** 2, signal.same[0, 0]),
        (0.5 * (z[:, 0] - z[:, 1]) ** 2, signal.gap[0, 0]),
    ):
        assert abs(found.mean() - expected) < 5.0 * found.std() / math.sqrt(trials)


@pytest.mark.parametrize("form", ["normalized", "standardized"])
def test_gradients_are_those_of_plain_weights(form):
    """Tolerance: 5 standard errors, and 1/n for the mean that standardized weights take away."""
    layer, width = Dense(200, init="lecun_normal", weight_gain=1.5, weights=form), 100
    state = Signal.of_one(Shape(width), (0.7, 1.49, 1.0), OTHER)
    one = np.ones((1, 1))
    (back,) = layer.moments([state], 2).pull(Slope(one, one))
    expected = math.exp(back.log) * back.same[0, 0]
    found = []
    for seed in range(200):
        pulled = layer.sample([inputs(width)], PlainDraw(seed)).pull
        found.append(np.mean(pulled(np.random.default_rng(seed).normal(size=(200, 2)))[0] ** 2))
    error = np.std(found, ddof=1) / math.sqrt(len(found))
    assert expected == pytest.approx(1.5**2 * 2.0, rel=1e-14)
    assert abs(np.mean(found) - expected) < 5.0 * error + expected / width


@pytest.mark.parametrize("init", INITS)
def test_the_shape_of_units_of_fixed_norm(init):
    """κ₄/(3q²) of one input vector. Tolerance: 5 standard errors of the matrix' rows, and 4/n²."""
    fan_in, rows = 30, 400_000
    x = np.random.default_rng(5).normal(size=fan_in)
    weights = Dense(rows, init=init, weight_gain=1.0, weights="normalized").at(fan_in)
    z = PlainDraw(6).rows(weights) @ x
    q = np.mean(x**2)
    start = Spread(0.0, 0.0, 0.0, 0.0, float(np.mean(x**4) / q**2))
    expected = weights.spread(1.0, start).shape
    fourth = (z / math.sqrt(q)) ** 4 / 3.0
    tolerance = 5.0 * fourth.std() / math.sqrt(rows) + 4.0 / fan_in**2
    assert abs(fourth.mean() - 1.0 - expected) < tolerance
    plain = Dense(rows, init=init, weight_gain=1.0).at(fan_in).spread(1.0, start).shape
    assert abs(fourth.mean() - 1.0 - plain) > tolerance  # that of plain weights is another one


def test_fluctuations_of_standardized_weights_are_unknown():
    state, start = Signal.of_one(Shape(9), (0.7, 1.49, 1.0), OTHER), Spread(0.1, 0.1, 0.0, 0.0, 3.0)
    for form, known in (("normalized", True), ("standardized", False)):
        layer = Dense(9, "relu", weights=form)
        found = layer.spread(layer.moments([state], 2), [start])
        assert isinstance(found, NoTheory) != known


def test_what_no_weights_can_be_is_refused():
    with pytest.raises(InvalidValueError, match="plain with init orthogonal"):
        Dense(4, init="orthogonal", weights="normalized")
    with pytest.raises(InvalidValueError, match="one input"):
        Dense(4, weights="standardized").shape([Shape(1)])
    with pytest.raises(ValueError, match="normalized"):
        Dense(4, weights="normalised")


@pytest.mark.parametrize(
    ("form", "seen"), [("normalized", 0.25), ("standardized", 0.25 - 0.09), ("plain", 0.25)]
)
def test_pre_activations_of_small_inputs_are_small(form, seen):
    """Of rows of norm 1.5: E[z²] = 2.25 E[x²] and the bias, without the mean where rows have the
    sum 0, and nothing where rounding leaves less than nothing."""
    weights = Dense(7, init="lecun_normal", weight_gain=1.5, bias_std=0.2, weights=form).at(20)
    assert pre_second_moment(weights, 0.3, 0.25) == pytest.approx(2.25 * seen + 0.04, rel=1e-14)
    assert pre_second_moment(weights, 0.0, 0.0) == pytest.approx(0.04, rel=1e-14)
    if form == "standardized":
        assert pre_second_moment(weights, 0.3, 0.09 - 1e-9) == pytest.approx(0.04, rel=1e-14)
