"""The expected logarithm of squared gradients, of networks small enough to do it by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import digamma

from snstat.activation import ACTIVATIONS
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from snstat.theory.finite_width import finite_width
from snstat.theory.finite_width_gradient import _step_back, _Way
from snstat.theory.fluctuations import follow
from snstat.theory.layer_moments import Moments
from snstat.theory.predict import predict

# Midpoints of panels that end at the kinks at 0: only tails beyond 10 are missing.
NODES = 2e-3 * (np.arange(-5000, 5000) + 0.5)
WEIGHTS = np.exp(-0.5 * NODES**2) / np.exp(-0.5 * NODES**2).sum()


def added(stack, batch=1, mean=0.0, std=1.0):
    """Return what finite width adds to the logarithm at infinite width, and its residual."""
    inputs = DrawnInputs("normal", stack.input_width, batch, mean, std).moments()
    prediction = predict(stack, batch, inputs)
    found = finite_width(stack, batch, inputs, prediction, backward=True)
    return found.log_gradient - prediction.log_gradient, found.log_gradient_residual


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("name", ["identity", "relu", "tanh", "selu"])
def test_one_layer_by_hand(name, batch):
    """δ_i = φ'(z_i) v_i of a random read-out v, and |Wᵀδ|² follows a χ² but along x.

    Of T = mean φ'²v², E ln T is E ln D(q) less half of its variance given q, (3E φ'⁴/D² − 1)/n, and
    q varies by 2/m for m inputs. Of Wᵀδ, the one of m squares that is along x is larger by A =
    E φ'²ẑ²/D, and the logarithm of χ²/m is −1/m on average. That of |v|²/n is −1/n. The mean of
    B independent samples adds half of 1 − 1/B of the variance of these logarithms.
    """
    inputs, units = 3000, 2000
    slope = ACTIVATIONS[name].derivative

    def log_mean(q):
        return math.log(WEIGHTS @ slope(math.sqrt(q) * NODES) ** 2)

    gain_square = 1.7**2
    at = math.sqrt(gain_square) * NODES
    square = WEIGHTS @ slope(at) ** 2
    fourth = WEIGHTS @ slope(at) ** 4 / square**2
    along = WEIGHTS @ (slope(at) * NODES) ** 2 / square
    step = 0.02
    low, here, high = (log_mean(gain_square * (1.0 + k * step)) for k in (-1.0, 0.0, 1.0))
    first, second = (high - low) / (2.0 * step), (high - 2.0 * here + low) / step**2
    one = second / inputs - 0.5 * (3.0 * fourth - 1.0) / units + (along - 2.0) / inputs
    spread = first**2 * 2.0 / inputs + (3.0 * fourth - 1.0) / units + 2.0 / inputs
    of_read_out = (-1.0 + (1.0 - 1.0 / batch)) / units
    expected = one + 0.5 * (1.0 - 1.0 / batch) * spread - of_read_out
    stack = Stack.build(name, 1, units, input_width=inputs, weight_gain=1.7)
    # Differences of second order in the step.
    assert added(stack, batch)[0][0] == pytest.approx(expected, rel=3e-3)


@pytest.mark.parametrize("batch", [1, 3])
def test_orthogonal_layers_of_different_width_lose_what_they_do_not_map(batch):
    """Of a random vector of n values, m coordinates in a random basis have a share of its square
    that follows the beta distribution of (m/2, (n − m)/2). Every sample has its own vector."""
    widths = [200, 300, 120, 400, 250]
    stack = Stack.build("identity", widths=",".join(map(str, widths)), init="orthogonal")
    found, residual = added(stack, batch)
    exact = [0.0]
    for fan_in, fan_out in zip(widths[-2::-1], widths[:0:-1], strict=True):
        lost = digamma(fan_in / 2) - digamma(fan_out / 2) + math.log(fan_out / fan_in)
        exact.append(exact[-1] + min(lost, 0.0) / batch)
    # Terms of 1/120² for each layer, and half of the variance of a mean of few logarithms.
    np.testing.assert_allclose(found, exact[::-1], atol=1e-4)
    assert (np.abs(found - exact[::-1]) <= residual + 1e-12).all()


@pytest.mark.parametrize("init", ["lecun_normal", "orthogonal"])
@pytest.mark.parametrize("name", ["tanh", "gelu"])
def test_gradients_of_equal_samples_differ_by_their_read_outs(name, init):
    """Given the network, δ and δ' of equal samples are independent. E δ⁴ − E δ²δ'² of a unit is 2,
    and a layer adds as much times E φ'⁴/D² to V − C, over its units. The part of it that orthogonal
    weights keep is not random. That of the read-out of the last layer is 2."""
    widths, batch, bias = [300, 500, 500, 400], 3, 0.4
    stack = Stack.build(name, widths=",".join(map(str, widths)), init=init, bias_std=bias)
    fourths, second = [], 1.0
    for layer in stack.layers():
        at = math.sqrt(layer.square_gain * second + bias**2) * NODES
        slope = ACTIVATIONS[name].derivative(at)
        fourths.append(WEIGHTS @ slope**4 / (WEIGHTS @ slope**2) ** 2)
        second = WEIGHTS @ ACTIVATIONS[name].function(at) ** 2
    spread, kept, spreads = 0.0, 0.0, [2.0 / widths[-1]]
    for number in (3, 2, 1):
        spread += 2.0 * (fourths[number - 1] - kept) / widths[number]
        below = widths[number - 1]
        kept = below / max(below, widths[number]) if init == "orthogonal" else 0.0
        spreads.append(spread + 2.0 * (1.0 - kept) / below)
    several, one = (added(stack, count, 1.0, 0.0)[0] for count in (batch, 1))
    expected = 0.5 * (1.0 - 1.0 / batch) * (np.array(spreads) - spreads[0])
    np.testing.assert_allclose(several - one, expected[::-1], rtol=1e-5)


@pytest.mark.parametrize("tilt", [0.3, 1.0, 2.5])
def test_the_square_of_the_alignment_is_that_of_a_chi_square(tilt):
    """δ·z is nearly Gaussian, so A is a χ² times its mean. Half of the square of (A − 1) times the
    share of the gradient that follows x is beyond first order."""
    width = 300
    stack = Stack.build("gelu", 2, width, bias_std=0.5)
    inputs = DrawnInputs("normal", width, 1, 0.0, 1.0).moments()
    theory = predict(stack, 1, inputs)
    moments = Moments(stack, theory, backward=True)
    known, way = follow(stack, 1, inputs, theory, moments), _Way(tilt=tilt, own_tilt=tilt)
    _step_back(way, 1, stack, known, moments, pairs=False)
    q = 1.0 + 0.5**2
    at = math.sqrt(q) * NODES
    square, slope = (
        f(at) ** 2 for f in (ACTIVATIONS["gelu"].function, ACTIVATIONS["gelu"].derivative)
    )
    joint = WEIGHTS @ (square * slope) / (WEIGHTS @ square) / (WEIGHTS @ slope)
    share = 1.0 - 0.5**2 / theory.pre_second_moment[2]
    along_square = WEIGHTS @ (tilt * NODES**2 - 1.0) ** 2 * (share * joint / width) ** 2
    assert way.square == pytest.approx(0.5 * along_square, rel=1e-5)
