"""What the distribution of weights does to the spread of networks, against plain formulas."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from scipy.stats import norm

from snstat.activation import ACTIVATIONS
from snstat.layers.initialisers import NORMALIZED
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


@pytest.mark.parametrize("init", ["lecun_normal", "lecun_uniform", "lecun_truncated"])
@pytest.mark.parametrize("fourth", [1.0, 2.5, 8.0])
def test_normalized_weights_have_the_kurtosis_of_a_direction(init, fourth):
    """With w of any law and |w| = 1, E z⁴ is Σ x⁴ a + 3 Σ x_i² x_j² b for a = E w₁⁴ and n a +
    n(n − 1) b = 1. By 1/R² = ∫ s e^(−sR) ds, a is an integral of two of one weight. The next order
    is of 1/n of it."""
    weights = Weights.of(init, 4_000, 10, form=NORMALIZED)
    n = weights.fan_in
    if weights.distribution == "uniform":
        end, density = math.sqrt(3.0), lambda w: np.full_like(w, 0.5 / math.sqrt(3.0))
    else:
        end = 2.0 if weights.distribution == "truncated_normal" else 12.0
        density = norm.pdf
    nodes, widths = np.polynomial.legendre.leggauss(80)
    w, dw = end * nodes, end * widths * density(end * nodes)
    dw /= dw.sum()
    w /= math.sqrt(dw @ w**2)
    s = np.linspace(0.0, 60.0 / n, 2_001)
    gone = np.exp(-np.outer(s, w**2)) * dw
    own = np.trapezoid(s * (gone @ w**4) * gone.sum(axis=1) ** (n - 1), s)
    beside = (1.0 - n * own) / (n * (n - 1))
    # Of x with Σ x² = n.
    quartic = own * n * fourth + 3.0 * beside * (n * n - n * fourth)
    found = weights.spread(0.8, BEFORE._replace(fourth=fourth)).shape
    assert found == pytest.approx(0.64 * (quartic / 3.0 - 1.0), rel=5e-3, abs=2e-6 / n)
