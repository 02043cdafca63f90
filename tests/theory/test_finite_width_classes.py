"""First-order theory of data whose samples differ in norm, beside plain loops and simulations."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numba import config

from snstat import check, propagate
from snstat.experiment.data import DataInputs
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from snstat.results import MOST_CLASSES, NormClasses
from snstat.theory.finite_width import finite_width
from snstat.theory.finite_width_classes import _spreads
from snstat.theory.finite_width_data import _alike, _by_pairs, alike_samples
from snstat.theory.predict import predict

NAMES = ("mean", "second_moment", "variance_over_units")


def theory(stack, data, batch):
    moments = DataInputs("data", data, batch).moments()
    return finite_width(stack, batch, moments, predict(stack, batch, moments))


def sized(norms, width, seed=0):
    """Return samples (len(norms), width) with these root mean squares."""
    rows = np.random.default_rng(seed).standard_normal((len(norms), width))
    rows /= np.sqrt((rows**2).mean(axis=1, keepdims=True))
    return rows * np.asarray(norms)[:, None]


@pytest.mark.parametrize("activation", ["selu", "relu", "sigmoid"])
def test_expectations_are_the_average_over_samples_alone(activation):
    """As many classes as samples: each sample's own theory, of a batch of one."""
    norms, stack = [0.5, 1.0, 1.0, 4.0], Stack.build(activation, 4, width=64, input_width=20)
    data = sized(norms, 20)
    found = theory(stack, data, 4)
    alone = [theory(stack, row[None, :], 1) for row in data]
    for name in NAMES:
        for table in ("expected", "residual"):
            own = np.mean([getattr(one, table)[name][1:] for one in alone], axis=0)
            np.testing.assert_allclose(getattr(found, table)[name][1:], own, rtol=1e-9, atol=1e-15)


def test_simulations_average_to_what_is_expected():
    # Plain numpy: tanh at width 16, 3 layers, 12 samples of two norms.
    data, width, trials = sized([0.7] * 8 + [3.0] * 4, 10), 16, 20_000
    generator = np.random.default_rng(7)
    stack = Stack.build("tanh", 3, width=width, input_width=10)
    x = np.broadcast_to(data.T, (trials, 10, 12))
    found = theory(stack, data, 12)
    for layer in (1, 2, 3):
        scale = 1.0 / math.sqrt(x.shape[1])
        weights = scale * generator.standard_normal((trials, width, x.shape[1]))
        x = np.tanh(weights @ x)
        measured = {"second_moment": (x**2).mean(axis=(1, 2))}
        measured["variance_over_units"] = x.var(axis=1).mean(axis=1)
        for name, values in measured.items():
            allowed = 4.0 * values.std() / math.sqrt(trials) + found.residual[name][layer]
            difference = values.mean() - found.expected[name][layer]
            assert abs(difference) <= allowed
        predicted = predict(stack, 12, DataInputs("data", data, 12).moments()).statistics
        if layer == 3:  # what the first order adds is far more than is left
            gap = measured["second_moment"].mean() - predicted["second_moment"][layer]
            error = measured["second_moment"].std() / math.sqrt(trials)
            assert abs(gap) > 6.0 * error + 5.0 * abs(difference)


def test_the_width_of_a_class_counts_as_neglected():
    """Two hundred norms in 24 classes, against all of them alone."""
    stack = Stack.build("tanh", 3, width=64, input_width=20)
    data = sized(np.exp(np.linspace(-1.0, 1.0, 200)), 20)
    found = theory(stack, data, 200)
    alone = [theory(stack, row[None, :], 1) for row in data]
    for name in ("second_moment", "variance_over_units"):
        expected, neglected = (
            np.mean([getattr(one, table)[name] for one in alone], axis=0)[1:]
            for table in ("expected", "residual")
        )
        off = np.abs(found.expected[name][1:] - expected)
        added = found.residual[name][1:] - neglected
        # Evenly spread norms are what the estimate assumes; at most a few times too cautious.
        assert (off <= added).all()
        assert (added <= 10.0 * off).all()


def test_nothing_is_expected_where_batches_miss_large_samples():
    stack = Stack.build("tanh", 2, width=16, input_width=20)
    data = sized([1.0] * 39 + [300.0], 20)
    # φ is bounded: only layer 0 varies. ReLU carries the large sample on.
    grows = Stack.build("relu", 2, width=16, input_width=20)
    assert np.isfinite(theory(grows, data, 40).expected["second_moment"]).all()
    assert np.isnan(theory(grows, data, 8).expected["second_moment"][1:]).all()
    assert np.isfinite(theory(stack, data, 8).expected["second_moment"][1:]).all()


def test_what_compares_samples_of_different_norms_is_judged_by_theory_of_infinite_width():
    data = sized([1.0, 1.0, 3.0], 20)
    assert check("tanh", 2, width=16, inputs=data, trials=4).notes == ()
    run = propagate("tanh", 2, width=16, inputs=data, trials=4, backward=True)
    for name in ("variance", "variance_over_batch", "cosine", "kurtosis", "gradient"):
        statistic = run.statistics[name]
        assert np.isnan(statistic.expected[1:2]).all(), name
        assert (statistic.neglected[1:2] > 0).all(), name


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="thousands of networks need compiled kernels")
def test_theory_of_data_is_off_by_no_more_than_it_says():
    """Samples in clusters, so that the cosines of pairs lie near 0 and near 0.9: their average is
    not that of their mean. With 4,000 trials the error of theory is seen."""
    generator = np.random.default_rng(5)
    data = generator.standard_normal((3, 24))[np.arange(12) % 3]
    data = (data + 0.3 * generator.standard_normal(data.shape)) * generator.uniform(
        0.7, 1.4, (12, 1)
    )
    run = propagate("relu", 4, width=24, inputs=data, batch=12, trials=4000)
    seen = 0
    for name in ("variance", "variance_over_batch", "cosine", "kurtosis", "dead_fraction"):
        statistic = run.statistics[name]
        far = np.abs(statistic.estimate - statistic.theory)[1:]
        seen += int((far > 6.0 * statistic.stderr[1:]).sum())
        # A normal variate of 20 is beyond 4.5 with a probability of 1e-4.
        assert (far <= statistic.neglected[1:] + 4.5 * statistic.stderr[1:]).all(), name
    assert seen > 10  # so the test is about the error of theory, not about chance


@pytest.mark.parametrize("size", [1.0, 1e-100, 1e100])
def test_as_many_samples_of_equal_norm_vary_as_a_batch_does(size):
    """(Σ s)²/Σ s² of N samples stands for N, whatever the scale of their second moments s."""
    scales = size * np.array([0.0, 1.0, 1.0, 2.0, 3.0, 3.0, 3.0, 4.0])
    moments = DataInputs("data", sized(scales, 20), 8).moments()
    s = (scales / size) ** 2
    for batch in (2, 5, 8, 800):
        expected = max(2, int(batch * s.sum() ** 2 / (s**2).sum() / len(s)))
        assert alike_samples(batch, moments) == expected
    assert alike_samples(1, moments) == 1


def test_widths_of_classes_reach_halfway_to_the_nearer_neighbour():
    """A plain loop, with integrals of values that are spread evenly. Of a few classes the samples
    are alike, and so is a sample by itself, and samples of zeros."""
    random = np.random.default_rng(3)
    logs = np.sort(random.uniform(-3.0, 2.0, MOST_CLASSES))
    for beyond in (0.0, 0.01, 5.0):
        for silent in (False, True):
            seconds, count = np.exp(logs), random.integers(1, 4, MOST_CLASSES)
            count[[0, 1, -1]] = 2
            if silent:
                seconds[0] = 0.0
            norms = NormClasses(
                tuple(seconds), tuple(count.tolist()), (), math.exp(logs[-1] + beyond)
            )
            assert 1 in count
            expected, first = [], int(silent)
            for n in range(MOST_CLASSES):
                reach = [0.5 * abs(logs[m] - logs[n]) for m in (n - 1, n + 1) if first <= m < 24]
                if n == MOST_CLASSES - 1:
                    reach.append(beyond)
                x, step = np.linspace(-min(reach), min(reach), 2000, retstep=True)
                square = np.mean((0.5 * (x[1:] + x[:-1])) ** 2) if step else 0.0
                expected.append(0.0 if count[n] == 1 or n < first else 2.0 * square)
            np.testing.assert_allclose(_spreads(norms), expected, rtol=1e-6, atol=1e-15)
            few = NormClasses(tuple(seconds[1:]), tuple(count[1:].tolist()), (), norms.largest)
            assert not _spreads(few).any()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_orthogonal_samples_of_one_norm_are_off_by_twice_what_drawn_samples_are(activation):
    """Where nothing is expected: all pairs have one cosine, so that the width is all that counts.
    Twice, because drawn samples are only like them."""
    batch, stack = 6, Stack.build(activation, 4, width=128, input_width=20)
    rows = np.linalg.qr(np.random.default_rng(4).standard_normal((20, batch)))[0].T
    data = DataInputs("data", 1.5 * math.sqrt(20.0) * rows, batch).moments()
    found = theory(stack, 1.5 * math.sqrt(20.0) * rows, batch)
    own = predict(stack, batch, data).statistics
    like = DrawnInputs("normal", 20, batch, 0.0, 1.5).moments()
    like = replace(like, length_variance=0.0)
    theirs = predict(stack, batch, like)
    drawn = finite_width(stack, batch, like, theirs)
    for name in ("variance", "variance_over_batch", "cosine", "kurtosis"):
        assert np.isnan(found.expected[name][1:]).all(), name
        value = theirs.statistics[name]
        # Beyond first order, what is left tells it all.
        first = np.nan_to_num(np.abs(drawn.expected[name] - value))
        off = 2.0 * (first + drawn.residual[name])
        if name != "cosine":
            off = off / np.abs(value) * np.abs(own[name])
        # Samples are orthogonal to within rounding, whose spread counts as a change of the mean.
        np.testing.assert_allclose(found.residual[name][1:], off[1:], rtol=1e-6, err_msg=name)
        assert (found.residual[name][1:] > 0).all()


def test_averages_over_pairs_that_are_linear_in_the_cosine_do_not_change_with_its_spread():
    """A network without activations keeps cosines; what they average to is their mean."""
    stack, inputs = Stack.build("identity", 3, 64), DrawnInputs("normal", 64, 8, 0.5, 1.0)
    found = _by_pairs(stack, 8, inputs.moments(), 0.1)
    assert set(found) == {"variance_over_batch", "cosine", "dead_fraction"}
    for change in found.values():
        np.testing.assert_allclose(change[1:], 0.0, atol=1e-14)


def test_samples_like_the_data_have_the_smallest_norm_that_is_not_0_and_the_largest():
    rows = np.array([[0.0, 0.0], [0.3, -0.3], [2.0, 2.0], [0.0, 4.0]])
    moments = DataInputs("rows", rows, 4).moments()
    found = [own.second_moment for own in _alike(moments, 4)]
    np.testing.assert_allclose(found, [0.09, 8.0], rtol=1e-12)
