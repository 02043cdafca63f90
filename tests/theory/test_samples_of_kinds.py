"""Samples of data that differ, in every kind of layer: what kinds say of themselves holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snstat.activation import resolve
from snstat.layers.between import activated_between
from snstat.layers.block import Block
from snstat.layers.conv import Conv
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.law import GAUSSIAN
from snstat.layers.no_theory import NoTheory
from snstat.layers.registry import KINDS
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal
from snstat.network.input_law import InputLaw
from snstat.network.network import Network
from snstat.theory import start
from snstat.theory.walk import walk
from tests.layers.kinds import INPUTS, LAYERS, TOKENS, fed, grids_of, layer_of, shape_of
from tests.theory.samples import conv, expectation, images, moments_of, network

# What kinds say of themselves.
PAIRED = [name for name in KINDS if name in LAYERS and LAYERS[name](8).linear]
EACH = [name for name in KINDS if name in LAYERS and LAYERS[name](8).per_position]


def random_signal(shape, seed, *, pairs=True):
    """Return the signal of one random sample of data."""
    values = np.random.default_rng(seed).normal(0.3, 1.0 + seed, shape.units)
    return start.signal_of_sample(shape, values, pairs=pairs)


@pytest.mark.parametrize("pairs", [True, False])
@pytest.mark.parametrize("name", PAIRED)
def test_kinds_that_are_linear_make_of_products_what_no_sample_changes(name, pairs):
    """The products of two samples come out alike, whichever of the two is taken for both."""
    layer, shape = layer_of(name, 40), Shape(40, grids_of(name)[-1])
    count = INPUTS.get(name, 1)
    one, other = (
        [random_signal(shape, 2 * n + s, pairs=pairs) for n in range(count)] for s in (0, 1)
    )
    rng = np.random.default_rng(9)
    crossed = [rng.normal(size=x.same.shape) for x in one]
    found = []
    for signals, products in ((one, crossed), (other, [c.T for c in crossed])):
        given = [
            replace(x, gap=x.same - c, fresh=frozenset((object(),)))
            for x, c in zip(signals, products, strict=True)
        ]
        step = layer.moments(given, 1)
        if isinstance(step, NoTheory):  # of pools, without pairs
            assert not pairs
            return
        found.append(step.signal.same - step.signal.gap)
    np.testing.assert_allclose(found[0], found[1].T, atol=1e-11)


@pytest.mark.parametrize("name", EACH)
def test_kinds_that_treat_positions_by_themselves_do(name):
    """Three positions have the moments that each has as a vector."""
    layer, count = layer_of(name, 40), INPUTS.get(name, 1)
    squares = np.array([0.5, 1.0, 3.0])

    def signals(at):
        square = squares[at]
        return [
            Signal(
                Shape(40, (len(square),)), 0.0 * square, np.diag(square), np.diag(square), GAUSSIAN
            )
            for _ in range(count)
        ]

    whole = layer.moments(signals([0, 1, 2]), 1)
    for place in range(3):
        own = layer.moments(signals([place]), 1)
        np.testing.assert_allclose(whole.signal.mean[place], own.signal.mean[0], rtol=1e-12)
        square = whole.signal.same[place, place]
        np.testing.assert_allclose(square, own.signal.same[0, 0], rtol=1e-12)


def test_products_after_an_activation_are_a_plain_loop():
    """At pairs of positions, and at positions by themselves."""
    shape, function = Shape(6, (3,)), resolve("tanh")
    rng = np.random.default_rng(4)
    root = rng.normal(size=(2 * 3, 6))
    whole = (root @ root.T / 6.0).reshape(2, 3, 2, 3).transpose(0, 2, 1, 3)
    wanted = np.empty_like(whole)
    for a, b, u, v in np.ndindex(*whole.shape):
        sizes = whole[a, a, u, u], whole[b, b, v, v]
        wanted[a, b, u, v] = expectation(np.tanh, *sizes, whole[a, b, u, v])

    class Own:
        def __init__(self, same):
            self.signal = type("S", (), {"same": same})

    steps = [Own(wanted[a, a]) for a in range(2)]
    assert shape.positions == 3
    np.testing.assert_allclose(
        activated_between(function, whole, steps), wanted, rtol=1e-5, atol=1e-7
    )
    alone = [Own(np.diagonal(wanted[a, a]).copy()) for a in range(2)]
    found = activated_between(function, np.einsum("abuu->abu", whole), alone)
    np.testing.assert_allclose(found, np.einsum("abuu->abu", wanted), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "grid"), [(n, grid) for n in LAYERS if n not in TOKENS for grid in grids_of(n)]
)
def test_every_kind_has_theory_of_data_or_says_why(name, grid):
    """Of samples that differ. What is not known of two samples has a reason of its own."""
    shape = shape_of(name, grid)
    rng = np.random.default_rng(6)
    x = rng.normal(size=(3, *grid, shape.channels)) * rng.uniform(
        0.5, 2.0, (3, *[1] * (len(grid) + 1))
    )
    before = Entry(Dense(64))
    own = Network(shape, Block((before, Entry(fed(name, 64)), Entry(Scale(1.0)))), InputLaw())
    walked = walk(own, 3, moments_of(x))
    reasons = {end.of for end in walked.ends}
    assert np.isfinite(walked.second_moment[-1]) or "signal" in reasons
    known = np.isfinite(walked.own["cosine"][-1])
    assert known or reasons & {"signal", "samples"}


@pytest.mark.parametrize("grids", [{"stride": 2}, {"padding": "valid"}, {}])
def test_two_samples_after_a_separable_convolution_are_as_after_a_convolution(grids):
    """Also where it makes fewer positions: both have the second moments of the same window."""
    found = []
    for kind in ("separable_conv", "conv"):
        own = network(conv("tanh"), conv("tanh", bias_std=0.0, weight_gain=1.0, kind=kind) | grids)
        walked = walk(own, 3, moments_of(images()))
        cosine, over_batch = (walked.own[name] for name in ("cosine", "variance_over_batch"))
        found.append([cosine[-1], over_batch[-1], *np.exp(walked.log_gradient[1:])])
    assert np.isfinite(found).all()
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_positions_that_differ_too_much_for_a_kink_have_a_reason():
    """Of products of 24 × 24 positions that all differ, a kink beside 0 is not resolved."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(2, 24, 24, 2)) * np.array([0.5, 2.0])[:, None, None, None]
    own = network(conv("hard_tanh"), {"kind": "global_mean_pool"}, channels=2, grid=(24, 24))
    walked = walk(own, 2, moments_of(x))
    assert np.isfinite(walked.second_moment[1])
    assert np.isnan(walked.own["cosine"][1])
    ends = {end.of: end.reason for end in walked.ends}
    assert "too much" in ends["positions"]
    assert "too much" in ends["samples"]
    assert "pairs of positions are not followed" in ends["signal"]


FITTED = ("dense", "conv", "multiply", "layer_norm", "rms_norm", "group_norm", "scale", "add")


@pytest.mark.parametrize("name", FITTED)
def test_positions_by_themselves_have_the_products_that_they_have_in_pairs(name):
    """Of signals without pairs, products may come with those of pairs or without."""
    layer, shape, count = layer_of(name, 40), Shape(40, (3,)), INPUTS.get(name, 1)
    if name == "conv":
        layer = layer.turned("kernel", 1)
    rng = np.random.default_rng(5)
    samples, crossed = [[], []], []
    for _ in range(count):
        values = rng.normal(0.3, 1.0, (2, 3, 40))
        crossed.append(np.einsum("auk,bvk->abuv", values, values) / 40.0)
        own = frozenset((object(),))
        for one, x in zip(samples, values, strict=True):
            same = x @ x.T / 40.0
            one.append(Signal(shape, x.mean(axis=1), same, same, GAUSSIAN, own))
    steps = [layer.moments(own, 2) for own in samples]
    whole = layer.between(steps, crossed)
    alone = [layer.moments([x.alone for x in own], 2) for own in samples]
    assert [step.signal.same.ndim for step in (*steps, *alone)] == [2, 2, 1, 1]
    for products in (crossed, [np.einsum("abuu->abu", own) for own in crossed]):
        found = layer.between(alone, products)
        np.testing.assert_allclose(found, np.einsum("abuu->abu", whole), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("form", ["plain", "normalized", "standardized"])
@pytest.mark.parametrize("layer", [Dense(8), Conv(channels=8, kernel=3)])
def test_products_after_weights_that_see_no_mean_are_not_known(layer, form):
    """Neither are those of a sample that is too large for theory."""
    layer, shape = layer.turned("weights", form), Shape(40, (3,))
    signals = [random_signal(shape, seed) for seed in (0, 1)]
    steps = [layer.moments([x], 2) for x in signals]
    products = np.array([[a.same if a is b else np.eye(3) for a in signals] for b in signals])
    found = layer.between(steps, [products])
    assert isinstance(found, NoTheory) == (form == "standardized")
    large = replace(signals[1], same=1e300 * signals[1].same)
    beyond = [steps[0], replace(steps[1], inputs=(large,))]
    assert isinstance(layer.between(beyond, [products]), NoTheory)
