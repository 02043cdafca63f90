"""Fluctuations of the Gram matrix of two samples contain those of one sample."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from snstat.activation import resolve
from snstat.experiment.inputs import DrawnInputs
from snstat.gaussian.centred import centred_moments
from snstat.gaussian.gram_moments import GramTable
from snstat.gaussian.kurtosis_moments import kurtosis_moments
from snstat.gaussian.pairs import pair_gap
from snstat.layers.weights import Weights
from snstat.network.stack import Stack
from snstat.theory.fluctuations import follow
from snstat.theory.gram import (
    GramState,
    _activate,
    _input_squares,
    _roughness,
    _Shape,
    _shape,
    follow_gram,
)
from snstat.theory.layer_moments import Moments
from snstat.theory.predict import predict


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "selu", "widths": "40,60,30*2,50"},
        {"activation": "selu", "widths": "40,60,30*2,50", "init": "orthogonal", "bias_std": 0.4},
        {"activation": "tanh", "widths": "40,60,30*2,50", "init": "lecun_uniform", "bias_std": 0.4},
        {"activation": "gelu", "widths": "40,60,30*2,50", "init": "orthogonal", "weight_gain": 1.5},
        {"activation": "tanh", "widths": "40,60,30*2,50", "init": "torch_default"},
    ],
    ids=lambda options: " ".join(map(str, options.values())),
)
def test_sums_and_differences_fluctuate_as_their_samples_do(options):
    """φ₁² + φ₂² is ½(φ₁ + φ₂)² + ½(φ₁ − φ₂)², and φ₁² − φ₂² is twice their mixed term: variances,
    covariances and biases of the squares of one sample and of two follow from either."""
    stack = Stack.build(**options)
    inputs = DrawnInputs("normal", 40, 4, 0.5, 1.0).moments()
    theory = predict(stack, 4, inputs)
    moments = Moments(stack, theory, backward=False)
    known = follow(stack, 4, inputs, theory, moments)
    gram = follow_gram(stack, inputs, theory, moments, known)
    # Those of the next layer's q are those of the squares times λ or λ².
    own, pair = (part[2:] / known.share[2:] ** 2 for part in (known.variance, known.pair))
    bias = known.bias[2:] / known.share[2:]
    c = theory.statistics["cosine"][1:-1]
    along, across, first, mixed, second, crossed = (
        getattr(gram, name)[1:-1]
        for name in ("along", "across", "first", "mixed", "second", "crossed")
    )
    total = (1 + c) ** 2 * first + (1 - c) ** 2 * second + 2.0 * (1 - c * c) * mixed
    # Moments of pairs are known to five digits.
    np.testing.assert_allclose(total / 4.0, (own + pair) / 2.0, rtol=2e-5)
    np.testing.assert_allclose((1 - c * c) * crossed, (own - pair) / 2.0, rtol=2e-5)
    np.testing.assert_allclose(((1 + c) * along + (1 - c) * across) / 2.0, bias, rtol=2e-5)
    assert (np.abs(mixed) > 1e-4).all()


@pytest.mark.parametrize("name", ["softplus", "gelu", "relu"])
@pytest.mark.parametrize("cosine", [0.2, 0.7])
def test_what_is_neglected_is_carried_by_derivatives(name, cosine):
    """That of q, of the difference of two samples and of their product, by finite differences of
    E φ² and E φ² − E φ₁φ₂."""
    function, q, step = resolve(name), 1.3, 1e-3

    def gap(square, product):
        return float(pair_gap(function, square, 1.0 - product / square))

    def both(square, product):
        return float(centred_moments(function, square).second_moment) - gap(square, product)

    def slope(of):
        return abs(of(1.0 + step) - of(1.0 - step)) / (2.0 * step)

    k, second = cosine * q, float(centred_moments(function, q).second_moment)
    apart = gap(q, k)
    # U = q − k: of q with U fixed, then of U with q fixed; of q with k fixed, then of k over q.
    difference = (
        slope(lambda by: gap(by * q, by * q - (q - k)) / apart),
        slope(lambda by: gap(q, q - by * (q - k)) / apart),
    )
    product = (
        slope(lambda by: both(by * q, k) / second),
        slope(lambda by: both(q, k + (by - 1.0) * q) / second),
    )
    central = kurtosis_moments(function, q)
    found = GramTable(function, q, central.mean, central.std).gram(1.0 - cosine)
    still = GramState(*[0.0] * len(GramState._fields))
    for place, residuals in enumerate(([0.3, 0.0, 0.0], [0.0, 0.3, 0.3])):
        before = still._replace(residual=residuals[1], product_residual=residuals[2])
        after = _activate(
            found, before, _Shape(0.0, 0.0, 0.0), cosine, residuals[0], (1.0, 0.0, 50)
        )
        assert after.residual == pytest.approx(0.3 * difference[place], rel=2e-4)
        assert after.product_residual == pytest.approx(0.3 * product[place], rel=2e-4)


def test_roughness_in_all_directions():
    """exp(αδP + βδU + γδX) with γ² = 4αβ has ∂_X² = 4 ∂_P ∂_U. Odd powers of X vanish."""
    (alpha, beta), (p, u, x) = (0.7, 1.3), (0.3, 0.2, 0.4)
    of_wave = {(i, j): alpha**i * beta**j for i in range(5) for j in range(5)}
    along, across = alpha * p + beta * u, 2.0 * math.sqrt(alpha * beta) * x
    second, third, fourth = (
        ((along + across) ** k + (along - across) ** k) / 2.0 for k in (2, 3, 4)
    )
    size = math.sqrt(p * p + u * u + x * x)
    expected = 0.25 * (second * size**2 + third * size) + fourth / 16.0
    for signed in (False, True):
        assert _roughness(of_wave, (p, u, x), signed=signed) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_is_neglected_counts_fourth_cumulants_as_variances(sign):
    """Of any sign: as those of biases that are uniform, and of weights that are orthogonal."""
    function, q, cosine = resolve("gelu"), 1.3, 0.4
    central = kurtosis_moments(function, q)
    found = GramTable(function, q, central.mean, central.std).gram(1.0 - cosine)
    still = GramState(*[0.0] * len(GramState._fields))

    def neglected(variances, cumulants):
        first, second, crossed = variances
        before = still._replace(first=first, second=second, crossed=crossed)
        after = _activate(found, before, _Shape(*cumulants), cosine, 0.0, (1.0, 0.0, 50))
        return after.residual, after.product_residual

    variances, cumulants = (0.05, 0.03, 0.02), (0.04, 0.02, 0.06)
    signed = [sign * own for own in cumulants]
    both = (0.05 + 0.04, 0.03 + 0.02, 0.02 + 0.06 / 2.0)
    expected = neglected(both, (0.0, 0.0, 0.0))
    assert neglected(variances, signed) == pytest.approx(expected, rel=1e-12)
    assert min(expected) > 1.2 * max(neglected(variances, (0.0, 0.0, 0.0)))


@pytest.mark.parametrize(("label", "mean", "std"), [
    ("normal", 0.5, 1.0), ("uniform", 0.5, 1.0), ("uniform", -2.0, 0.7), ("uniform", 0.0, 3.0),
])  # fmt: skip
def test_sums_and_differences_of_drawn_inputs(label, mean, std):
    """By quadrature over both samples, exact for powers of four."""
    if label == "normal":
        nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    else:
        nodes, weights = np.polynomial.legendre.leggauss(8)
        nodes = math.sqrt(3.0) * nodes
    weights = np.outer(weights, weights) / weights.sum() ** 2
    one, other = mean + std * nodes[:, None], mean + std * nodes
    total, apart = (one + other) ** 2, (one - other) ** 2
    total, apart = total / (weights * total).sum(), apart / (weights * apart).sum()
    expected = [(weights * of).sum() for of in (total**2, total * apart, apart**2)]
    found = _input_squares(DrawnInputs(label, 40, 4, mean, std).moments())
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("init", ["orthogonal", "lecun_uniform", "lecun_normal"])
def test_uniform_biases_add_their_fourth_cumulant_to_that_of_sums(init):
    """Both samples have the same bias, so differences lack it. That of a uniform number is −6/5 of
    its squared variance, a third of which counts as a variance."""
    share, squares = 0.6, (2.5, 1.4, 2.7)
    normal = replace(Weights.of(init, 20, 30, weight_gain=1.3), bias_std=0.4)
    plain = _shape(normal, share, squares)
    found = _shape(replace(normal, bias_distribution="uniform"), share, squares)
    assert found.first - plain.first == pytest.approx(-1.2 / 3.0 * (1.0 - share) ** 2, rel=1e-12)
    assert (found.second, found.mixed) == (plain.second, plain.mixed)
