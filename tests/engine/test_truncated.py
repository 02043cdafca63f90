"""Truncated normals match scipy's quantiles value by value, and its distribution as a whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import config
from scipy import stats
from scipy.special import erfinv

from snstat.engine.draws import draw_weights
from snstat.engine.kernels import random
from snstat.engine.kernels.truncated import INSIDE, cut_normal, cut_normal_double
from snstat.layers.initialisers import EXCESS, TRUNCATED_STD
from snstat.network.stack import Stack

LAW = stats.truncnorm(-2.0, 2.0)
WIDTH, FAN_IN = (30, 50) if config.DISABLE_JIT else (300, 500)
# False-alarm probability of a test; ten tests together reach one in ten thousand.
ALARM = 1e-5
WORDS = np.concatenate(
    [
        np.array([0, 1, 2**30, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1], np.uint32),
        np.random.default_rng(0).integers(0, 2**32, 3000, np.uint32),
    ]
)


def quantile(t):
    """Return the quantile at (1 + t)/2 of the standard normal truncated at ±2."""
    return math.sqrt(2.0) * erfinv((stats.norm.cdf(2.0) - stats.norm.cdf(-2.0)) * t)


def test_constants_match_the_distribution():
    assert stats.norm.cdf(2.0) - stats.norm.cdf(-2.0) == pytest.approx(INSIDE, rel=1e-15)
    assert LAW.std() == pytest.approx(TRUNCATED_STD, rel=1e-12)
    assert LAW.stats("k") == pytest.approx(EXCESS["truncated_normal"], rel=1e-9)
    assert stats.uniform.stats(moments="k") == pytest.approx(EXCESS["uniform"], rel=1e-12)


def test_single_values_are_quantiles():
    t = (WORDS.view(np.int32).astype(np.float64) + 0.5) * 2.0**-31
    values = np.array([cut_normal(word, np.float32(3.0)) for word in WORDS])
    # t is rounded to half an ulp, which the relative slope of the quantile at the edge multiplies
    # by 8.8/2. Thirteen more roundings add half an ulp each, and the formula's error is 2e-8.
    tolerance = (0.5 * 4.4 + 13 * 0.5) * 2.0**-23 + 2.1e-8
    np.testing.assert_allclose(values, 3.0 * quantile(t), rtol=tolerance)
    assert np.abs(values).max() <= 6.0


def test_double_values_are_quantiles():
    t = (WORDS.astype(np.float64) - 2.0**31 + 0.25 + 2.0**-33) * 2.0**-31
    second = np.uint64(2**30)
    values = np.array([cut_normal_double(np.uint64(word), second, 3.0) for word in WORDS])
    # The same in float64, where the formula's error (3.4e-7)³ is negligible.
    np.testing.assert_allclose(values, 3.0 * quantile(t), rtol=20 * 2.0**-52)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("init", ["lecun_truncated", "he_truncated", "glorot_truncated"])
def test_weights_are_truncated_at_two_standard_deviations_and_rescaled(init, dtype):
    stack = Stack.build(depth=1, width=WIDTH, init=init, input_width=FAN_IN)
    weights = draw_weights(stack, 1, dtype=dtype).astype(np.float64).ravel()
    variances = {"lecun": 1 / FAN_IN, "he": 2 / FAN_IN, "glorot": 2 / (WIDTH + FAN_IN)}
    variance = variances[init.partition("_")[0]]
    assert stack.layer(1).square_gain == pytest.approx(FAN_IN * variance, rel=1e-15)
    parent = math.sqrt(variance) / LAW.std()
    assert np.abs(weights).max() <= 2.0 * parent * (1 + 1e-6)
    assert stats.kstest(weights / parent, LAW.cdf).pvalue > ALARM
    # Var(w²) = (kurtosis − 1) variance².
    z = ((weights**2).mean() / variance - 1) * math.sqrt(weights.size / (2.0 + LAW.stats("k")))
    assert abs(z) < stats.norm.isf(ALARM / 2)


@pytest.mark.parametrize("init", ["lecun_truncated", "he_truncated", "glorot_truncated"])
def test_weight_std_is_the_value_before_truncation(init):
    """As in Keras' TruncatedNormal(stddev=0.02): truncated at ±0.04 and not rescaled."""
    stack = Stack.build(depth=1, width=WIDTH, init=init, input_width=FAN_IN, weight_std=0.02)
    weights = draw_weights(stack, 1).astype(np.float64).ravel()
    assert np.abs(weights).max() <= 0.04 * (1 + 1e-6)
    assert stats.kstest(weights / 0.02, LAW.cdf).pvalue > ALARM
    assert stack.layer(1).square_gain == pytest.approx(FAN_IN * (0.02 * LAW.std()) ** 2, rel=1e-12)
    # Gains follow the contract: variance G²/fan_in.
    gained = Stack.build(depth=1, width=WIDTH, init=init, input_width=FAN_IN, weight_gain=1.5)
    assert gained.layer(1).square_gain == 2.25


@pytest.mark.parametrize("init", ["lecun_normal", "he_uniform", "glorot_truncated", "orthogonal"])
def test_weights_have_the_given_standard_deviation(init):
    stack = Stack.build(depth=2, width=WIDTH, init=init, input_width=FAN_IN, weight_std=0.02)
    for index in (1, 2):
        weights = draw_weights(stack, index, dtype="float64")
        kept = LAW.std() if init.endswith("truncated") else 1.0
        # Of a mean square of n values, whose relative standard deviation is at most √2.
        error = 0.5 * math.sqrt(2.0 / weights.size)
        assert weights.std() / (0.02 * kept) == pytest.approx(1.0, abs=5 * error)


def test_truncated_and_normal_weights_share_no_values():
    laws = [Stack.build(depth=1, width=8, init=f"lecun_{law}") for law in ("normal", "truncated")]
    normal, cut = (draw_weights(stack, 1) for stack in laws)
    assert not np.isin(normal, cut).any()
    assert random.LAWS == {"normal": 0, "uniform": 1, "truncated_normal": 2}
