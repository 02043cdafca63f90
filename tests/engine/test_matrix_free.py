"""The matrix-free sampler is exact in distribution, and its factorisation stays accurate."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
from numba import config
from scipy import stats

from snstat.engine.kernels import matrix_free
from snstat.engine.matrix_free import sampler as matrix_free_sampler
from snstat.engine.simulate import one_blas_thread, simulate
from snstat.engine.strategies import STRATEGIES, choose
from snstat.errors import InvalidValueError
from snstat.experiment.data import DataInputs
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from snstat.results import MEASURED

# `make test-laws` takes 20,000.
TRIALS = int(os.environ.get("SNSTAT_TRIALS", "2000"))
# Probability that an exact sampler fails one test. The draws are seeded.
ALARM = 1e-4
SECOND_MOMENT, COSINE = MEASURED.index("second_moment"), MEASURED.index("cosine")


def per_trial(name, stack, inputs, trials, seed=0, dtype="float32"):
    """Return statistics of every trial: (trials, layers, statistics)."""
    sampler = STRATEGIES[name].sampler(stack, inputs, trials, seed, dtype, 1)
    values = np.empty((trials, stack.depth + 1, len(MEASURED)))
    finite = np.empty(stack.depth, np.bool_)
    with one_blas_thread():
        for t in range(trials):
            sampler.begin(t, values[t, 0])
            sampler.advance(range(t, t + 1), 1, values[t, 1:][None], finite[None])
            assert finite.all()
    return values


CASES = [
    # width, batch, activation, init, bias, input width
    (12, 4, "selu", "lecun_normal", None, 12),
    (12, 12, "tanh", "lecun_normal", 0.3, 12),
    (24, 7, "relu", "he_normal", 0.2, 17),
    (48, 4, "gelu", "lecun_normal", None, 48),
    (12, 4, "selu", "orthogonal", None, 12),
    (24, 6, "relu", "orthogonal", 0.2, 17),
    (24, 6, "tanh", "orthogonal", None, 40),
]


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="thousands of trials need compiled kernels")
@pytest.mark.slow
@pytest.mark.parametrize(("width", "batch", "activation", "init", "bias", "inputs"), CASES)
def test_both_samplers_draw_from_one_distribution(width, batch, activation, init, bias, inputs):
    """Mean, variance and distribution of log second moment and cosine agree at every layer."""
    depth = 6
    stack = Stack.build(activation, depth, width, init=init, bias_std=bias, input_width=inputs)
    source = DrawnInputs("normal", inputs, batch, 0.2, 1.0)
    # Seeds differ, because with one seed both samplers draw the same inputs.
    dense = per_trial("dense", stack, source, TRIALS, seed=1)
    free = per_trial("matrix-free", stack, source, TRIALS, seed=2)
    comparisons = depth * 2 * 3
    bound = stats.norm.isf(ALARM / comparisons / 2)
    for layer in range(1, depth + 1):
        for column in (SECOND_MOMENT, COSINE):
            a, b = dense[:, layer, column], free[:, layer, column]
            if column == SECOND_MOMENT:
                a, b = np.log(a), np.log(b)
            z = (a.mean() - b.mean()) / math.hypot(a.std(), b.std()) * math.sqrt(TRIALS)
            assert abs(z) < bound, (layer, column, "mean")
            # The variance of a sample variance is (m4 − m2²)/n.
            squares = [(x - x.mean()) ** 2 for x in (a, b)]
            z = (squares[0].mean() - squares[1].mean()) / math.hypot(*(s.std() for s in squares))
            assert abs(z) * math.sqrt(TRIALS) < bound, (layer, column, "spread")
            assert stats.ks_2samp(a, b).pvalue > ALARM / comparisons, (layer, column, "law")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_statistics_match_activations_computed_by_numpy(dtype):
    """One layer by numpy: F Ξ with the kernel's normals, measured by definition."""
    from snstat.activation import ACTIVATIONS
    from snstat.engine.kernels.random import STANDARD, WEIGHTS, Draw, draw_rows
    from tests.engine import oracle

    width, batch = 300, 5  # two tiles, the second partly filled
    stack = Stack.build("relu", 1, width, bias_std=0.3)
    inputs = DrawnInputs("normal", width, batch, 0.1, 1.0)
    measured = per_trial("matrix-free", stack, inputs, 1, seed=9, dtype=dtype)[0, 1]
    x = inputs.sample(0, 9, dtype).astype(np.float64)
    lower = np.linalg.cholesky(2.0 / width * x.T @ x + 0.09)
    tiles = np.empty((2, batch, matrix_free.tile_width(width)), dtype)
    for number in range(2):
        draw_rows(tiles[number], number * batch, STANDARD, WEIGHTS, Draw(np.uint64(9), 0, 1))
    z = lower @ np.concatenate(tiles, axis=1)[:, :width].astype(np.float64)
    expected = oracle.statistics(ACTIVATIONS["relu"](z), (z <= 0).all(axis=0).mean())
    # A well-conditioned factor and sums of 1,500 terms, in float64. A float32 network rounds the
    # factor, the product and the activation, each by 2^-24 of values up to 10.
    tolerance = 1e-11 if dtype == "float64" else 3 * 10 * 2.0**-24
    for name, value in zip(MEASURED, measured, strict=True):
        np.testing.assert_allclose(
            value, expected[name], rtol=tolerance, atol=tolerance / 10, err_msg=name
        )


@pytest.mark.parametrize("power", [-163, -250, -300])
def test_signals_too_small_to_be_squared_are_propagated(power):
    """tanh is the identity at this scale, so layers and gradients equal those of a linear
    network."""
    rows = np.random.default_rng(2).normal(size=(4, 24))
    found = {}
    for name, scale in (("tanh", 10.0**power), ("identity", 1.0)):
        inputs = DataInputs("rows", rows * scale, 4)
        found[name] = simulate(
            Stack.build(name, 5, 24, weight_gain=0.9), inputs, trials=1, seed=3, dtype="float64",
            sampler="matrix-free", backward=True,
        )  # fmt: skip
    small, plain = found["tanh"].estimate, found["identity"].estimate
    largest = MEASURED.index("largest")
    # Rounding of float64 over a few layers.
    np.testing.assert_allclose(small[:, largest] / 10.0**power, plain[:, largest], rtol=1e-11)
    np.testing.assert_allclose(small[:, COSINE], plain[:, COSINE], atol=1e-11)
    np.testing.assert_allclose(
        found["tanh"].log_gradient, found["identity"].log_gradient, atol=1e-10
    )


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="a thousand layers need compiled kernels")
def test_one_minus_cosine_is_resolved_where_inputs_collapse():
    """ReLU at depth 1,000: 1 − cosine falls to about 1e-5, as in the dense sampler."""
    from snstat.experiment.propagate import propagate

    run = propagate("relu", 1000, width=512, batch=8, trials=16, sampler="matrix-free")
    assert 1e-6 < 1 - run.cosine.estimate[1000] < 1e-4
    dense = propagate("relu", 1000, width=512, batch=8, trials=16, sampler="dense", seed=5)
    error = math.hypot(run.cosine.stderr[1000], dense.cosine.stderr[1000])
    assert abs(run.cosine.estimate[1000] - dense.cosine.estimate[1000]) < 5 * error


def test_identical_samples_stay_identical():
    rows = np.random.default_rng(2).normal(size=(3, 40))
    data = rows[[0, 1, 0, 2, 1]]
    stack = Stack.build("relu", 5, 40)
    inputs = DataInputs("data", data[[0, 2]], 2)
    cosine = per_trial("matrix-free", stack, inputs, 3)[:, :, COSINE]
    np.testing.assert_allclose(cosine, 1.0, rtol=0, atol=1e-12)
    # Identical samples among others also have identical rows in the Gram matrix.
    network = STRATEGIES["matrix-free"].sampler(
        stack, DataInputs("data", data, 5), 1, 0, "float32", 1
    )
    out, finite = np.empty((5, len(MEASURED))), np.empty(5, np.bool_)
    network.begin(0, out[0])
    network.advance(range(1), 1, out[None], finite[None])
    gram = network.states.gram[0]
    for first, second in ((0, 2), (1, 4)):
        # Products of float32 rows that differ at most by rounding, over 40 units.
        rounding = 40 * np.finfo(np.float32).eps * np.abs(gram).max()
        np.testing.assert_allclose(gram[first], gram[second], rtol=0, atol=rounding)


@pytest.mark.parametrize(("width", "batch"), [(1, 1), (2, 1), (5, 5), (4, 9)])
def test_degenerate_shapes_work(width, batch):
    stack = Stack.build(depth=3, width=width)
    measured = simulate(
        stack,
        DrawnInputs("normal", width, batch, 0.0, 1.0),
        trials=2,
        seed=0,
        dtype="float32",
        sampler="matrix-free",
    )
    assert measured.finite.all()
    assert np.isfinite(measured.estimate[:, 0]).all()


def test_zero_inputs_and_overflow():
    stack = Stack.build("relu", 6, 16, weight_gain=1e9)
    options = {"trials": 2, "seed": 0, "dtype": "float32", "sampler": "matrix-free"}
    zero = simulate(stack, DataInputs("zero", np.zeros((3, 16)), 3), **options)
    assert (zero.estimate[:, SECOND_MOMENT] == 0).all()
    measured = simulate(stack, DrawnInputs("normal", 16, 3, 0.0, 1.0), **options)
    first = int(np.flatnonzero(~measured.finite)[0])
    assert first in {4, 5}
    assert np.isnan(measured.estimate[first:]).all()


@pytest.mark.parametrize("init", ["lecun_normal", "orthogonal"])
def test_threads_change_rounding_only(init, monkeypatch):
    monkeypatch.setattr(matrix_free_sampler, "MIN_WORK", 1)  # else so small a layer has one thread
    width = 64 if config.DISABLE_JIT else 1500
    stack = Stack.build("relu", 3, width, init=init, bias_std=0.1)
    inputs = DrawnInputs("normal", width, 6, 0.0, 1.0)
    options = {"trials": 1, "seed": 3, "dtype": "float32", "sampler": "matrix-free"}
    one = simulate(stack, inputs, threads=1, **options)
    for threads in (2, 3):
        many = simulate(stack, inputs, threads=threads, **options)
        # Sums in another order: float64 rounding may change a float32 by one unit in the last
        # place.
        np.testing.assert_allclose(many.estimate, one.estimate, rtol=1e-6, atol=1e-7)


def test_auto_chooses_the_cheaper_exact_sampler():
    wide, batch = Stack.build(width=512), 64
    assert choose(wide, batch, "auto").name == "matrix-free"
    assert choose(wide, 400, "auto").name == "dense"
    assert choose(Stack.build(width=512, init="orthogonal"), batch, "auto").name == "matrix-free"
    assert choose(Stack.build(width=512, init="lecun_uniform"), batch, "auto").name == "dense"
    assert choose(Stack.build(width=512, init="torch_default"), batch, "auto").name == "dense"
    assert choose(wide, batch, "dense").name == "dense"
    assert choose(wide, 600, "matrix-free").name == "matrix-free"
    # The backward pass through an orthonormal frame needs twice the batch in dimensions.
    turned = Stack.build(width=100, init="orthogonal")
    assert choose(turned, 51, "matrix-free").name == "matrix-free"
    assert choose(turned, 50, "matrix-free", backward=True).name == "matrix-free"
    with pytest.raises(InvalidValueError, match="exceeds half the width"):
        choose(turned, 51, "matrix-free", backward=True)
    for stack, samples in (
        (Stack.build(width=512, init="torch_default"), batch),
        (Stack.build(width=32, init="orthogonal"), batch),
    ):
        with pytest.raises(InvalidValueError, match="matrix-free"):
            choose(stack, samples, "matrix-free")


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="tests compiled loops")
def test_results_do_not_depend_on_the_alignment_of_arrays():
    """A loop that both stores and sums would depend on it: see moments.absorb."""
    from snstat.experiment.propagate import propagate

    options = {"width": 8, "batch": 3, "trials": 2, "seed": 7, "dtype": "float64"}
    options |= {"inputs": "uniform", "input_mean": 0.5, "input_std": 2.0}
    random, scattered, seen = np.random.default_rng(0), [], set()
    for _ in range(600):
        scattered = [*scattered[-20:], random.normal(size=random.integers(1, 5000))]
        run = propagate("selu", 2, **options)
        seen.add(run.mean.estimate.tobytes())
    assert len(seen) == 1
