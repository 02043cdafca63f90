"""Expected ratios, by derivatives of the ratio with respect to what fluctuates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.activation import ACTIVATIONS
from snstat.experiment.inputs import DrawnInputs
from snstat.gaussian.kurtosis_moments import kurtosis_moments
from snstat.network.stack import Stack
from snstat.theory.finite_width import finite_width
from snstat.theory.fluctuations import follow
from snstat.theory.gram import follow_gram
from snstat.theory.layer_moments import Moments
from snstat.theory.predict import predict
from snstat.theory.ratios import _carried

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
POWERS = np.arange(1, 5)


def kurtosis(moments):
    """Return the kurtosis of values with these means of their powers 1 to 4."""
    m1, m2, m3, m4 = moments
    return (m4 - 4.0 * m1 * m3 + 6.0 * m1**2 * m2 - 3.0 * m1**4) / (m2 - m1**2) ** 2


def moved(ratio, at, step, shift, covariance):
    """Return how E of a ratio differs from that of `at`, by central differences, to first order in
    the `shift` of what fluctuates and in its `covariance`."""
    units = np.diag(step)

    def second(a, b):
        found = ratio(at + a + b) + ratio(at - a - b) - ratio(at + a - b) - ratio(at - a + b)
        return found / (4.0 * a.sum() * b.sum())

    slopes = np.array([(ratio(at + a) - ratio(at - a)) / (2.0 * a.sum()) for a in units])
    bends = np.array([[second(a, b) for b in units] for a in units])
    return float(slopes @ shift + 0.5 * (bends * covariance).sum())


def of_kurtosis(at, shift, covariance):
    return moved(kurtosis, at, 1e-3 * at[1] ** (POWERS / 2.0), shift, covariance)


def theory(stack, batch, label="normal", mean=0.0):
    inputs = DrawnInputs(label, stack.input_width, batch, mean, 1.0).moments()
    prediction = predict(stack, batch, inputs)
    moments = Moments(stack, prediction, backward=False)
    known = follow(stack, batch, inputs, prediction, moments)
    gram = follow_gram(stack, inputs, prediction, moments, known)
    return prediction, known, gram, finite_width(stack, batch, inputs, prediction)


@pytest.mark.parametrize("label", ["normal", "uniform"])
def test_the_kurtosis_of_independent_inputs(label):
    """The means of powers of N values of variance 1 have covariance (m_j+k − m_j m_k)/N."""
    width, batch = 300, 5
    powers = np.arange(9)
    raw = np.where(powers % 2 == 0, 3.0 ** (powers / 2) / (powers + 1), 0.0)
    if label == "normal":
        raw = np.array([WEIGHTS @ NODES**k for k in powers])
    at, values = raw[1:5], width * batch
    covariance = (raw[POWERS[:, None] + POWERS] - np.outer(at, at)) / values
    exact = at[3] + of_kurtosis(at, np.zeros(4), covariance)
    found = theory(Stack.build("tanh", 1, 20, input_width=width), batch, label)[-1]
    # That of normal values is known to all orders.
    assert found.expected["kurtosis"][0] == pytest.approx(exact, rel=(3 / values) ** 2 + 1e-6)
    assert abs(exact - at[3]) > 1e-3


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("init", ["lecun_normal", "orthogonal"])
@pytest.mark.parametrize("name", ["softplus", "gelu", "tanh"])
def test_the_kurtosis_of_a_layer(name, init, batch):
    """Given the network before, powers of the units have the covariances of functions of a pair of
    Gaussians over the width. q and the covariance between samples follow `fluctuations`. Square
    orthogonal weights hold the means of squares and products of what they give, √λ x of a
    pre-activation √λ x + √(1 − λ) y: what correlates with them does not vary."""
    width = 400
    stack = Stack.build(name, 2, width, init=init, weight_gain=1.2, bias_std=0.8)
    prediction, known, _, found = theory(stack, batch, mean=0.4)
    variance, pair, bias = (column[2] for column in (known.variance, known.pair, known.bias))
    q, c = prediction.pre_second_moment[2], 1.0 - prediction.misalignment[2]
    one = ACTIVATIONS[name].function(math.sqrt(q) * NODES)
    beside = c * NODES[:, None] + math.sqrt(1.0 - c * c) * NODES
    other = ACTIVATIONS[name].function(math.sqrt(q) * beside)
    # q ∂E f/∂q = ½E[f He₂], q² ∂²E f/∂q² = ¼E[f He₄].
    hermite = NODES**2 - 1.0, NODES**4 - 6.0 * NODES**2 + 3.0
    slopes = np.array([0.5 * WEIGHTS @ (one**k * hermite[0]) for k in POWERS])
    bends = np.array([0.25 * WEIGHTS @ (one**k * hermite[1]) for k in POWERS])
    raw = np.array([WEIGHTS @ one**k for k in range(9)])
    at = raw[1:5]
    own = (raw[POWERS[:, None] + POWERS] - np.outer(at, at)) / width
    own += np.outer(slopes, slopes) * variance
    given = np.array([other**k @ WEIGHTS for k in POWERS])
    across = np.array([[WEIGHTS @ (one**j * of) for of in given] for j in POWERS])
    shared = (across - np.outer(at, at)) / width + np.outer(slopes, slopes) * pair
    shape = 0.0
    if init == "orthogonal":
        share = float(known.share[2])
        mixed = math.sqrt(share) * NODES[:, None] + math.sqrt(1.0 - share) * NODES
        values = ACTIVATIONS[name].function(math.sqrt(q) * mixed)
        held = np.array([WEIGHTS @ ((values**k @ WEIGHTS) * hermite[0]) for k in POWERS])
        alike = (c - (1.0 - share)) / share
        own -= np.outer(held, held) / 2.0 / width
        shared -= np.outer(held, held) / 2.0 * alike**2 / width
        shape = -2.0 * share**2 / width  # of a coordinate of a vector on a sphere
        assert 0.4 < share < 0.9
    covariance = own / batch + (1.0 - 1.0 / batch) * shared
    change = of_kurtosis(at, slopes * bias + 0.5 * bends * (variance + shape), covariance)
    theirs = found.expected["kurtosis"][2] - prediction.statistics["kurtosis"][2]
    # Moments of pairs are known to five digits, differences to a millionth of the terms.
    assert theirs == pytest.approx(change, rel=1e-3)


@pytest.mark.parametrize("name", ["softplus", "gelu", "relu"])
def test_the_cosine_of_two_samples(name):
    """Of φ₁ ± φ₂, half of the mean squares, and the mean of ½(φ₁² − φ₂²), follow `gram`."""
    batch = 4
    prediction, _, gram, found = theory(Stack.build(name, 3, 300, bias_std=0.3), batch, mean=0.4)
    for layer in (1, 2, 3):
        c, second = (float(prediction.statistics[n][layer]) for n in ("cosine", "second_moment"))

        def cosine(of, c=c):
            total, difference = (1.0 + c) * (1.0 + of[0]), (1.0 - c) * (1.0 + of[1])
            mean, apart = 0.5 * (total + difference), math.sqrt(1.0 - c * c) * of[2]
            return 0.5 * (total - difference) / math.sqrt(mean * mean - apart * apart)

        along, across, first, mixed, other, crossed = (
            getattr(gram, part)[layer]
            for part in ("along", "across", "first", "mixed", "second", "crossed")
        )
        covariance = np.array([[first, mixed, 0.0], [mixed, other, 0.0], [0.0, 0.0, crossed]])
        shift, step = np.array([along, across, 0.0]), np.full(3, 1e-3)
        change = moved(cosine, np.zeros(3), step, shift, covariance)
        # Differences to a millionth, of terms that partly cancel.
        assert found.expected["cosine"][layer] - c == pytest.approx(change, rel=1e-4)
        over_batch = (1.0 - 1.0 / batch) * (1.0 - c) * second * (1.0 + across)
        assert found.expected["variance_over_batch"][layer] == pytest.approx(over_batch, rel=1e-9)


def test_what_the_kurtosis_carries_of_what_its_moments_neglect():
    """By its derivatives by the mean, the square and the fourth power. That by the third is 0 for
    values whose mean is 0."""
    one = kurtosis_moments(ACTIVATIONS["softplus"], 1.3)
    at, step, error, size = np.array(one.moments[1:5]), 1e-5, 0.02, 0.003
    expected = 0.0
    for k, unit in zip(POWERS, np.eye(4), strict=True):
        by = (kurtosis(at + step * unit) - kurtosis(at - step * unit)) / (2.0 * step)
        neglected = abs(one.by_q[k].slope) * error + one.by_q[k].roughness * size
        expected += abs(by) * neglected / kurtosis(at)
        assert (abs(by) > 1e-6) == (k != 3)
    assert _carried(one, error, size) == pytest.approx(expected, rel=1e-6)
