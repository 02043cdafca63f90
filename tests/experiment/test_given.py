"""Runs with given weights: simulation beside plain numpy, and the unit map of every unit."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

import snstat
from snstat import limits
from snstat.checks.request import verdict_on
from snstat.engine.kernels import dense_backward
from snstat.engine.kernels.random import Draw
from snstat.errors import InputFileError, InvalidValueError
from snstat.experiment.call import Call
from snstat.experiment.inputs import DrawnInputs
from snstat.experiment.plans import plan_again
from snstat.results import GRADIENT
from snstat.theory.given_units import OF_UNITS, Units, given_statistics

ERRORS = 5.0  # of 8 trials or more; p < 0.002 for Student's t of 7 degrees


def arrays_of(widths, *, seed=0, gain=1.0, mean=0.0, biases=False):
    """Return matrices of independent normal weights, N(mean/fan_in, gain²/fan_in)."""
    g, found = np.random.default_rng(seed), {}
    for number, (fan_in, units) in enumerate(pairwise(widths), 1):
        w = gain * g.standard_normal((units, fan_in)) / np.sqrt(fan_in) + mean / fan_in
        found[f"fc{number}.weight"] = w
        if biases:
            found[f"fc{number}.bias"] = 0.3 * g.standard_normal(units)
    return found


def plain_run(arrays, x, phi, slope, read_out):
    """Return the values (units, batch) of every layer, and ln of the squared gradients over that of
    the last, for these inputs (units, batch) and this read-out."""
    values, slopes, matrices = [x], [], []
    for name, w in arrays.items():
        if name.endswith("weight"):
            z = w @ values[-1]
            bias = arrays.get(name.replace("weight", "bias"))
            z = z if bias is None else z + bias[:, None]
            matrices.append(w)
            values.append(phi(z))
            slopes.append(slope(z))
    h, squares = read_out, [np.sum(read_out**2)]
    for w, own in zip(matrices[::-1], slopes[::-1], strict=True):
        h = w.T @ (own * h)
        squares.insert(0, np.sum(h**2))
    return values, np.log(squares) - np.log(squares[-1])


@pytest.mark.parametrize("biases", [False, True])
def test_simulation_is_that_of_plain_numpy(biases):
    arrays = arrays_of([5, 7, 4, 3], gain=1.3, biases=biases)
    x = np.random.default_rng(1).standard_normal((6, 5))
    run = snstat.propagate(
        "tanh", weights=arrays, inputs=x, trials=3, dtype="float64", backward=True, seed=9
    )
    logs = []
    for trial in range(3):
        h = np.empty((3, 6))
        dense_backward.read_out(h, Draw(np.uint64(9), trial, 3))
        values, log = plain_run(arrays, x.T, np.tanh, lambda z: 1 / np.cosh(z) ** 2, h)
        logs.append(log)
    np.testing.assert_allclose(np.log(run.gradient.estimate), np.mean(logs, axis=0), atol=1e-12)
    for layer, found in zip(run.layers, values, strict=True):
        assert layer.mean.estimate == pytest.approx(found.mean(), rel=1e-12)
        assert layer.variance.estimate == pytest.approx(found.var(), rel=1e-12)
        assert layer.second_moment.estimate == pytest.approx((found**2).mean(), rel=1e-12)
        over_units = found.var(axis=0).mean()
        assert layer.variance_over_units.estimate == pytest.approx(over_units, rel=1e-12)
        assert layer.variance_over_batch.estimate == pytest.approx(found.var(axis=1).mean())


def test_the_last_layer_may_be_linear():
    arrays = arrays_of([4, 4, 2], gain=2.0)
    x = np.random.default_rng(1).standard_normal((8, 4))
    run = snstat.propagate("relu", weights=arrays, inputs=x, last="linear", dtype="float64")
    hidden = np.maximum(arrays["fc1.weight"] @ x.T, 0)
    found = arrays["fc2.weight"] @ hidden
    assert run.mean.estimate[2] == pytest.approx(found.mean(), rel=1e-12)


def by_quadrature(function, mean, std):
    """Return E of a function of N(mean, std²)."""

    def integrand(z):
        return function(mean + std * z) * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)

    return sum(quad(integrand, a, b, epsabs=1e-13)[0] for a, b in ((-12, 0), (0, 12)))


def test_the_unit_map_is_that_of_every_unit():
    g = np.random.default_rng(3)
    layers = [
        Units("tanh", g.standard_normal(n), g.uniform(0.2, 3.0, n), g.standard_normal(n))
        for n in (3, 4)
    ]
    batch, inputs = 4, DrawnInputs("normal", 2, 4, 0.4, 1.5).moments()
    found = given_statistics(layers, batch, inputs, backward=True)
    mean, variance, logs = 0.4, 1.5**2, [0.0]
    for number, layer in enumerate(layers, 1):
        at = [(m, np.sqrt(v)) for m, v in zip(
            mean * layer.sums + layer.offsets, variance * layer.squares, strict=True
        )]  # fmt: skip
        first = np.array([by_quadrature(np.tanh, *own) for own in at])
        second = np.array([by_quadrature(lambda z: np.tanh(z) ** 2, *own) for own in at])
        slopes = np.array([by_quadrature(lambda z: np.cosh(z) ** -4, *own) for own in at])
        own = np.mean(second - first**2)
        mean, variance = first.mean(), second.mean() - first.mean() ** 2
        expected = {
            "mean": mean,
            "variance": variance - own / (batch * len(at)),
            "second_moment": second.mean(),
            "variance_over_units": variance - own / len(at),
        }
        for name in OF_UNITS:
            assert found[name][number] == pytest.approx(expected[name], rel=1e-9), name
        logs.append(np.log(np.mean(layer.squares * slopes)))
    np.testing.assert_allclose(
        found[GRADIENT], [logs[1] + logs[2], logs[2], 0.0], rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("activation", ["selu", "tanh"])
def test_fresh_weights_follow_the_unit_map_within_their_error(activation):
    width, depth = 512, 3
    arrays = arrays_of([width] * (depth + 1), seed=4)
    run = snstat.propagate(
        activation, weights=arrays, batch=16, trials=16, backward=True, dtype="float64"
    )
    # The unit map takes units for independent. That is off by a few times 1/width in every layer.
    beyond = 3.0 * np.arange(depth + 1) / width
    for name in (*OF_UNITS, GRADIENT):
        found = run.statistics[name]
        off = np.abs(found.estimate - found.expected)
        scale = found.expected if name == GRADIENT else 1.0
        assert np.isfinite(found.expected).all()
        allowed = ERRORS * found.error + (beyond[::-1] if name == GRADIENT else beyond) * scale
        assert (off <= allowed).all(), name
        assert np.isnan(found.neglected[1:]).all()


def test_units_with_large_sums_are_far_from_the_ensemble_and_follow_the_unit_map():
    """Inputs of mean 1 meet rows of sum 2: the unit map has pre-activations of mean 2, independent
    weights of that mean square have none."""
    arrays = arrays_of([512, 512], mean=2.0, gain=0.5)
    run = snstat.propagate("tanh", weights=arrays, input_mean=1.0, trials=8, batch=16)
    for name in ("mean", "second_moment", "variance"):
        found = run.statistics[name]
        off = np.abs(found.estimate - found.expected)[1]
        assert off <= ERRORS * found.stderr[1] + 1e-3
        assert abs(found.estimate[1] - found.theory[1]) > 100 * found.stderr[1]
    assert run.mean.theory[1] == 0.0
    assert run.mean.z[1] == pytest.approx(
        (run.mean.estimate[1] - run.mean.expected[1]) / run.mean.stderr[1]
    )


def test_theory_is_that_of_independent_weights_of_the_same_mean_squares():
    arrays = arrays_of([6, 5, 4], gain=1.7, biases=True)
    run = snstat.propagate("relu", weights=arrays, trials=2)
    gains = [np.sqrt(w.shape[1] * np.mean(w**2)) for w in arrays.values() if w.ndim == 2]
    stds = [np.sqrt(np.mean(b**2)) for b in arrays.values() if b.ndim == 1]
    square = 1.0
    for layer, gain, std in zip(run.layers[1:], gains, stds, strict=True):
        square = (gain**2 * square + std**2) / 2  # E[relu²] is half of that of its input
        assert layer.second_moment.theory == pytest.approx(square, rel=1e-12)
    assert [layer.sampler for layer in run.layers] == [None] * 3


@pytest.mark.parametrize("widths", [[1, 1], [1, 1, 1], [3, 1], [1, 3]])
def test_the_smallest_chains(widths):
    run = snstat.propagate("relu", weights=arrays_of(widths), trials=4, batch=2, backward=True)
    assert run.depth == len(widths) - 1
    assert np.isfinite(run.second_moment.estimate).all()
    if widths[-1] == 1:  # one unit has no variance over units, by the unit map neither
        assert run.variance_over_units.expected[-1] == pytest.approx(0.0, abs=1e-15)


def test_a_matrix_of_zeros_and_one_out_of_range_are_results():
    arrays = arrays_of([4, 4, 4])
    arrays["fc1.weight"] = np.zeros((4, 4))
    run = snstat.propagate("selu", weights=arrays, trials=2, backward=True)
    assert run.second_moment.estimate[1:].tolist() == [0.0, 0.0]
    assert run.second_moment.expected[1:].tolist() == [0.0, 0.0]
    arrays["fc1.weight"] = np.full((4, 4), 1e60)  # no float32
    run = snstat.propagate("identity", weights=arrays, trials=2)
    assert run.finite.tolist() == [True, False, False]
    arrays["fc1.weight"] = np.full((4, 4), 1e120)
    with pytest.raises(InputFileError, match="gain of fc1 is"):
        snstat.propagate("identity", weights=arrays, trials=2)


def test_runs_of_different_weights_are_different(tmp_path):
    arrays = arrays_of([4, 4, 3], biases=True)
    path = tmp_path / "model.npz"
    np.savez(path, **arrays)
    small = {"trials": 2, "batch": 4, "weights": path}
    run = snstat.propagate("tanh", **small)
    again = snstat.propagate("tanh", **small)
    assert run == again
    assert run.network.weights.tensors == tuple(arrays)
    assert [row.name for row in run.layers] == ["input", "fc1", "fc2"]
    np.savez(path, **(arrays | {"fc2.bias": -arrays["fc2.bias"]}))
    other = snstat.propagate("tanh", **small)
    assert other.network != run.network  # though their mean squares are the same
    assert other.network.form == run.network.form


def test_a_saved_run_is_read_back_and_simulated_again(tmp_path):
    # Names that a glob would take for a pattern.
    found = arrays_of([4, 5, 3], biases=True)
    arrays = {name.replace("fc", "f[c]"): array for name, array in found.items()}
    path, file = tmp_path / "m[1].npz", tmp_path / "run.json"
    np.savez(path, **arrays, other=np.ones((3, 3)))
    run = snstat.propagate(
        "tanh", weights=path, only="f*", last="linear", trials=2, batch=4, backward=True
    )
    snstat.save(run, file)
    read = snstat.load(file)
    assert read == run
    assert plan_again(read).run() == run
    np.savez(path, **(arrays | {"f[c]1.bias": np.ones(5)}))
    with pytest.raises(InvalidValueError, match="content has changed"):
        plan_again(read)
    np.savez(path, w1=np.eye(3, 4), w2=np.ones((4, 2)))
    run = snstat.propagate("tanh", weights=path, layout="jax", trials=2, batch=4)
    assert plan_again(run).run() == run
    of_arrays = snstat.propagate("tanh", weights=arrays, trials=1, batch=2)
    with pytest.raises(InvalidValueError, match="weights is 'arrays'"):
        plan_again(of_arrays)


def test_a_pair_of_functions_is_followed_too():
    pair = (np.tanh, lambda z: 1.0 / np.cosh(z) ** 2)
    arrays, small = arrays_of([6, 5, 4], gain=1.5), {"trials": 2, "batch": 4}
    run, named = (snstat.propagate(a, weights=arrays, **small) for a in (pair, "tanh"))
    np.testing.assert_allclose(run.mean.expected, named.mean.expected, atol=1e-12)
    np.testing.assert_allclose(run.mean.estimate, named.mean.estimate, atol=1e-6)


def test_units_that_all_leave_the_theorem_are_named_by_their_mean():
    run = snstat.propagate("selu", weights=arrays_of([64, 64], gain=1.4), trials=2)
    (found,) = verdict_on(run).findings
    square = np.mean(run.network.form["layers"][0]["weight_gain"] ** 2)
    assert f"square sum {square:.4g} (mean of its units)" in found.message


def test_samples_of_data_are_pushed_through():
    data = np.random.default_rng(0).uniform(-1, 1, (20, 4))
    run = snstat.propagate("relu", weights=arrays_of([4, 3]), inputs=data, trials=3)
    assert run.simulation.batch == 20
    assert (run.mean.stderr == 0).all()  # every trial has all samples
    assert run.mean.estimate[0] == pytest.approx(data.mean(), rel=1e-6)
    with pytest.raises(InvalidValueError, match="4 units"):
        snstat.propagate("relu", weights=arrays_of([4, 3]), inputs=data[:, :3])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"depth": 3}, "depth is 3, but must be left out beside given weights"),
        ({"width": 3}, "width is 3"),
        ({"widths": [3, 3]}, "widths is '3\\*2'"),
        ({"init": "he_normal"}, "init is 'he_normal'"),
        ({"weight_gain": 2}, "weight_gain is 2.0"),
        ({"bias_std": 1}, "bias_std is 1.0"),
        ({"sampler": "matrix-free"}, "sampler is 'matrix-free'"),
        ({"activation": "model.toml"}, "model.toml"),
        ({"weights": 3}, "weights is 3"),
        ({"only": "x"}, "only is 'x'"),
        ({"layout": "x"}, "layout is 'x'"),
    ],
)
def test_options_of_other_networks_are_refused(options, words):
    with pytest.raises(snstat.errors.SnstatError, match=words):
        snstat.propagate(**({"weights": arrays_of([4, 3])} | options))
    for name in ("only", "layout"):
        with pytest.raises(InvalidValueError, match=f"{name} is 'jax'.*left out without weights"):
            snstat.propagate(**{name: "jax"})


def test_the_memory_of_the_matrices_is_told_before_it_is_taken(monkeypatch):
    options = {"weights": arrays_of([64] * 9), "trials": 1, "batch": 1, "dtype": "float64"}
    need = 8 * 64 * 64 * 9  # eight matrices, and one while it is read
    plan = Call("relu", **options).plan()
    more = []
    monkeypatch.setattr("snstat.experiment.network_plan.require_memory", lambda *a: more.append(a))
    plan.require_memory()
    replace(plan, given=None).require_memory()
    assert more[0][0] - more[1][0] == need
    monkeypatch.undo()
    monkeypatch.setattr(limits, "physical_memory", lambda: need / 2)
    with pytest.raises(InvalidValueError, match="memory needed"):
        snstat.propagate("relu", **options)
