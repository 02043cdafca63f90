"""What the distribution of weights does to the spread of networks, against plain formulas."""

from __future__ import annotations

import re

import pytest

from snstat.activation import ACTIVATIONS
from snstat.layers.options import WeightOptions, defaults
from snstat.layers.spread import Spread
from snstat.layers.weights import Weights
from snstat.values.option import options_of

BEFORE = Spread(variance=0.02, pair=0.01, bias=0.003, residual=1e-5, fourth=2.5)


def test_orthogonal_weights_hold_the_share_of_their_smaller_side():
    """With more units than inputs, all of the signal's norm is kept; of gradients, the reverse."""
    wide, tall = (Weights.of("orthogonal", *sides) for sides in ((40, 10), (10, 40)))
    assert (wide.pinned, wide.kept) == (0.25, 1.0)
    assert (tall.pinned, tall.kept) == (1.0, 0.25)
    free = Weights.of("he_normal", 40, 10)
    assert (free.pinned, free.kept) == (0.0, 0.0)


def test_weights_pass_on_their_share():
    given = Weights.of("he_normal", 40, 10, bias_std=0.5).spread(0.8, BEFORE)
    expected = (0.8, 0.0, 0.0, 0.64 * 0.02, 0.64 * 0.01, 0.8 * 0.003, 0.0, 0.8 * 1e-5, 0.0, 0.0)
    assert given == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("init", "share", "shape"),
    [
        # A third of the excess kurtosis −1.2 of uniform weights, of 40 inputs.
        ("he_uniform", 0.8, -0.4 * 0.64 * 2.5 / 40),
        # A coordinate of a point on a sphere in the larger of both dimensions: −2/n.
        ("orthogonal", 0.8, -2.0 * 0.64 / 40),
        ("he_normal", 0.8, 0.0),
        # The uniform biases have the rest of q.
        ("torch_default", 0.8, -0.4 * 0.64 * 2.5 / 40 - 0.4 * 0.04),
        ("torch_default", 0.5, -0.4 * 0.25 * 2.5 / 40 - 0.4 * 0.25),
    ],
)
def test_pre_activations_have_the_shape_of_their_cumulants(init, share, shape):
    found = Weights.of(init, 40, 10).spread(share, BEFORE)
    assert found.shape == pytest.approx(shape, rel=1e-12)
    assert found.uniform == pytest.approx(1.0 - share if init == "torch_default" else 0.0)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_words_for_the_default_initialiser_are_true_of_every_activation(activation):
    *groups, other = options_of(WeightOptions)["init"].shown.split("; ")
    named = {
        name: group.split(" for ")[0]
        for group in groups
        for name in re.split(", | and ", group.split(" for ")[1])
    }
    found = defaults(activation, None, None, None)[0]
    assert named.get(activation, other.removeprefix("else ")) == found
