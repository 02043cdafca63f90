"""The limit of a repeated block is compared with that of a uniform stack, and with quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.activation import ACTIVATIONS
from snstat.theory.repeated import limit_of, repeated_block
from tests.checks.cases import (
    NORM,
    case,
    dense,
    mean_of,
    network_case,
    network_of,
    repeated,
    residual,
)

ALPHA = {"kind": "alpha_dropout", "rate": 0.1}
BATCH_NORM = {"kind": "batch_norm", "epsilon": 0.0}
RELU = {"kind": "activation", "activation": "relu"}


def limit(*layers, train=True, **options):
    """Return the limit of the repeated block of a network."""
    found = network_case(*layers, **options)
    return limit_of(found.network, found.inputs, found.batch, train=train)


@pytest.mark.parametrize(
    ("activation", "gain"), [("selu", 1.0), ("selu", 0.75), ("tanh", 1.5), ("erf", 2.0)]
)
def test_it_is_that_of_a_uniform_stack(activation, gain):
    """A slope is taken over a distance of 1e-10; a kink makes it differ by its square root."""
    found = limit(NORM, repeated(8, dense(activation=activation, weight_gain=gain)), dense(10))
    stack = case(activation, 8, weight_gain=gain).outlook
    assert (found.first, found.count, found.last, found.keeps) == (1, 1, 9, False)
    assert found.mean == pytest.approx(stack.mean, abs=1e-8)
    assert found.variance == pytest.approx(stack.variance, rel=1e-7)
    assert found.growth == pytest.approx(stack.gradient_growth, rel=1e-4)


def test_a_residual_before_a_norm_mixes_the_slopes():
    """norm(x + f(x)) multiplies 1 − cosine near 1 by (1 + χ)/(1 + E f²): E x² is 1 after a norm."""
    gain, tanh = 2.0, ACTIVATIONS["tanh"]
    branch = [dense(activation="tanh", weight_gain=gain), dense()]
    found = limit(repeated(8, residual(*branch), NORM | {"epsilon": 0.0}))
    square = mean_of(lambda x: tanh.function(x) ** 2, gain**2)
    slope = gain**2 * mean_of(lambda x: tanh.derivative(x) ** 2, gain**2)
    assert found.growth == pytest.approx((1 + slope) / (1 + square), rel=1e-6)
    assert found.count == 4
    assert found.growth_per_layer == pytest.approx(found.growth**0.25)


def test_dropout_moves_the_limit_of_selu_and_alpha_dropout_does_not():
    """The values of plain dropout are those of a plain loop: x/k with probability k."""
    k, selu, q, mean = 0.9, ACTIVATIONS["selu"], 1.0, 0.0
    for _ in range(300):
        mean, q = mean_of(selu.function, q), mean_of(lambda x: selu.function(x) ** 2, q) / k
    dropout = {"kind": "dropout", "rate": 0.1}
    found = limit(repeated(32, dense(activation="selu"), dropout))
    # At the kink of SELU the sum over midpoints has an error of the square of its step, 2e-3.
    assert (found.mean, found.second_moment) == pytest.approx((mean, q), rel=1e-4)
    assert math.isnan(found.growth)
    found = limit(repeated(32, dense(activation="selu"), ALPHA))
    assert (found.mean, found.variance) == pytest.approx((0.0, 1.0), abs=1e-8)
    assert limit(repeated(32, dense(activation="selu"), dropout), train=False).growth > 1.07


@pytest.mark.parametrize(
    "layers",
    [
        [dense(activation="tanh")],  # falls as a power of the depth
        [dense(activation="gelu")],  # falls exponentially
        [residual(dense(activation="relu"), dense())],
        [residual(NORM, dense())],  # grows linearly
        [residual(dense(), BATCH_NORM, RELU, dense())],
    ],
)
def test_what_does_not_settle_has_no_limit(layers):
    assert limit(repeated(8, *layers)) is None


@pytest.mark.parametrize("batch", [2, 4, 64])
def test_batch_norm_holds_the_signal_that_its_batch_has(batch):
    """A unit's batch is √(B − 1) u with u uniform on the unit sphere of the B − 1 dimensions whose
    sum is 0, so E[ReLU] = √(B − 1) E|u₁|/2 with E|u₁| = Γ((B − 1)/2)/(√π Γ(B/2)), E[ReLU²] = ½."""
    first = math.exp(math.lgamma((batch - 1) / 2) - math.lgamma(batch / 2)) / math.sqrt(math.pi)
    mean = math.sqrt(batch - 1) * first / 2
    for before in ([], [NORM, dense(weight_gain=3.0)]):
        found = limit(*before, repeated(8, dense(), BATCH_NORM, RELU), dense(10), batch=batch)
        assert (found.mean, found.second_moment) == pytest.approx((mean, 0.5), rel=1e-9)
        # It depends on how different the samples are, which the slope of one pair does not tell.
        assert math.isnan(found.growth)
        assert not found.keeps


def test_batch_norm_before_the_block_is_followed_too():
    tanh = repeated(8, dense(activation="tanh", weight_gain=1.5))
    found, alone = limit(dense(), BATCH_NORM, RELU, tanh), limit(tanh)
    assert found.second_moment == pytest.approx(alone.second_moment, rel=1e-7)
    assert found.growth == pytest.approx(alone.growth, rel=1e-4)


def test_samples_that_are_alike_have_no_limit_behind_batch_norm():
    assert limit(repeated(8, dense(), BATCH_NORM, RELU), batch=1) is None


def test_any_size_stays_with_he_gain():
    assert limit(repeated(8, dense(activation="relu")), std=3.0).keeps
    assert not limit(repeated(8, dense(activation="relu"), NORM)).keeps


def test_the_last_repeated_block_is_meant():
    found = network_of(repeated(9, dense()), repeated(4, dense()), repeated(3, dense()))
    assert repeated_block(found)[0] == 1
    assert repeated_block(network_of(repeated(3, dense()))) is None
    skips = network_of(dense(), dense(), repeated(4, dense(), input="0"))
    assert repeated_block(skips) is None
    assert limit(dense(128), repeated(4, dense(128))) is not None
    assert limit(repeated(4, dense(128), dense(256)), channels=128) is None
    assert np.isfinite(limit(repeated(4, dense(128, "selu"), dense(256)), channels=256).growth)
