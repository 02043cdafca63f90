"""Theory of samples of data that are followed one by one, beside plain loops over their patches."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from snstat.experiment.data import DataInputs
from snstat.experiment.plan import Plan
from snstat.network.network import Network
from snstat.results import Samples
from snstat.theory import columns, start
from snstat.theory import over_samples as module
from snstat.theory.over_samples import over_samples
from snstat.theory.profiles import profiles
from snstat.theory.start import signal_of_sample
from snstat.theory.walk import walk
from tests.theory.samples import (
    BIAS,
    CHANNELS,
    GAIN,
    NODES,
    SIZES,
    SPOTS,
    WEIGHTS,
    conv,
    expectation,
    images,
    moments_of,
    network,
    vectors,
)


def after_conv(products):
    """Return E[zz'] of a convolution with a border of zeros, {(sample, spot, sample', spot')}."""
    found = {}
    for a, u, b, v in products:
        total = 0.0
        for step in itertools.product((-1, 0, 1), repeat=2):
            near = tuple(np.add(u, step)), tuple(np.add(v, step))
            total += products.get((a, near[0], b, near[1]), 0.0)
        found[a, u, b, v] = GAIN**2 * total / 9.0 + BIAS**2
    return found


def after(f, products):
    """Return E[f(z)f(z')] from E[zz']."""
    own = {(a, u): products[a, u, a, u] for a, u, _, _ in products}
    return {
        (a, u, b, v): expectation(f, own[a, u], own[b, v], c)
        for (a, u, b, v), c in products.items()
    }


def of_images(x):
    """Return the products of all samples and spots of the images themselves."""
    every = range(len(x))
    return {
        (a, u, b, v): float(x[a][u] @ x[b][v]) / CHANNELS
        for a, u, b, v in itertools.product(every, SPOTS, every, SPOTS)
    }


def statistics(products, count):
    """Return what a batch shows of these products."""
    own = {a: [products[a, u, a, u] for u in SPOTS] for a in range(count)}
    cosines, angles, apart = [], [], []
    for a, b in itertools.product(range(count), repeat=2):
        whole = sum(products[a, u, b, u] for u in SPOTS)
        apart.append(whole / len(SPOTS))
        if a != b:
            cosines.append(whole / math.sqrt(sum(own[a]) * sum(own[b])))
    for a in range(count):
        for (m, u), (n, v) in itertools.product(enumerate(SPOTS), repeat=2):
            if m != n and own[a][m] * own[a][n] > 0:
                angles.append(products[a, u, a, v] / math.sqrt(own[a][m] * own[a][n]))
    square = float(np.mean([*own.values()]))
    within = [products[a, u, a, v] for a in range(count) for u in SPOTS for v in SPOTS]
    return {
        "second_moment": square,
        "over_positions": square - float(np.mean(within)),
        "position_cosine": float(np.mean(angles)),
        "cosine": float(np.mean(cosines)),
        "variance_over_batch": square - float(np.mean(apart)),
    }


def compare(walked, layer, wanted, tolerance):
    found = {name: getattr(walked, name)[layer] for name in list(wanted)[:3]}
    found |= {name: walked.own[name][layer] for name in list(wanted)[3:]}
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=tolerance), (name, layer)


def test_two_convolutions_are_those_of_a_plain_loop_over_patches():
    """Series of pairs are exact to 1e-6, quadrature of tanh to rounding."""
    x, own = images(), network(conv("tanh"), conv("tanh"))
    walked = walk(own, len(x), moments_of(x))
    products = of_images(x)
    for layer in (1, 2):
        products = after(np.tanh, after_conv(products))
        compare(walked, layer, statistics(products, len(x)), 2e-6)
    share = [np.mean([products[a, u, a, u] for a in range(len(x))]) for u in SPOTS]
    assert walked.least_position[2] == pytest.approx(min(share) / np.mean(share), rel=1e-6)
    (found,) = profiles(own, len(x), moments_of(x), [2]).values()
    np.testing.assert_allclose(found.second_moment.ravel(), share, rtol=1e-6)


def test_means_variance_and_kurtosis_are_of_all_samples_together():
    """A batch is a mixture of Gaussians at each position, of which E[φⁿ] are known."""
    x, own = images(), network(conv("relu"))
    walked = walk(own, len(x), moments_of(x))
    z = after_conv(of_images(x))
    q = np.array([[z[a, u, a, u] for u in SPOTS] for a in range(len(x))])
    one = np.sqrt(q / (2.0 * math.pi))
    raw = [one.mean(), (q / 2.0).mean(), (2.0 * q * one).mean(), (1.5 * q * q).mean()]
    variance = raw[1] - raw[0] ** 2
    fourth = raw[3] - 4.0 * raw[2] * raw[0] + 6.0 * raw[1] * raw[0] ** 2 - 3.0 * raw[0] ** 4
    assert walked.mean[1] == pytest.approx(raw[0], rel=1e-12)
    assert walked.own["variance"][1] == pytest.approx(variance, rel=1e-12)
    assert walked.over_units[1] == pytest.approx((q / 2.0 - one**2).mean(), rel=1e-12)
    assert walked.kurtosis[1] == pytest.approx(fourth / variance**2, rel=1e-10)


def test_gradients_are_sums_over_taps_of_each_sample_and_stop_where_all_is_dark():
    """φ'(0) of ReLU is 0 where z is exactly 0, as behind dark pixels without biases. The squared
    norm of a batch is the sum over its samples; the first weights read few channels of the data."""
    x, dark = images(), {"bias_std": 0.0}
    own = network(conv("relu", **dark), conv("relu", **dark), conv("tanh", **dark))
    walked = walk(own, len(x), moments_of(x))
    z = {k: v - BIAS**2 for k, v in after_conv(of_images(x)).items()}
    slopes = []
    for a in range(len(x)):
        q1 = {u: z[a, u, a, u] for u in SPOTS}
        q2 = {
            u: GAIN**2 / 18.0 * sum(q1.get(tuple(np.add(u, s)), 0.0) for s in _steps())
            for u in SPOTS
        }
        q3 = {
            u: GAIN**2 / 18.0 * sum(q2.get(tuple(np.add(u, s)), 0.0) for s in _steps())
            for u in SPOTS
        }
        # Ones at the last layer.
        at3 = {u: float(WEIGHTS @ (1 - np.tanh(math.sqrt(q3[u]) * NODES) ** 2) ** 2) for u in SPOTS}
        g2 = _back(at3)
        at2 = {u: 0.5 * g2[u] * (q2[u] > 0) for u in SPOTS}
        g1 = _back(at2)
        slopes.append([sum(g1.values()), sum(g2.values()), len(SPOTS)])
    wanted = np.log(np.sum(slopes, axis=0))
    np.testing.assert_allclose(walked.log_gradient[1:], wanted - wanted[-1], atol=1e-10)
    assert math.isnan(walked.log_gradient[0])
    assert any(end.of == "gradient" and "channels of data" in end.reason for end in walked.ends)


def _steps():
    return itertools.product((-1, 0, 1), repeat=2)


def _back(after_it):
    """Return the squared gradients before a convolution with as many channels as after it."""
    return {
        u: GAIN**2 / 9.0 * sum(after_it.get(tuple(np.subtract(u, s)), 0.0) for s in _steps())
        for u in SPOTS
    }


def test_batches_of_some_samples_average_over_what_trials_take():
    """A batch by itself is one of the averages, of what is no average over samples too."""
    x, own = images(6), network(conv("relu"), {"kind": "global_mean_pool"})
    moments = moments_of(x, batch=2, trials=4, seed=3)
    whole = over_samples(own, moments.samples, train=True)
    parts = [
        over_samples(own, Samples(moments.samples.values, batch[None]), train=True)
        for batch in moments.samples.batches
    ]
    assert len({tuple(batch) for batch in moments.samples.batches}) > 1
    for name in ("variance", "cosine", "variance_over_batch"):
        wanted = np.mean([part.own[name] for part in parts], axis=0)
        np.testing.assert_allclose(whole.own[name], wanted, rtol=1e-12)
    wanted = np.mean([part.moments for part in parts], axis=0)
    np.testing.assert_allclose(np.delete(whole.moments, 6, 0), np.delete(wanted, 6, 0), rtol=1e-9)
    wanted = np.mean([part.log_gradient for part in parts], axis=0)
    np.testing.assert_allclose(whole.log_gradient, wanted, rtol=1e-12)


def test_samples_that_trials_take_are_those_of_the_data():
    x = images(6)
    source = DataInputs("array", x.reshape(6, -1), 2, positions=len(SPOTS))
    found = source.samples(4, 3)
    for trial, batch in enumerate(found.batches):
        np.testing.assert_array_equal(found.values[batch], source.sample(trial, 3, "float64").T)
    assert found.shares.sum() == pytest.approx(1.0)
    twice = DataInputs("array", np.concatenate([x, x]).reshape(12, -1), 12).samples(4, 3)
    assert twice.values.shape[0] == 6
    np.testing.assert_array_equal(
        twice.values[twice.batches[0]], np.concatenate([x, x]).reshape(12, -1)
    )


@pytest.mark.parametrize("grid", [(), SIZES])
def test_few_channels_of_data_are_numbers(grid):
    """Given x, weights that are uniform, whose fourth cumulant is −6/5 of their squared variance,
    make E[z⁴] 3 (Σ σ²x²)² − 6/5 Σ σ⁴x⁴, over all that a unit reads."""
    x = images() if grid else vectors(3, 4)
    layer = conv(None) if grid else {"kind": "dense", "width": 40, "weight_gain": GAIN}
    layer |= {"init": "lecun_uniform", "bias_std": 0.0}
    layer = {key: value for key, value in layer.items() if value is not None}
    own = Network.read({"input": {"channels": x.shape[-1], "grid": list(grid)}, "layers": [layer]})
    walked = walk(own, 3, moments_of(x))
    if grid:
        padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
        patches = [padded[:, i : i + 3, j : j + 3] for i, j in SPOTS]
        read = np.array(patches).reshape(len(SPOTS) * 3, -1)
    else:
        read = x
    variance = GAIN**2 / read.shape[1]
    q = variance * (read**2).sum(axis=1)
    fourth = 3.0 * q**2 - 1.2 * variance**2 * (read**4).sum(axis=1)
    assert walked.kurtosis[1] == pytest.approx(fourth.mean() / q.mean() ** 2, rel=1e-10)


def test_channels_of_data_are_no_units_that_are_alike():
    """Each output of a depthwise convolution reads one of them, and has its own size."""
    walked = walk(network({"kind": "depthwise_conv", "kernel": 3}), 3, moments_of(images()))
    assert np.isfinite(walked.second_moment[1])
    assert np.isnan(walked.kurtosis[1])
    groups = walk(
        network(conv(None, groups=2) | {"activation": "relu"}, channels=2),
        3,
        moments_of(images()[..., :2]),
    )
    assert {end.reason for end in groups.ends if end.of == "signal"} == {
        "channels differ by their place"
    }


DENSE = [{"kind": "dense", "width": 40, "activation": a, "bias_std": 0.3} for a in ("gelu", "tanh")]


def test_vectors_are_those_of_the_theory_of_stacks():
    """Two samples of different norm are two classes, each of one sample, of which stacks know."""
    x = vectors(2)
    plan = Plan.build("gelu", width=40, depth=3, bias_std=0.3, inputs=x)
    wanted, _, _ = plan.predict(plan.moments())
    layer = DENSE[0] | {"init": plan.stack.init}
    own = Network.read({"input": {"channels": 40}, "layers": [layer] * 3})
    walked = walk(own, 2, moments_of(x))
    for name in ("mean", "second_moment", "kurtosis"):
        np.testing.assert_allclose(
            getattr(walked, name)[1:], wanted.statistics[name][1:], rtol=1e-9
        )
    for name in ("variance", "variance_over_batch", "cosine"):  # series are exact to 1e-6
        np.testing.assert_allclose(walked.own[name][1:], wanted.statistics[name][1:], rtol=3e-6)
    np.testing.assert_allclose(walked.log_gradient, wanted.log_gradient, atol=1e-9)


def test_vectors_of_a_residual_are_followed_together(monkeypatch):
    """Products of the sum are those of the vectors and E[tanh tanh'], so that cosines are known."""
    monkeypatch.setattr(module, "_one_by_one", None)
    x, square = vectors(3), {"kind": "dense", "width": 40, "init": "lecun_normal"}
    layers = [{"kind": "residual", "layers": [square | {"activation": "tanh"}, square]}]
    own = Network.read({"input": {"channels": 40}, "layers": layers})
    together = over_samples(own, moments_of(x).samples, train=True)
    gram = x @ x.T / 40
    products = np.array(
        [
            [
                gram[a, b] + expectation(np.tanh, gram[a, a], gram[b, b], gram[a, b])
                for b in range(3)
            ]
            for a in range(3)
        ]
    )
    root = np.sqrt(np.diagonal(products))
    cosines = (products / np.outer(root, root))[np.triu_indices(3, 1)]
    assert together.own["cosine"][-1] == pytest.approx(cosines.mean(), abs=3e-6)


def test_vectors_of_one_norm_are_those_of_theory_of_two_samples():
    x = vectors(2)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x = x / np.sqrt((x[0] ** 2).mean())
    own = Network.read({"input": {"channels": 40}, "layers": DENSE})
    moments = moments_of(x)
    known = walk(own, 2, replace(moments, samples=None))
    walked = walk(own, 2, moments)
    np.testing.assert_allclose(walked.second_moment, known.second_moment, rtol=1e-9)
    np.testing.assert_allclose(walked.own["cosine"][1:], known.cosine[1:], atol=2e-6)
    np.testing.assert_allclose(
        walked.own["variance_over_batch"][1:], 0.5 * known.gap[1:], rtol=1e-5
    )


def test_vectors_that_layers_compare_are_followed_one_by_one():
    """A kind that does not treat positions as samples: both ways agree as far as both know."""
    x, own = vectors(), Network.read({"input": {"channels": 40}, "layers": DENSE})
    moments = moments_of(x)
    together = over_samples(own, moments.samples, train=True)
    alone = module._one_by_one(own, own.block, moments.samples)
    np.testing.assert_allclose(
        alone.moments[[0, 1, 3, 7]], together.moments[[0, 1, 3, 7]], rtol=1e-9
    )
    np.testing.assert_allclose(alone.log_gradient, together.log_gradient, atol=1e-9)
    for name, tolerance in (("variance", 1e-9), ("cosine", 3e-6), ("variance_over_batch", 3e-6)):
        wanted = together.own[name][1:]
        np.testing.assert_allclose(alone.own[name][1:], wanted, rtol=tolerance, err_msg=name)


@pytest.mark.parametrize("factor", [0.0, 1e-200, 1e200])
def test_data_without_squares_have_no_theory_and_no_warnings(factor):
    """Warnings are errors. Samples that are exactly 0 are known to stay so."""
    own, moments = network(conv("relu", bias_std=0.0)), moments_of(factor * images())
    walked = walk(own, 3, moments)
    profiles(own, 3, moments, [0, 1])
    assert np.isnan(walked.mean[1]) == (factor > 0)
    reasons = {end.reason for end in walked.ends if end.of in ("signal", "size")}
    small = "second moments are so small that they lose digits"
    large = "pre-activations are too large to be squared"
    assert reasons == {0.0: set(), 1e-200: {small}, 1e200: {large}}[factor]


def test_a_sample_with_one_bright_position_has_no_pairs_of_positions():
    x = images(2)
    x[0].reshape(-1, CHANNELS)[1:] = 0.0
    x[0, 0, 0] = 1.0
    walked = walk(network(conv("relu")), 2, moments_of(x))
    wanted = statistics(of_images(x), 2)["position_cosine"]
    assert walked.position_cosine[0] == pytest.approx(wanted, rel=1e-12)


def test_units_of_one_position_have_the_cumulants_of_normal_values():
    own = Network.read({"input": {"channels": 40}, "layers": [{"kind": "dense", "width": 8}]})
    signal = own.block.moments([signal_of_sample(own.input, vectors(1)[0], pairs=True)], 1).signal
    assert columns.moments_of(signal)[-4:-1] == (3.0, 0.0, 0.0)


def test_batch_norm_ends_theory_of_samples_in_train_mode():
    own = network(conv("relu"), {"kind": "batch_norm"}, conv("relu"))
    moments = moments_of(images())
    walked = walk(own, 3, moments)
    assert np.isfinite(walked.second_moment[:2]).all()
    assert np.isnan(walked.second_moment[2:]).all()
    (end,) = [end for end in walked.ends if end.of == "signal"]
    assert end.layer == 2
    assert np.isfinite(walk(own, 3, moments, train=False).second_moment).all()


@pytest.mark.parametrize("limit", ["MOST_CROSSED", "MOST_AT_ONCE"])
@pytest.mark.parametrize("count", [2, 3])
def test_pairs_of_samples_that_are_too_many_are_left_out(monkeypatch, limit, count):
    monkeypatch.setattr(start, limit, 100)
    own, moments = network(conv("relu"), {"kind": "global_mean_pool"}), moments_of(images(count))
    walked = walk(own, count, moments)
    assert np.isfinite(walked.second_moment).all()
    assert np.isnan(walked.own["cosine"]).all()
    assert [end.reason for end in walked.ends if end.of == "samples"] == [
        "too many pairs of samples and positions; use a smaller --batch"
    ]


def test_samples_with_one_bright_spot_have_no_angles_and_count_for_none():
    x = images()
    x[1, 3, 1:] = 0.0
    walked = walk(network(conv("relu")), 3, moments_of(x))
    wanted = statistics(of_images(x), 3)["position_cosine"]
    assert walked.position_cosine[0] == pytest.approx(wanted, rel=1e-12)


def test_a_batch_of_samples_of_different_norm_is_a_mixture_of_gaussians():
    """Without an activation: 3 E[q²]/(E q)². As vectors, and one by one."""
    layer = {"kind": "dense", "width": 40, "bias_std": 0.3, "init": "lecun_normal"}
    own, x = Network.read({"input": {"channels": 40}, "layers": [layer] * 2}), vectors()
    samples = moments_of(x).samples
    q = (x**2).mean(axis=1) + 0.3**2
    for found in (
        over_samples(own, samples, train=True),
        module._one_by_one(own, own.block, samples),
    ):
        assert found.moments[7, 2] == pytest.approx(
            3.0 * ((q + 0.09) ** 2).mean() / (q + 0.09).mean() ** 2, rel=1e-9
        )
