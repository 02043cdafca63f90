"""The loop over depth and trials matches a plain network, is reproducible and can be
interrupted."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from numba import config

import snstat
from snstat.activation import ACTIVATIONS
from snstat.engine import simulate as module
from snstat.engine.draws import draw_biases, draw_weights
from snstat.engine.sampler import live_range
from snstat.engine.simulate import simulate
from snstat.experiment.data import DataInputs
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.initialisers import INITIALISERS
from snstat.network.stack import Stack
from snstat.results import MEASURED, STATISTICS
from tests.engine import oracle

# The same network as of "relu", by a pair of functions.
RELU = lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(z.dtype)


def drawn(stack, batch=5, mean=0.0, std=1.0):
    return DrawnInputs("normal", stack.input_width, batch, mean, std)


def run(stack, inputs=None, *, trials=3, seed=0, dtype="float32", sampler="dense", **options):
    inputs = inputs or drawn(stack)
    options |= {"seed": seed, "dtype": dtype, "sampler": sampler}
    return simulate(stack, inputs, trials=trials, **options)


def plain_network(stack, inputs, trial, seed):
    """Return statistics of each layer of the same network, by numpy in float64."""
    x = inputs.sample(trial, seed, "float64").T
    results = [oracle.statistics(x, math.nan)]
    low, high = live_range(stack.activation)
    for index in range(1, stack.depth + 1):
        weights = draw_weights(stack, index, trial=trial, seed=seed, dtype="float64")
        biases = draw_biases(stack, index, trial=trial, seed=seed, dtype="float64")
        z = x @ weights.T + biases
        x = ACTIVATIONS[stack.activation](z)
        dead = np.mean(((z <= low) | (z >= high)).all(axis=0))
        results.append(oracle.statistics(x, dead, oracle.saturated(stack.activation, z)))
    return results


@pytest.mark.parametrize(
    ("activation", "init", "bias_std"),
    [
        ("selu", "lecun_normal", None),
        ("relu", "he_uniform", 0.3),
        ("tanh", "orthogonal", 0.1),
        ("gelu", "torch_default", None),
        ("hard_tanh", "glorot_uniform", 0.5),
    ],
)
def test_a_run_matches_a_network_with_its_weights(activation, init, bias_std):
    stack = Stack.build(activation, 4, 12, init=init, bias_std=bias_std, input_width=7)
    inputs = DrawnInputs("uniform", 7, 5, 0.2, 1.1)
    measured = run(stack, inputs, dtype="float64", seed=11)
    trials = [plain_network(stack, inputs, trial, 11) for trial in range(3)]
    for layer in range(5):
        for column, name in enumerate(MEASURED):
            values = np.array([trial[layer][name] for trial in trials])
            # Rounding of float64 over four layers, each amplified by at most a few units.
            np.testing.assert_allclose(
                measured.estimate[layer, column], values.mean(), rtol=1e-11, atol=1e-12
            )
            np.testing.assert_allclose(
                measured.stderr[layer, column],
                values.std(ddof=1) / math.sqrt(3),
                rtol=1e-9,
                atol=1e-12,
            )


def same(a, b):
    np.testing.assert_array_equal(a.estimate, b.estimate)
    np.testing.assert_array_equal(a.stderr, b.stderr)


@pytest.mark.parametrize("init", ["lecun_normal", "orthogonal"])
def test_results_do_not_depend_on_threads_or_blocks(init, monkeypatch):
    stack = Stack.build(depth=9, width=20, init=init)
    one = run(stack, threads=1)
    same(one, run(stack, threads=3))
    monkeypatch.setattr(module, "BLOCK_VALUES", 1)  # less than what one layer has
    same(one, run(stack, threads=2))
    monkeypatch.setattr(module, "BLOCK_SECONDS", 0.0)
    same(one, run(stack, threads=2))


def test_the_seed_determines_results_and_more_trials_extend_them():
    stack = Stack.build(depth=3, width=10)
    same(run(stack), run(stack))
    other = run(stack, seed=1)
    assert (other.estimate[1:, 0] != run(stack).estimate[1:, 0]).all()
    assert np.isnan(run(stack, trials=1).stderr).all()


# Of these, some overflow and others do not.
TRIALS = 12


@pytest.mark.parametrize(
    ("activation", "sampler"), [("relu", "dense"), ("relu", "matrix-free"), (RELU, "dense")]
)
def test_trials_that_share_a_call_of_a_kernel_do_not_meet(activation, sampler, monkeypatch):
    # The gain leads some of the trials to overflow, at different layers of both stretches.
    stack = Stack.build(activation, widths="3*14,4*5", weight_std=3000.0, last="tanh")
    found = {}
    for shares in (1, TRIALS):
        monkeypatch.setattr(module, "SHARES", shares)
        found[shares] = run(stack, trials=TRIALS, sampler=sampler, threads=1, keep_trials=True)
    lost = np.isnan(found[1].values[:, :, 0]).sum(axis=1)
    assert {0, 7, 8} <= set(lost)  # the second stretch has five layers
    np.testing.assert_array_equal(found[1].values, found[TRIALS].values)
    np.testing.assert_array_equal(found[1].finite, found[TRIALS].finite)


@pytest.mark.parametrize(
    ("activation", "sampler"), [("relu", "dense"), ("relu", "matrix-free"), (RELU, "dense")]
)
@pytest.mark.parametrize("widths", ["6,9*10", "9*7,8*4"])
def test_trials_that_share_a_call_keep_their_own_way_back(activation, sampler, widths, monkeypatch):
    stack = Stack.build(activation, widths=widths, weight_std=3000.0)
    options = {"trials": TRIALS, "sampler": sampler, "threads": 1, "backward": True}
    found = {}
    for shares in (1, TRIALS):
        monkeypatch.setattr(module, "SHARES", shares)
        found[shares] = run(stack, **options).log_gradient
    lost = np.isnan(found[1]).all(axis=1)
    assert 0 < lost.sum() < TRIALS
    np.testing.assert_array_equal(found[1], found[TRIALS])


@pytest.mark.parametrize("widths", ["8*4", "6,9*10,5"])
def test_gradients_of_a_pair_of_functions_are_those_of_the_activation_that_it_is(widths):
    options = {"dtype": "float64", "backward": True}
    stacks = [Stack.build(of, widths=widths, init="he_normal") for of in (RELU, "relu")]
    own, known = (run(stack, **options) for stack in stacks)
    assert np.isfinite(own.log_gradient).all()
    # Rounding of products over a few layers.
    np.testing.assert_allclose(own.log_gradient, known.log_gradient, rtol=0, atol=1e-12)


def test_layers_of_many_values_are_run_one_at_a_time(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_VALUES", 0)
    monkeypatch.setattr(module, "BLOCK_SECONDS", 1e3)
    stack, counts = Stack.build(depth=5, width=4), list[int]()
    assert len(run(stack, trials=1, progress=counts.append).finite) == 6
    assert counts[-5:] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("width", "batch"), [(1, 1), (1, 4), (3, 1), (5, 9)])
def test_degenerate_shapes_work(width, batch):
    stack = Stack.build(depth=2, width=width)
    measured = run(stack, drawn(stack, batch))
    assert measured.finite.all()
    assert len(measured.finite) == 3
    assert np.isfinite(measured.estimate[:, STATISTICS.index("mean")]).all()


def test_zero_and_identical_inputs():
    stack = Stack.build("relu", 2, 8)
    zero = run(stack, DataInputs("zero", np.zeros((4, 8)), 4))
    assert (zero.estimate[:, STATISTICS.index("second_moment")] == 0).all()
    assert np.isnan(zero.estimate[:, STATISTICS.index("cosine")]).all()
    same_rows = np.tile(np.random.default_rng(0).normal(size=8), (4, 1))
    identical = run(stack, DataInputs("same", same_rows, 4))
    cosine = identical.estimate[:, STATISTICS.index("cosine")]
    np.testing.assert_allclose(cosine, 1.0, rtol=1e-12)
    assert (identical.estimate[:, STATISTICS.index("variance_over_batch")] == 0).all()


@pytest.mark.parametrize("bias", [0.0, 0.5])
@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
def test_a_zero_sample_is_counted_and_excluded_until_biases_move_it(sampler, bias):
    rows = np.random.default_rng(0).normal(size=(4, 8))
    rows[1] = 0.0
    stack = Stack.build("tanh", 2, 8, bias_std=bias)
    measured = run(stack, DataInputs("rows", rows, 4), sampler=sampler)
    missing = np.isnan(measured.estimate[:, STATISTICS.index("cosine")])
    assert not missing.any()
    zeros = measured.estimate[:, MEASURED.index("zero_samples")]
    assert zeros.tolist() == [0.25, 0.25 * (bias == 0), 0.25 * (bias == 0)]
    assert np.isfinite(measured.estimate[:, STATISTICS.index("variance_over_batch")]).all()


def test_an_overflow_is_found_at_its_layer_and_everything_after_is_missing():
    stack = Stack.build("relu", 9, 6, weight_gain=1e9)
    measured = run(stack)
    first = int(np.flatnonzero(~measured.finite)[0])
    # 38 decades of float32 at 9 decades per layer.
    assert first in (4, 5)
    assert not measured.finite[first:].any()
    assert np.isnan(measured.estimate[first:]).all()
    assert np.isfinite(measured.estimate[:first, 0]).all()


def test_inputs_not_finite_in_the_network_dtype_are_reported_at_layer_0():
    stack = Stack.build(depth=2, width=3)
    measured = run(stack, DataInputs("huge", np.full((2, 3), 1e300), 2))
    assert not measured.finite.any()


def test_an_interrupt_returns_the_layers_that_all_trials_completed():
    # The run takes seconds, because on a busy machine the first progress call may come late.
    depth = 1_000_000
    stack = Stack.build(depth=depth, width=4)
    calls = []

    def interrupt(done):
        calls.append(done)
        if len(calls) == 2:
            raise KeyboardInterrupt

    measured = run(stack, progress=interrupt)
    assert measured.interrupted
    layers = len(measured.finite)
    assert 1 <= layers <= depth
    assert measured.estimate.shape == (layers, len(MEASURED))
    assert measured.finite.all()
    short = run(Stack.build(depth=layers - 1, width=4)) if layers > 1 else None
    if short is not None:
        np.testing.assert_array_equal(short.estimate, measured.estimate)


def test_progress_counts_every_layer_of_every_trial():
    seen = []
    run(Stack.build(depth=5, width=4), trials=2, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 10


@pytest.mark.parametrize("init", INITIALISERS)
def test_every_initialiser_gives_its_variance_at_the_first_layer(init):
    width = 16 if config.DISABLE_JIT else 64
    stack = Stack.build("identity", 1, width, init=init)
    measured = run(stack, drawn(stack, 16), trials=8)
    layer = stack.layer(1)
    expected = layer.square_gain + layer.bias_std**2
    column = STATISTICS.index("second_moment")
    # Values of 16 samples, correlated through weights and inputs, contain at least 8 · 16
    # independent ones.
    assert abs(measured.estimate[1, column] / expected - 1) < 5 * math.sqrt(2 / 128)


def test_each_trial_draws_its_own_subset_of_the_data():
    data = np.arange(40, dtype=np.int64).reshape(20, 2)
    inputs = DataInputs("data", data, 6)
    one, two = inputs.sample(0, 3, "float32"), inputs.sample(1, 3, "float32")
    assert one.shape == (2, 6)
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(one, inputs.sample(0, 3, "float32"))
    np.testing.assert_array_equal(one[1] - one[0], 1.0)  # whole rows
    everything = DataInputs("data", data, 20).sample(0, 3, "float64")
    np.testing.assert_array_equal(everything, data.T)


def test_moments_of_data_are_the_mean_over_random_batches():
    data = np.random.default_rng(7).normal(0.3, 1.0, (9, 5)) * np.arange(1, 10)[:, None]
    whole = DataInputs("data", data, 9).moments()
    expected = oracle.statistics(data, math.nan)
    for name in STATISTICS[:-1]:
        np.testing.assert_allclose(whole[name], expected[name], rtol=1e-12, err_msg=name)
    batches = 4000
    inputs = DataInputs("data", data, 4)
    samples = [
        oracle.statistics(inputs.sample(t, 0, "float64").T, math.nan) for t in range(batches)
    ]
    moments = inputs.moments()
    for name in STATISTICS[:6]:
        values = np.array([sample[name] for sample in samples])
        z = (values.mean() - moments[name]) / (values.std() / math.sqrt(batches))
        assert abs(z) < 5, name
    assert math.isnan(moments.kurtosis)


@pytest.mark.parametrize("power", [-300, -160, -90, 90, 154, 300])
def test_moments_of_data_of_any_scale_are_accurate_or_missing(power):
    data = np.random.default_rng(8).normal(0.5, 1.0, (4, 6))
    exact = oracle.statistics(data, math.nan)
    found = DataInputs("data", data * 10.0**power, 4).moments()
    assert found.cosine == pytest.approx(exact["cosine"], rel=1e-12)
    # Fourth powers overflow or underflow.
    assert not math.isfinite(found.kurtosis)
    assert found.mean == pytest.approx(exact["mean"] * 10.0**power, rel=1e-12)
    alike = DataInputs("data", np.full((3, 4), 10.0**power), 3).moments()
    assert alike.cosine == pytest.approx(1.0, rel=1e-15)


@pytest.mark.parametrize("scale", [1e-200, 1e-160, 1e-90, 1e90])
def test_moments_of_drawn_inputs_of_any_scale(scale):
    found = DrawnInputs("normal", 5, 4, scale, 2 * scale).moments()
    assert found.cosine == pytest.approx(1 / 5, rel=1e-15)  # m²/(m² + 4m²)
    assert found.kurtosis == 3.0
    # Var(x²) = 2s⁴ + 4m²s² = 48m⁴, over 5 units and relative to (m² + s²)² = 25m⁴.
    assert found.length_variance == pytest.approx(48 / 25 / 5, rel=1e-14)
    assert not found.silent
    assert DrawnInputs("normal", 5, 4, 0.0, scale).moments().cosine == 0.0
    assert not DrawnInputs("normal", 5, 4, 0.0, scale).moments().silent
    assert DrawnInputs("normal", 5, 4, 0.0, 0.0).moments().silent


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # plain Python warns
@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
@pytest.mark.parametrize("power", [-160, 154, 300])
def test_the_cosine_is_missing_where_squares_overflow(power, sampler):
    data = np.full((3, 4), 10.0**power)
    measured = run(
        Stack.build(depth=1, width=8, input_width=4),
        DataInputs("data", data, 3),
        dtype="float64",
        sampler=sampler,
    )
    cosine = measured.estimate[0, STATISTICS.index("cosine")]
    if power < 0:
        assert cosine == pytest.approx(1.0)  # small inputs are scaled
    else:
        assert np.isnan(cosine)
    if power > 0 and sampler == "matrix-free":
        # Everything is computed from sums of squares, so that there is no layer 1.
        assert not measured.finite.any()


def test_trials_with_the_same_inputs_have_zero_standard_error():
    data = np.random.default_rng(0).normal(3.0, 1.0, (6, 64))
    measured = simulate(
        Stack.build(depth=1, width=64),
        DataInputs("data", data, 6),
        trials=3,
        seed=0,
        dtype="float32",
    )
    assert (measured.stderr[0, : STATISTICS.index("kurtosis")] == 0).all()
    assert (measured.stderr[1, : STATISTICS.index("kurtosis")] > 0).all()


@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
def test_layers_are_not_finite_where_squares_overflow(sampler):
    """Activations of 1e178 are finite, but their second moments and all later layers are not."""
    stack = Stack.build("identity", 8, 16, weight_gain=1e30)
    found = simulate(
        stack, DrawnInputs("normal", 16, 4, 0.0, 1.0), trials=2, seed=0, dtype="float64",
        sampler=sampler,
    )  # fmt: skip
    assert found.finite.tolist() == [True] * 6 + [False] * 3
    assert np.isnan(found.estimate[6:]).all()
    huge = simulate(
        stack, DataInputs("data", np.full((3, 16), 1e300), 3), trials=2, seed=0, dtype="float64",
        sampler=sampler,
    )  # fmt: skip
    assert not huge.finite.any()


@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
@pytest.mark.parametrize("gain", [None, 1.5])
def test_an_orthogonal_layer_of_more_units_than_inputs_preserves_norms(sampler, gain):
    """17 → 64: in every network the second moment is 17/64 of that of the inputs, as in theory."""
    from snstat.experiment.propagate import propagate

    data = np.random.default_rng(0).normal(size=(64, 17))
    run = propagate(
        "identity", 1, width=64, init="orthogonal", weight_gain=gain, inputs=data, batch=8,
        trials=3, dtype="float64", sampler=sampler, backward=True,
    )  # fmt: skip
    share = (gain or 1.0) ** 2 * 17 / 64
    second = run.second_moment
    # The second moment of each batch, not of all data: the ratio is exact for each batch.
    np.testing.assert_allclose(second.estimate[1], share * second.estimate[0], rtol=1e-12)
    np.testing.assert_allclose(second.theory[1], share * second.theory[0], rtol=1e-12)
    # Norms of gradients are not preserved: a 64-vector keeps 17 of its directions.
    assert abs(run.gradient.z[0]) < 5


@pytest.mark.parametrize("init", ["he_normal", "orthogonal"])
@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
@pytest.mark.parametrize("power", [-565, -900])
def test_cosines_do_not_depend_on_the_size_of_the_signal(init, sampler, power):
    """ReLU keeps factors, and a power of two is exact: only sums of squares, which are no floats
    then, could tell both apart. The tolerance is that of sums of 32 products."""
    options = {
        "width": 32, "batch": 4, "trials": 2, "dtype": "float64", "sampler": sampler, "init": init,
    }  # fmt: skip
    ordinary = snstat.propagate("relu", 2, **options)
    scaled = snstat.propagate("relu", 2, **options, input_std=2.0**power)
    np.testing.assert_allclose(scaled.cosine.estimate, ordinary.cosine.estimate, atol=1e-12)
    assert not scaled.zero_samples.estimate.any()


def test_its_module_loads_no_kernels():
    """Others take from it how many cores there are."""
    program = "import sys, snstat.engine.simulate\nsys.exit('numba' in sys.modules)"
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
