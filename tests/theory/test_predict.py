from __future__ import annotations

import math
import pkgutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import mpmath as mp
import numpy as np
import pytest

from snstat.activation import ACTIVATIONS
from snstat.experiment.data import DataInputs
from snstat.experiment.inputs import DrawnInputs
from snstat.gaussian.centred import centred_moments
from snstat.gaussian.dead import dead_fraction
from snstat.gaussian.expectations import derivative_second_moment, kurtosis, moments
from snstat.network.stack import Stack
from snstat.results import STATISTICS, InputMoments
from snstat.theory.maps import correlation_map, ensemble_map
from snstat.theory.outlook import outlook
from snstat.theory.predict import predict


def drawn(mean=0.0, std=1.0, batch=64):
    """Return the moments of independent normal inputs."""
    second = mean**2 + std**2
    return InputMoments(
        mean=mean,
        variance=std**2,
        second_moment=second,
        variance_over_batch=std**2 * (1 - 1 / batch),
        variance_over_units=std**2,
        cosine=mean**2 / second if second else math.nan,
        kurtosis=3.0 if std else math.nan,
    )


def test_layer_0_is_the_input():
    statistics = predict(Stack.build(depth=3), 64, drawn(0.5, 2.0)).statistics
    assert set(statistics) >= set(STATISTICS)
    statistics = {name: statistics[name] for name in STATISTICS}
    assert {name: values[0] for name, values in statistics.items() if name != "dead_fraction"} == {
        name: getattr(drawn(0.5, 2.0), name) for name in STATISTICS if name != "dead_fraction"
    }
    assert math.isnan(statistics["dead_fraction"][0])


def test_he_relu_keeps_the_second_moment_while_inputs_collapse():
    depth, batch = 64, 16
    found = predict(Stack.build("relu", depth), batch, drawn(batch=batch)).statistics
    cosine = mp.mpf(0)
    for layer in range(1, depth + 1):
        angle = mp.acos(cosine)
        # Cho, Saul 2009, normalised; it is the cosine of the outputs and the next correlation.
        cosine = (mp.sin(angle) + (mp.pi - angle) * mp.cos(angle)) / mp.pi
        # Rounding accumulates: 64 layers of a few units in the last place.
        assert found["second_moment"][layer] == pytest.approx(1.0, rel=1e-13)
        assert found["cosine"][layer] == pytest.approx(float(cosine), rel=1e-13)
        # The relative error of 1 − cosine may be 1e-16/0.008.
        assert found["variance_over_batch"][layer] == pytest.approx(
            float(1 - cosine) * (1 - 1 / batch), rel=1e-12
        )
    assert found["mean"][5] == pytest.approx(1 / math.sqrt(math.pi), rel=1e-14)
    assert found["variance"][5] == pytest.approx(1 - 1 / math.pi, rel=1e-14)
    assert found["variance_over_units"][5] == found["variance"][5]
    # A half-normal with a point mass: E(φ−m)⁴/var² from the moments 1/√2π, 1/2, 2/√2π, 3/2.
    m, second, third, fourth = 1 / math.sqrt(2 * math.pi), 0.5, 2 / math.sqrt(2 * math.pi), 1.5
    central = fourth - 4 * m * third + 6 * m**2 * second - 3 * m**4
    assert found["kurtosis"][9] == pytest.approx(central / (second - m**2) ** 2, rel=1e-13)


def test_erf_follows_its_closed_form_with_biases_and_a_mean():
    gain, bias = 1.7, 0.3
    stack = Stack.build("erf", 12, weight_gain=gain, bias_std=bias)
    prediction = predict(stack, 8, drawn(0.4, 0.9, batch=8))
    second, product = mp.mpf(0.4) ** 2 + mp.mpf(0.9) ** 2, mp.mpf(0.4) ** 2
    for layer in range(1, 13):
        q, overlap = (mp.mpf(gain) ** 2 * x + mp.mpf(bias) ** 2 for x in (second, product))
        second, product = (2 / mp.pi * mp.asin(2 * x / (1 + 2 * q)) for x in (q, overlap))
        growth = mp.mpf(gain) ** 2 * 4 / mp.pi / mp.sqrt(1 + 4 * q)
        statistics = prediction.statistics
        assert prediction.pre_second_moment[layer] == pytest.approx(float(q), rel=1e-13)
        assert prediction.misalignment[layer] == pytest.approx(float(1 - overlap / q), rel=1e-12)
        assert statistics["second_moment"][layer] == pytest.approx(float(second), rel=1e-13)
        assert statistics["cosine"][layer] == pytest.approx(float(product / second), rel=1e-12)
        assert prediction.growth[layer] == pytest.approx(float(growth), rel=1e-13)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_steps_match_the_public_maps(name):
    prediction = predict(Stack.build(name, 3, weight_gain=1.2, bias_std=0.2), 8, drawn(0.3, 1.1))
    q, misalignment = prediction.pre_second_moment, prediction.misalignment
    statistics = prediction.statistics
    for layer in (1, 2):
        mean, variance = ensemble_map(
            name,
            statistics["mean"][layer - 1],
            statistics["variance"][layer - 1],
            weight_gain=1.2,
            bias_std=0.2,
        )
        assert statistics["mean"][layer] == pytest.approx(float(mean), rel=1e-12, abs=1e-15)
        assert statistics["variance"][layer] == pytest.approx(float(variance), rel=1e-12)
        image = correlation_map(
            name, 1 - misalignment[layer], q[layer], weight_gain=1.2, bias_std=0.2
        )
        assert 1 - misalignment[layer + 1] == pytest.approx(float(image), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("q", [1e-8, 0.04, 0.999, 1.001, 30.0, 1e4])
def test_centred_moments_match_the_general_ones(name, q):
    entry = ACTIVATIONS[name]
    found = centred_moments(entry, q)
    mean, variance = moments(entry, 0.0, q)
    # At q = 1e-8 sigmoid varies by 2.5e-5 around 1/2; rounding leaves 1e-16/2.5e-5 per node.
    assert found.mean == pytest.approx(float(mean), rel=1e-13, abs=1e-14 * math.sqrt(variance))
    assert found.variance == pytest.approx(float(variance), rel=1e-11)
    assert found.kurtosis == pytest.approx(float(kurtosis(entry, 0.0, q)), rel=2e-11)
    assert found.derivative_square == pytest.approx(
        float(derivative_second_moment(entry, 0.0, q)), rel=1e-13
    )
    assert found.second_moment == found.variance + found.mean**2


def test_gradients_multiply_backward():
    stack = Stack.build("tanh", 5, 30, input_width=90, weight_gain=1.3)
    prediction = predict(stack, 4, drawn(batch=4))
    growth = prediction.growth
    assert math.isnan(growth[0])
    assert prediction.log_gradient[5] == 0.0
    for layer in range(5):
        # The product starts with layer l + 1; a wider input changes nothing.
        expected = math.log(np.prod(growth[layer + 1 :]))
        assert prediction.log_gradient[layer] == pytest.approx(expected, rel=1e-13)


def test_the_gradient_of_one_layer_is_its_mean_square_slope():
    """tanh with inputs of deviation 13: E[(1 − tanh²)²] = 0.041 by a plain sum."""
    stack = Stack.build("tanh", 1)
    prediction = predict(stack, 64, drawn(std=13.0))
    z = np.linspace(-200.0, 200.0, 400_001)
    weight = np.exp(-0.5 * (z / 13.0) ** 2) / (13.0 * math.sqrt(2.0 * math.pi)) * (z[1] - z[0])
    # The trapezoidal sum of an analytic function that vanishes at both ends is accurate.
    expected = float(((1.0 - np.tanh(z) ** 2) ** 2 * weight).sum())
    assert np.exp(prediction.log_gradient) == pytest.approx([expected, 1.0], rel=1e-12)
    assert outlook(stack, prediction).gradient_factor == pytest.approx(expected, rel=1e-12)


# φ'(0); where left and right differ, the slope of PyTorch's backward pass.
AT_REST = {"relu": 0.0, "leaky_relu": 0.01, "selu": 1.0507009873554805 * 1.6732632423543773}


@pytest.mark.parametrize("name", AT_REST)
def test_gradients_for_zero_inputs_use_the_slope_at_0(name):
    gain, slope = 1.3, AT_REST[name]
    stack = Stack.build(name, 3, 30, input_width=90, weight_gain=gain)
    prediction = predict(stack, 4, drawn(std=0.0, batch=4))
    growth = gain**2 * slope**2
    assert prediction.growth[1:] == pytest.approx([growth] * 3, rel=1e-14)
    expected = [growth**3, growth**2, growth, 1.0]
    assert np.exp(prediction.log_gradient) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("std", [1e-300, 1e-170])
def test_inputs_whose_squares_underflow_are_not_silent(std):
    inputs = DrawnInputs("normal", 64, 8, 0.0, std).moments()
    for name, gain, kind in (
        ("relu", None, "neutral"),
        ("relu", 0.5, "vanishes"),
        ("selu", None, "converges"),
        ("tanh", 0.9, "vanishes"),
    ):
        stack = Stack.build(name, 8, weight_gain=gain)
        assert outlook(stack, predict(stack, 8, inputs)).kind == kind


def test_signals_whose_squares_underflow_are_not_silent():
    stack = Stack.build("leaky_relu", 400, weight_gain=0.01)
    prediction = predict(stack, 8, drawn())
    assert prediction.pre_second_moment[-1] == 0
    # The mean square slope is (1 + 0.01²)/2 at any scale.
    assert prediction.growth[1:] == pytest.approx([1e-4 * 0.50005] * 400, rel=1e-13)
    # Zero weights do silence the network.
    stack = Stack.build("leaky_relu", 3, weight_gain=0.0)
    assert predict(stack, 8, drawn()).log_gradient[0] == -math.inf


def test_selu_gradients_grow_83_fold_over_64_layers():
    stack = Stack.build("selu", 64)
    found = outlook(stack, predict(stack, 64, drawn()))
    assert found.kind == "converges"
    assert found.mean == pytest.approx(0, abs=1e-15)
    assert found.variance == pytest.approx(1, rel=1e-14)
    assert found.rate == pytest.approx(0.782648, abs=5e-7)
    # 64 factors of χ = 1.071575; the error is that of its last digit times 64.
    assert found.gradient_factor == pytest.approx(1.071575**64, rel=64 * 5e-7)


def test_rounding_errors_around_0_are_removed():
    statistics = predict(Stack.build("selu", 2000), 64, drawn()).statistics
    assert not statistics["mean"].any()
    assert not statistics["cosine"].any()
    # Values that are not 0 keep their digits.
    biased = predict(Stack.build("selu", 8, bias_std=1e-6), 64, drawn()).statistics
    assert (biased["cosine"][1:] > 0).all()


def test_the_outlook_for_huge_inputs():
    for name, kind in (("selu", "converges"), ("tanh", "vanishes"), ("relu", "neutral")):
        stack = Stack.build(name, 8)
        assert outlook(stack, predict(stack, 8, drawn(std=1e150))).kind == kind
    stack = Stack.build("selu", 8, weight_gain=1.5)
    found = outlook(stack, predict(stack, 8, drawn(std=1e150)))
    assert (found.kind, found.rate > 1) == ("explodes", True)


def test_silent_differs_from_vanishing():
    for name, gain in (("selu", 1.5), ("relu", None), ("tanh", 1.0)):
        stack = Stack.build(name, 8, weight_gain=gain)
        found = outlook(stack, predict(stack, 8, drawn(std=0.0)))
        assert (found.kind, found.mean, found.variance) == ("silent", 0.0, 0.0)
        assert found.rate is found.gradient_growth is found.gradient_factor is None
    for stack in (Stack.build("sigmoid", 8), Stack.build("tanh", 8, bias_std=0.1)):
        assert outlook(stack, predict(stack, 8, drawn(std=0.0))).kind == "converges"
    stack = Stack.build("selu", 8, weight_gain=0.0)
    found = outlook(stack, predict(stack, 8, drawn()))
    assert (found.kind, found.rate, found.gradient_growth) == ("vanishes", 0.0, 0.0)


def test_one_sample_has_no_cosine():
    statistics = predict(Stack.build("relu", 4), 1, drawn(batch=1)).statistics
    assert np.isnan(statistics["cosine"]).all()
    assert (statistics["variance_over_batch"] == 0).all()
    assert statistics["dead_fraction"][1:] == pytest.approx(0.5, abs=1e-14)


def with_a_zero_row():
    """Return rows of equal norm, except one of zeros, and the mean product of different rows."""
    rows = np.random.default_rng(5).normal(size=(6, 50))
    rows *= np.sqrt(50) / np.linalg.norm(rows, axis=1, keepdims=True)
    rows[2] = 0.0
    products = rows @ rows.T / 50
    return DataInputs("rows", rows, 6), (products.sum() - np.trace(products)) / 30


def test_a_zero_sample_has_no_cosine_but_counts_in_the_variance():
    inputs, product = with_a_zero_row()
    moments, second = inputs.moments(), 5 / 6
    statistics = predict(Stack.build("identity", 3, weight_gain=1.0), 6, moments).statistics
    # The zero sample is excluded from the pairs; 20 of 30 remain.
    assert statistics["cosine"] == pytest.approx(product * 30 / 20, rel=1e-12)
    # The identity preserves every product of two samples.
    gap = (second - product) * (1 - 1 / 6)
    assert statistics["variance_over_batch"] == pytest.approx([gap] * 4, rel=1e-12)
    # With biases or φ(0) ≠ 0 the zero sample gets a cosine.
    for name, bias in (("identity", 0.5), ("sigmoid", 0.0)):
        stack = Stack.build(name, 3, weight_gain=1.0, bias_std=bias)
        cosine = predict(stack, 6, moments).statistics["cosine"]
        assert cosine[0] == pytest.approx(product * 30 / 20, rel=1e-12)
        assert np.isfinite(cosine[1:]).all()
        if bias:
            others = (product * 30 / 20 + 0.25) / 1.25
            with_zero = 0.25 / math.sqrt(0.25 * 1.25)
            # Accurate to 1e-8, because the norms of the other rows are equal only up to rounding.
            assert cosine[1] == pytest.approx((20 * others + 10 * with_zero) / 30, rel=1e-8)


def test_without_a_signal_cosine_and_kurtosis_are_missing():
    statistics = predict(Stack.build("tanh", 3), 8, drawn(std=0.0)).statistics
    assert (statistics["second_moment"] == 0).all()
    assert np.isnan(statistics["cosine"]).all()
    assert np.isnan(statistics["kurtosis"]).all()
    only_bias = predict(Stack.build("tanh", 3, bias_std=0.5), 8, drawn(std=0.0)).statistics
    assert only_bias["cosine"][1:] == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize("name", ["selu", "identity", "softplus"])
def test_overflow_ends_theory_without_warnings(name):
    stack = Stack.build(name, 400, weight_gain=30.0)
    prediction = predict(stack, 8, drawn())
    values = prediction.statistics["second_moment"]
    last = int(np.flatnonzero(np.isfinite(values))[-1])
    assert 50 < last < 400
    assert np.isnan(values[last + 1 :]).all()
    for column in prediction.statistics.values():
        assert not np.isinf(column).any()
    assert outlook(stack, prediction).kind == "explodes"


def test_underflow_gives_no_warnings():
    for name in ("tanh", "selu", "relu", "gelu"):
        stack = Stack.build(name, 400, weight_gain=0.01)
        values = predict(stack, 8, drawn()).statistics["second_moment"]
        assert np.isfinite(values).all()
        assert values[-1] < 1e-300
        assert outlook(stack, predict(stack, 8, drawn())).kind == "vanishes"


def test_aligned_inputs_keep_their_relative_precision():
    # 1 − cosine of the input is 1e-12; rounding the cosine itself would leave four digits.
    mean, std = 1.0, 1e-6
    prediction = predict(Stack.build("identity", 3, weight_gain=1.0), 64, drawn(mean, std))
    expected = std**2 / (mean**2 + std**2)
    assert prediction.misalignment[1:] == pytest.approx([expected] * 3, rel=1e-12)


def test_a_repeated_state_is_not_recomputed():
    stack = Stack.build("selu", 10**5)
    start = time.perf_counter()
    values = predict(stack, 64, drawn(0.3, 0.9)).statistics["second_moment"]
    # It takes about 0.3 s; evaluating every layer would take 20 s.
    assert time.perf_counter() - start < 8
    assert values.shape == (10**5 + 1,)
    assert values[-1] == pytest.approx(1, rel=1e-14)


def test_dead_units_match_orthant_probabilities():
    relu, hard_tanh = ACTIVATIONS["relu"], ACTIVATIONS["hard_tanh"]
    q = np.array([1.0, 4.0, 9.0, 1e-3, 1.0])
    misalignment = np.array([1.0, 0.5, 1e-3, 1e-9, 0.0])
    # Two Gaussians with correlation c are both negative with probability 1/4 + asin(c)/2π, three
    # with 1/8 + 3·asin(c)/4π.
    angle = np.arcsin(1 - misalignment)
    assert dead_fraction(relu, q, misalignment, 2) == pytest.approx(
        0.25 + angle / (2 * np.pi), rel=1e-9
    )
    assert dead_fraction(relu, q, misalignment, 3) == pytest.approx(
        0.125 + 3 * angle / (4 * np.pi), rel=1e-9
    )
    assert dead_fraction(relu, q[:1], misalignment[:1], 64) == pytest.approx(0.5**64, rel=1e-12)
    outside = np.array([math.erfc(1 / math.sqrt(2 * value)) for value in q])
    assert dead_fraction(hard_tanh, q, misalignment, 1) == pytest.approx(outside, rel=1e-12)
    assert dead_fraction(hard_tanh, q[:1], misalignment[:1], 5) == pytest.approx(
        outside[:1] ** 5, rel=1e-12
    )
    # Identical samples have the same dead units.
    assert dead_fraction(hard_tanh, q[-1:], misalignment[-1:], 1000) == pytest.approx(
        outside[-1:], rel=1e-6
    )


def test_dead_units_of_large_batches_match_a_plain_sum():
    t = np.linspace(-12, 12, 400_001)
    from scipy.special import ndtr

    for misalignment, batch in ((0.5, 64), (0.9, 100_000), (0.01, 7)):
        c = 1 - misalignment
        plain = (
            np.exp(-t * t / 2)
            / math.sqrt(2 * math.pi)
            * ndtr(-t * math.sqrt(c / misalignment)) ** batch
        )
        found = dead_fraction(ACTIVATIONS["relu"], np.ones(1), np.array([misalignment]), batch)
        assert found == pytest.approx(plain.sum() * (t[1] - t[0]), rel=1e-8)


def test_dead_units_without_theory():
    relu, tanh = ACTIVATIONS["relu"], ACTIVATIONS["tanh"]
    negative = np.array([1.3, np.nan])
    assert np.isnan(dead_fraction(relu, np.ones(2), negative, 4)).all()
    assert dead_fraction(tanh, np.ones(2), negative, 4).tolist() == [0.0, 0.0]
    # Without a signal the derivative of ReLU is its value at 0.
    assert dead_fraction(relu, np.zeros(1), np.zeros(1), 4).tolist() == [1.0]
    assert dead_fraction(ACTIVATIONS["hard_tanh"], np.zeros(1), np.zeros(1), 4).tolist() == [0.0]


OUTLOOKS = {
    ("relu", None): "neutral",
    ("leaky_relu", None): "explodes",
    ("tanh", None): "vanishes",
    ("tanh", 1.5): "converges",
    ("selu", 1.5): "explodes",
    ("gelu", 1.0): "vanishes",
    ("softplus", math.sqrt(2)): "drifts",
    ("identity", 1.0): "neutral",
}


@pytest.mark.parametrize(("name", "gain"), OUTLOOKS)
def test_outlooks(name, gain):
    stack = Stack.build(name, 32, weight_gain=gain)
    prediction = predict(stack, 8, drawn())
    found = outlook(stack, prediction)
    assert found.kind == OUTLOOKS[name, gain]
    assert found.gradient_factor == pytest.approx(math.exp(prediction.log_gradient[0]))
    if found.kind == "converges":
        deep = predict(Stack.build(name, 3000, weight_gain=gain), 8, drawn()).statistics
        assert found.variance == pytest.approx(deep["variance"][-1], rel=1e-12)


def test_theory_of_one_stack_is_equal_in_all_threads():
    depths = [5, 60, 17, 200] * 2
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        # New gains, so that nothing is cached.
        for gain in (1.401, 1.402, 1.403):
            stacks = [Stack.build("relu", depth, 64, weight_gain=gain) for depth in depths]

            def ends(stacks=stacks):
                return [predict(stack, 8, drawn(batch=8)).pre_second_moment[-1] for stack in stacks]

            with ThreadPoolExecutor(4) as pool:
                found = [future.result() for future in [pool.submit(ends) for _ in range(4)]]
            expected = [gain**2 * (gain**2 / 2.0) ** (depth - 1) for depth in depths]
            for one in found:
                assert one == pytest.approx(expected, rel=1e-12)
    finally:
        sys.setswitchinterval(interval)


def counted(monkeypatch, target, into):
    """Count the calls of the function `target`."""
    original = pkgutil.resolve_name(target)

    def call(*arguments, **options):
        into.append(arguments)
        return original(*arguments, **options)

    monkeypatch.setattr(target, call)


def test_one_sample_needs_no_pairs(monkeypatch):
    """Pairs are computed when one of their statistics is requested, and only once."""
    calls = []
    counted(monkeypatch, "snstat.layers.gaussian_inputs.pair_gap", calls)
    # No other test uses this gain, because chains are cached.
    prediction = predict(Stack.build("tanh", 10, weight_gain=1.2345), 8, drawn(0.3))
    for name in ("mean", "variance", "second_moment", "variance_over_units", "kurtosis"):
        assert np.isfinite(prediction.statistics[name]).all()
    assert np.isfinite(prediction.log_gradient).all()
    assert calls == []
    assert np.isfinite(prediction.statistics["cosine"]).all()
    assert np.isfinite(prediction.misalignment[1:]).all()
    assert len(calls) == 10


def test_stacks_equal_at_infinite_width_are_computed_once(monkeypatch):
    calls = []
    counted(monkeypatch, "snstat.theory.chain.centred_moments", calls)
    for width in (16, 64, 1024):
        for init in ("lecun_normal", "lecun_uniform"):
            stack = Stack.build("tanh", 10, width, weight_gain=1.2346, init=init)
            found = predict(stack, 8, drawn(0.3)).statistics["variance"]
            assert np.isfinite(found).all()
    assert len(calls) == 10


def test_squares_that_underflow_tell_neither_angles_nor_a_mean():
    """GELU of small signals is x/2, so the cosine stays, while squares shrink to 0 by layer 540."""
    inputs = DrawnInputs("normal", 16, 4, 0.0, 1.0).moments()
    found = predict(Stack.build("gelu", 1000, 16), 4, inputs).statistics
    known = found["second_moment"] >= 1e-290
    assert 450 < known.sum() < 500
    assert np.ptp(found["cosine"][400:480]) < 1e-12
    assert np.isnan(found["cosine"][550:]).all()
    assert np.isnan(found["mean"][550:]).all()
    silent = DrawnInputs("normal", 16, 4, 0.0, 0.0).moments()
    assert not predict(Stack.build("gelu", 3, 16), 4, silent).statistics["mean"].any()
