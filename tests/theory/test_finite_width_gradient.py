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


def by_loop(stack, batch, theory, known, roughness):
    """Return what is added, its residual and the squares of the alignment, each (depth + 1,), by a
    plain loop over the formulas of docs/finite-width.md."""
    z, w, n = NODES[8::16], WEIGHTS[8::16] / WEIGHTS[8::16].sum(), stack.width_of(stack.depth)
    added, residuals, squares = np.zeros((3, stack.depth + 1))
    of_read_out = -1.0 / n + (1.0 - 1.0 / batch) / n, 0.3 * (2.0 / n) ** 2 * 2.0
    mean = residual = square = apart = 0.0  # E ln|δ|², what that neglects, and V − C
    alignment, own_alignment, pull, share, kept = 1.0, 1.0, 0.0, 0.0, 0.0
    for number in range(stack.depth, 0, -1):
        layer, n = stack.layer(number), stack.width_of(number)
        phi = ACTIVATIONS[layer.activation]
        r, s, b, k, lost = (
            float(getattr(known, name)[number])
            for name in ("variance", "pair", "bias", "shape", "residual")
        )
        q, c = theory.pre_second_moment[number], 1.0 - theory.misalignment[number]
        at = math.sqrt(q) * z
        other = math.sqrt(q) * (c * z[:, None] + math.sqrt(1.0 - c * c) * z)
        size, slopes = w @ phi.function(at) ** 2, w @ phi.derivative(at) ** 2
        psi, slope = phi.function(at) / math.sqrt(size), phi.derivative(at) ** 2 / slopes
        chi = 0.5 * w @ (psi**2 * (z**2 - 1.0))
        first = 0.5 * w @ (slope * (z**2 - 1.0))
        of_d = 0.25 * w @ (slope * (z**4 - 6.0 * z**2 + 3.0))
        noise = four = 3.0 * w @ slope**2 - 1.0
        joint = w @ (slope * psi**2)
        pair_slope = w @ (slope * (phi.derivative(other) ** 2 @ w)) / slopes
        pair_joint = w @ (slope * (phi.function(other) ** 2 @ w)) / size
        # What orthogonal weights hold fixed: of squares, and of products of two samples.
        if layer.orthogonal:
            held = 2.0 * layer.fan_out / max(layer.fan_in, layer.fan_out)
            own, two = (held * (known.share[number] + x) ** 2 for x in (0.0, c - 1.0))
            noise -= 2.0 * kept + own * first**2
            pair_slope -= two * first**2
            pair_joint -= (two - own) * first * chi
        tilt = alignment - 1.0 + 0.5 * layer.excess * (own_alignment - 1.0)
        along = share * (joint - kept) / n
        mean += first * b + 0.5 * (of_d - first**2) * r + 0.5 * of_d * k
        mean += tilt * along - 0.5 * noise / n
        square += 0.5 * (3.0 * alignment**2 - 2.0 * alignment + 1.0) * along**2
        residual += 0.3 * (four / n) ** 2 + abs(first) * lost
        residual += roughness(number) * (r + abs(k)) ** 2
        apart += (first**2 + 2.0 * pull * share * chi * first) * (r - s)
        apart += (noise - (pair_slope - 1.0)) / n + 2.0 * pull * share * (joint - pair_joint) / n
        lean = (w @ (psi * phi.derivative(at) * z)) ** 2 / slopes
        own_alignment = w @ (slope * z**2)
        alignment = own_alignment + (alignment - 1.0) * share * lean
        pull = first + share * chi * pull
        share, below = known.share[number], stack.width_of(number - 1)
        tilt = alignment - 1.0 + 0.5 * layer.excess * (own_alignment - 1.0)
        kept = layer.fan_in / max(layer.fan_in, layer.fan_out) if layer.orthogonal else 0.0
        free = (1.0 - kept) / below
        spread = 2.0 * free + (apart if batch > 1 else 0.0)
        added[number - 1] = mean + (tilt * share - 1.0) * free
        added[number - 1] += 0.5 * (1.0 - 1.0 / batch) * spread - of_read_out[0]
        more = 0.3 * (2.0 * free) ** 2 + 0.3 * spread**2 + square
        residuals[number - 1] = abs(residual + more - of_read_out[1])
        squares[number - 1] = square
    return added, residuals, squares


LOOPS = [
    {"activation": "tanh", "widths": "60,90,40,70", "weight_gain": 1.6, "bias_std": 0.5},
    {"activation": "softplus", "widths": "200,150*2,70", "init": "lecun_uniform", "bias_std": 0.2},
    {"activation": "gelu", "depth": 4, "width": 90, "init": "glorot_truncated", "weight_gain": 1.4},
    {"activation": "tanh", "widths": "60,90,90,50", "init": "orthogonal", "bias_std": 0.5},
]


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("options", LOOPS, ids=["normal", "uniform", "truncated", "orthogonal"])
def test_each_layer_adds_what_a_plain_loop_adds(options, batch):
    stack = Stack.build(**options)
    inputs = DrawnInputs("normal", stack.input_width, batch, 0.3, 1.0).moments()
    theory = predict(stack, batch, inputs)
    moments = Moments(stack, theory, backward=True)
    known = follow(stack, batch, inputs, theory, moments)
    added, residual, square = by_loop(
        stack, batch, theory, known, lambda number: moments.backward(number).log_slope.roughness
    )
    found = finite_width(stack, batch, inputs, theory, backward=True)
    expected = np.where(square <= 1e-3, theory.log_gradient + added, math.nan)
    # Moments of pairs are known to five digits.
    np.testing.assert_allclose(found.log_gradient, expected, atol=1e-6)
    off = np.where(square <= 1e-3, residual, residual + np.abs(added))
    np.testing.assert_allclose(found.log_gradient_residual, off, rtol=1e-3, atol=1e-12)
    assert np.isfinite(found.log_gradient[:-1]).any()
