"""Statistics and layers match independent implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.activation import ACTIVATIONS, resolve
from snstat.activation.saturated import steep_range
from snstat.engine import draws
from snstat.engine.kernels import counts, dense, statistics
from snstat.engine.kernels.codes import KIND, code_of
from snstat.engine.kernels.layers import DrawnLayer
from snstat.engine.kernels.random import NORMAL, Draw, Law
from snstat.engine.kernels.team import new_team
from snstat.engine.sampler import live_range
from snstat.layers.initialisers import EXCESS, INITIALISERS
from snstat.network.stack import Stack
from snstat.results import MEASURED
from tests.engine import oracle

DTYPES = ["float32", "float64"]
ALONE = new_team(1, np.zeros(1, np.uint8))[0]


def test_the_codes_cover_the_table_of_activations():
    numbers = [code_of(entry).number for entry in ACTIVATIONS.values()]
    assert numbers == list(range(len(ACTIVATIONS)))
    assert code_of(resolve("elu:0.5")) == (KIND.ELU, 0.5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_statistics_do_not_depend_on_blocks(dtype):
    x = np.random.default_rng(5).normal(0.5, 2.0, (11, 6)).astype(dtype)
    whole, out = np.empty(len(MEASURED)), np.empty(len(MEASURED))
    statistics.measure(x, 0.25, 0.125, whole)
    unit_mean, sums = np.empty(11), np.empty((3, statistics.SAMPLE_SUMS, 6))
    centres, powers = np.empty((2, 6)), np.empty((3, statistics.POWERS))
    blocks = [slice(0, 4), slice(4, 8), slice(8, 11)]
    for number, block in enumerate(blocks):
        assert statistics.first_pass(x[block], unit_mean[block], sums[number])
    found = statistics.centre(sums, 11, centres)
    for number, block in enumerate(blocks):
        statistics.second_pass(x[block], unit_mean[block], found[0], centres, powers[number])
    statistics.conclude(11, 6, found, powers, 0.25, 0.125, out)
    # 66 terms of order 10, summed in another order.
    np.testing.assert_allclose(out, whole, rtol=1e-13)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (6, 1), (7, 3), (16, 8)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_statistics_equal_their_definitions(shape, dtype):
    x = np.random.default_rng(3).normal(0.5, 2.0, shape).astype(dtype)
    out = np.empty(len(MEASURED))
    assert statistics.measure(x, 0.25, 0.125, out)
    expected = oracle.statistics(x.T, 0.25, 0.125)
    for name, value in zip(MEASURED, out, strict=True):
        # Sums of at most 128 terms of order 10 in float64.
        np.testing.assert_allclose(value, expected[name], rtol=1e-13, atol=1e-14, err_msg=name)


def test_statistics_do_not_cancel():
    x = 1e4 + np.random.default_rng(4).normal(0.0, 1e-3, (50, 6))
    out = np.empty(len(MEASURED))
    statistics.measure(x, 0.0, math.nan, out)
    exact = np.array([[float(v) for v in row] for row in x - 1e4])  # exact by Sterbenz's lemma
    np.testing.assert_allclose(
        out[1], exact.var(), rtol=1e-9
    )  # with cancellation the error would be 1e4² eps / 1e-6 = 1e-2
    np.testing.assert_allclose(out[3], exact.var(axis=1).mean(), rtol=1e-9)


def test_undefined_statistics_are_missing():
    out = np.empty(len(MEASURED))
    assert statistics.measure(np.zeros((4, 3)), 1.0, math.nan, out)
    known = dict(zip(MEASURED, out, strict=True))
    assert math.isnan(known["cosine"])
    assert math.isnan(known["kurtosis"])
    assert known["variance"] == known["mean"] == 0.0
    assert statistics.measure(np.ones((4, 1)), 1.0, math.nan, out)
    assert math.isnan(out[MEASURED.index("cosine")])


def test_zero_samples_have_no_cosine_and_are_counted():
    x = np.random.default_rng(7).normal(size=(6, 5))
    x[:, [1, 4]] = 0.0
    out = np.empty(len(MEASURED))
    assert statistics.measure(x, 0.0, math.nan, out)
    expected = oracle.statistics(x.T, 0.0)
    for name in ("cosine", "zero_samples", "largest"):
        assert out[MEASURED.index(name)] == pytest.approx(expected[name], rel=1e-13), name
    # A single sample has no pairs.
    x[:, :3] = 0.0
    assert statistics.measure(x, 0.0, math.nan, out)
    assert math.isnan(out[MEASURED.index("cosine")])
    assert out[MEASURED.index("zero_samples")] == 0.8


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "hard_tanh", "erf"])
def test_saturated_values_have_a_flat_slope(name):
    z = np.random.default_rng(8).normal(0.0, 4.0, (60, 50))
    count = counts.count_outside(z, 50, *steep_range(resolve(name)))
    assert count / z.size == oracle.saturated(name, z)
    assert 0.05 < count / z.size < 0.9


@pytest.mark.parametrize("power", [-320, -170, -160, -153, -90, -60, 60, 90, 153, 154, 160, 300])
def test_ratios_of_powers_are_accurate_or_missing_at_any_scale(power):
    x = np.random.default_rng(6).normal(0.5, 1.0, (8, 4))
    out = np.empty(len(MEASURED))
    with np.errstate(over="ignore", under="ignore"):  # plain Python warns
        # Where the squares overflow, the layer is not finite.
        assert statistics.measure(x * 10.0**power, 0.0, math.nan, out) == (power < 154)
    found = dict(zip(MEASURED, out, strict=True))
    exact = oracle.statistics(x.T, 0.0)  # independent of the scale
    # Squares and fourth powers are finite up to 1e±308. Samples with smaller squares are scaled for
    # the cosine; 1e-320 itself is only about 2,000 times the least number.
    for name, low, high in (("cosine", -320, 153), ("kurtosis", -75, 75)):
        assert math.isfinite(found[name]) == (low <= power <= high), name
        if low <= power <= high:
            rounding = 1e-12 if power > -300 else 1e-2
            assert found[name] == pytest.approx(exact[name], rel=rounding)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_non_finite_values_are_noticed_and_leave_no_statistics(bad):
    for position in (0, 7, 14):
        x = np.ones((5, 3), np.float32)
        x.flat[position] = bad
        out = np.zeros(len(MEASURED))
        assert not statistics.measure(x, 0.0, math.nan, out)
        assert np.isnan(out).all()


def test_dead_units_have_no_live_sample():
    z = np.array([[-1.0, -2.0], [-1.0, 0.5], [0.0, -1.0], [3.0, 4.0]])
    assert counts.dead_units(z, *live_range("relu")) == 2  # rows 0 and 2: relu'(0) = 0
    assert counts.dead_units(z, *live_range("hard_tanh")) == 2  # rows 0 and 3
    assert counts.dead_units(z, *live_range("tanh")) == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("input_width", [9, 24, 40])
@pytest.mark.parametrize("init", INITIALISERS)
def test_a_layer_multiplies_by_the_weights_of_draw_weights(init, input_width, dtype):
    stack = Stack.build("identity", 1, 24, init=init, input_width=input_width)
    weights = draws.draw_weights(stack, 1, trial=2, seed=5, dtype=dtype)
    x = draws.draw_inputs("normal", input_width, 6, 0.0, 1.0, trial=2, seed=5, dtype=dtype)
    z = np.empty((24, 6), dtype)
    law = draws.weight_law(stack.layer(1))
    layer = DrawnLayer(input_width, 24, law, Law(NORMAL, 0.0), rows=7, strip=1)
    tiles = np.empty((1, 7 * input_width), dtype)
    if init == "orthogonal":
        layer, tiles = layer._replace(rows=24), None
    dense.preactivate(ALONE, x, z, layer, Draw(np.uint64(5), 2, 1), tiles)
    exact = weights.astype(np.float64) @ x.astype(np.float64)
    # A sum of `input_width` products of order 1, through at most as many reflectors.
    bound = 4 * input_width * np.finfo(dtype).eps
    np.testing.assert_allclose(z, exact, atol=bound)


@pytest.mark.parametrize(
    ("fan_in", "fan_out"), [(40, 40), (70, 40), (40, 70), (1, 1), (1, 4), (4, 1)]
)
def test_orthogonal_weights_have_orthonormal_rows_or_columns(fan_in, fan_out):
    stack = Stack.build(
        depth=1, width=fan_out, init="orthogonal", weight_gain=1.5, input_width=fan_in
    )
    weights = draws.draw_weights(stack, 1, dtype="float64")
    gram = weights @ weights.T if fan_out <= fan_in else weights.T @ weights
    np.testing.assert_allclose(gram, 1.5**2 * np.eye(len(gram)), atol=1e-12)
    # Equal singular values determine the mean square of a weight exactly.
    np.testing.assert_allclose((weights**2).mean(), 1.5**2 / max(fan_in, fan_out), rtol=1e-12)
    variance = stack.layer(1).square_gain / fan_in
    np.testing.assert_allclose(variance, 1.5**2 / max(fan_in, fan_out), rtol=1e-14)
    asked = Stack.build(
        depth=1, width=fan_out, init="orthogonal", weight_std=0.3, input_width=fan_in
    )
    weights = draws.draw_weights(asked, 1, dtype="float64")
    np.testing.assert_allclose((weights**2).mean(), 0.3**2, rtol=1e-12)


def test_orthogonal_weights_are_haar_distributed():
    """Entries and traces of Haar matrices have known moments (Diaconis, Shahshahani 1994)."""
    n, trials = 5, 600
    stack = Stack.build(depth=1, width=n, init="orthogonal")
    matrices = np.array(
        [draws.draw_weights(stack, 1, trial=t, dtype="float64") for t in range(trials)]
    )
    z_bound = 5.0
    traces = np.trace(matrices, axis1=1, axis2=2)
    squares = np.trace(matrices @ matrices, axis1=1, axis2=2)
    # E tr Q = 0, E (tr Q)² = 1, E tr Q² = 1 for the orthogonal group.
    for sample, expected in ((traces, 0.0), (traces**2, 1.0), (squares, 1.0)):
        assert abs(sample.mean() - expected) < z_bound * sample.std() / math.sqrt(trials)
    # Every entry has mean 0, variance 1/n, fourth moment 3/(n (n + 2)).
    for power, expected in ((1, 0.0), (2, 1 / n), (4, 3 / (n * (n + 2)))):
        sample = matrices**power
        z = (sample.mean(axis=0) - expected) / (sample.std(axis=0) / math.sqrt(trials))
        assert np.abs(z).max() < z_bound
    determinants = np.linalg.det(matrices)
    assert abs(determinants.mean()) < z_bound / math.sqrt(trials)


def test_weights_follow_the_distribution_of_their_initialiser():
    width = 40
    for name, scheme in INITIALISERS.items():
        if scheme.distribution == "orthogonal":
            continue
        stack = Stack.build(depth=1, width=width, init=name)
        weights = draws.draw_weights(stack, 1, dtype="float64")
        variance = scheme.square_gain(width, width) / width
        # Var(x²) over variance²: 2 for normals, 4/5 for uniforms; generally 2 plus the excess
        # kurtosis.
        excess = 2.0 + EXCESS[scheme.distribution]
        z = ((weights**2).mean() / variance - 1) * width / math.sqrt(excess)
        assert abs(z) < 5, name
        edge = np.abs(weights).max() / math.sqrt(variance)
        assert (edge <= math.sqrt(3.0)) == (scheme.distribution == "uniform"), name


def test_torch_default_biases_are_uniform_on_one_over_root_fan_in():
    stack = Stack.build(depth=1, width=600, init="torch_default", input_width=50)
    biases = draws.draw_biases(stack, 1)
    bound = 1 / math.sqrt(50)
    assert np.abs(biases).max() <= bound
    z = ((biases.astype(float) ** 2).mean() * 3 / bound**2 - 1) * math.sqrt(600 / 0.8)
    assert abs(z) < 5
