"""The example networks on grids show what they claim: by theory, and simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.experiment.positions import declared, position_shares
from snstat.network.network import Network
from tests.example_networks import (
    BEYOND,
    FOLDER,
    TRIALS,
    WIDTH,
    agrees,
    gaussian,
    propagate,
    rows,
    selu,
    sigmoid,
    simulated,
)

pytestmark = pytest.mark.examples


def named(run, name):
    """Return the number of the layer that has this name."""
    (row,) = (row.layer for row in run.layers if row.name == name)
    return row


def shares(name, layer, **parameters):
    """Return E[x²] at every position of a layer over the average, by theory."""
    network = Network.load(FOLDER / f"{name}.toml", set=parameters)
    (number,) = (row.number for row in network.rows() if row.name == layer)
    return position_shares(declared(network, 4), [number]).shares[number]


def wavenet(times, *, carry=1.0):
    """Return E[x²] at every time of the gated units of five layers and of their sum. `carry` 0
    leaves out the sums from layer to layer."""
    x, found = np.ones(times), []
    for dilation in (1, 2, 4, 8, 16):
        before = np.concatenate([np.zeros(dilation), x[:-dilation]])
        z = (x + before) / 2
        gated = [
            gaussian(lambda u: math.tanh(u) ** 2, 0.0, v)
            * gaussian(lambda u: sigmoid(u) ** 2, 0.0, v)
            for v in z
        ]
        found.append(np.array(gated))
        x = carry * x + found[-1]
    return found, sum(found)


def test_wavenet_skips_keep_what_gates_shrink():
    run = simulated("wavenet")
    gated = [named(run, f"body.gated{n}") for n in range(1, 6)]
    last = named(run, "body.sum")
    each, together = wavenet(48)
    expected = [part.mean() for part in each]
    np.testing.assert_allclose(run.second_moment.theory[gated], expected, rtol=1e-9)
    assert run.second_moment.theory[last] == pytest.approx(together.mean(), rel=1e-9)
    assert 0.11 < min(expected) < max(expected) < 0.14
    assert together.mean() == pytest.approx(0.62, abs=0.005)
    # E tanh² and E σ² are concave in E z², which varies between samples by √(2/width) at most: a
    # bias of less than 1/width.
    for number in (*gated, last):
        off = abs(run.second_moment.estimate[number] - run.second_moment.theory[number])
        allowed = run.second_moment.theory[number] / WIDTH
        assert off < BEYOND * run.second_moment.stderr[number] + allowed
    # Gates alone: the fifth has next to nothing, and the sum has what the first one gave.
    alone, kept = wavenet(48, carry=0.0)
    assert alone[-1].mean() < 1e-3
    assert kept.mean() > 0.1


def test_wavenet_fades_in_over_its_receptive_field():
    found = shares("wavenet", "body.sum", width=4)
    _, together = wavenet(48)
    np.testing.assert_allclose(found, together / together.mean(), rtol=1e-9)
    # Two taps at distances 1, 2, 4, 8 and 16 reach 32 samples.
    assert (np.diff(found[:32])[[0, 1, 3, 7, 15]] > 0.01).all()
    np.testing.assert_allclose(found[31:], found[31], rtol=1e-12)
    assert found[30] < found[31]


def uniform_weights(random, *shape):
    """Return PyTorch's weights or biases of a recurrent module of WIDTH units."""
    return random.uniform(-1, 1, shape) / math.sqrt(WIDTH)


def logistic(x):
    return 1 / (1 + np.exp(-x))


def lstm(random, forget_bias=0.0):
    """Return a step of an LSTM: (x, state) to a new state, the units of which come first."""
    u, w = (uniform_weights(random, 4, WIDTH, WIDTH) for _ in range(2))
    b = uniform_weights(random, 4, WIDTH, 1) + uniform_weights(random, 4, WIDTH, 1)

    def step(x, state):
        h, c = state
        i, f, g, o = (u[n] @ x + w[n] @ h + b[n] for n in range(4))
        c = logistic(f + forget_bias) * c + logistic(i) * np.tanh(g)
        return logistic(o) * np.tanh(c), c

    return step


def gru(random):
    """Return the same of a GRU."""
    u, w = (uniform_weights(random, 3, WIDTH, WIDTH) for _ in range(2))
    b, d = (uniform_weights(random, 3, WIDTH, 1) for _ in range(2))

    def step(x, state):
        h, _ = state
        r, z = (logistic(u[n] @ x + b[n] + w[n] @ h + d[n]) for n in range(2))
        n = np.tanh(u[2] @ x + b[2] + r * (w[2] @ h + d[2]))
        return (1 - z) * n + z * h, h

    return step


def passed_back(step, random, times):
    """Return ln of ‖∂h_T/∂x_1‖²/WIDTH, by central differences, and the mean of h_T² of one network
    and sample, where inputs after x_1 are 0."""
    size = 1e-5
    spread = random.normal(size=(WIDTH, WIDTH)) / math.sqrt(WIDTH)
    moved = size * np.hstack([np.eye(WIDTH), -np.eye(WIDTH)])
    x = spread @ (random.normal(size=(WIDTH, 1)) + moved)
    state = np.zeros_like(x), np.zeros_like(x)
    for now in range(times):
        state = step(x if now == 0 else np.zeros_like(x), state)
    ahead, behind = np.hsplit(state[0], 2)
    slope = (ahead - behind) / (2 * size)
    return math.log(np.sum(slope**2) / WIDTH), np.mean(ahead**2)


@pytest.mark.parametrize(("name", "make", "part"), [("lstm", lstm, 9e-8), ("gru", gru, 3.6e-7)])
def test_gates_of_pytorch_forget(name, make, part):
    run = simulated(name, backward=True, batch=8)
    random = np.random.default_rng(0)
    found = np.array([passed_back(make(random), random, 13) for _ in range(TRIALS)])
    # Averages over samples come before logarithms there. Samples of one network differ by little.
    estimates = math.log(run.gradient.estimate[0]), run.second_moment.estimate[-1]
    errors = run.gradient.stderr[0], run.second_moment.stderr[-1]
    off = np.abs(estimates - found.mean(0))
    assert (off < BEYOND * np.hypot(errors, found.std(0, ddof=1) / math.sqrt(TRIALS))).all()
    assert run.gradient.estimate[0] == pytest.approx(part, rel=0.1)
    assert run.cosine.estimate[-1] > 0.999
    # One step after the impulse, it is there: the difference is the lag.
    assert propagate(name, times=2, backward=True, batch=8).gradient.estimate[0] > 3e-3


def test_a_forget_bias_of_one_keeps_a_thousand_times_as_much():
    run, random = simulated("lstm", backward=True, batch=8, forget_bias=1), np.random.default_rng(0)
    found = np.array([passed_back(lstm(random, 1.0), random, 13)[0] for _ in range(TRIALS)])
    error = math.hypot(run.gradient.stderr[0], found.std(ddof=1) / math.sqrt(TRIALS))
    assert abs(math.log(run.gradient.estimate[0]) - found.mean()) < BEYOND * error
    assert run.gradient.estimate[0] == pytest.approx(1.3e-4, rel=0.1)


def elman(times, gain, bias):
    """Return E[h²] at the end and the squared gradient at the impulse, of gain² and the variance of
    biases."""
    second, gradient, z = 0.0, 1.0, gain + bias
    for _ in range(times):
        gradient *= gain * gaussian(lambda u: (1 - math.tanh(u) ** 2) ** 2, 0.0, z)
        second = gaussian(lambda u: math.tanh(u) ** 2, 0.0, z)
        z = gain * second + bias
    return second, gradient


@pytest.mark.parametrize(
    ("init", "gain", "bias"),
    [("torch_default", 1 / 3, 2 / (3 * WIDTH)), ("lecun_normal", 1.0, 0.0)],
)
def test_elman_forgets_or_remembers(init, gain, bias):
    run = simulated("elman", init=init, backward=True)
    second, gradient = elman(13, gain, bias)
    assert run.second_moment.theory[-1] == pytest.approx(second, rel=1e-9)
    assert run.gradient.theory[0] == pytest.approx(gradient, rel=1e-9)
    assert (gradient < 1e-6) == (init == "torch_default")
    assert (gradient > 0.05) == (init == "lecun_normal")
    # 13 layers with the same weights, whose biases in the logarithm are 2/width each.
    off = math.log(run.gradient.estimate[0] / gradient)
    assert abs(off) < BEYOND * run.gradient.stderr[0] + 13 * 2 / WIDTH
    alike = run.cosine.estimate[-1]
    assert alike > 0.999 if init == "torch_default" else abs(alike) < 0.1


def bordered(square, size, times):
    """Return E[x²] at the positions of a size × size grid after each of `times` convolutions with a
    kernel of 3 × 3 and zero padding, where `square` is E[x²] after units of a given E[z²]."""
    x, found = np.ones((size, size)), []
    for _ in range(times):
        padded = np.pad(x, 1)
        z = sum(padded[i : i + size, j : j + size] for i in range(3) for j in range(3)) / 9
        x = np.array([[square(value) for value in line] for line in z])
        found.append(x)
    return found


def test_snn_conv_leaves_its_fixed_point_at_the_border():
    run = simulated("snn_conv")
    convs = rows(run, "conv")
    expected = bordered(lambda v: gaussian(lambda x: selu(x) ** 2, 0.0, v), 8, 12)
    # The constants of selu, and integrals.
    means = [x.mean() for x in expected]
    np.testing.assert_allclose(run.second_moment.theory[convs], means, rtol=1e-8)
    assert run.variance.theory[-1] == pytest.approx(0.631, abs=5e-4)
    found = shares("snn_conv", "body.11.conv", width=4)
    np.testing.assert_allclose(found, expected[-1] / expected[-1].mean(), rtol=1e-8)
    # A share of 1/width in a layer adds up over the layers, as all have fresh weights.
    off = np.abs(run.variance.estimate - run.variance.theory)[convs[[0, 3, 11]]]
    assert (off < BEYOND * run.variance.stderr[convs[[0, 3, 11]]] + [1 / 64, 4 / 64, 12 / 64]).all()


def test_snn_conv_keeps_its_fixed_point_in_a_circle():
    run = simulated("snn_conv", padding="circular")
    np.testing.assert_allclose(run.mean.theory, 0.0, atol=1e-12)
    np.testing.assert_allclose(run.variance.theory, 1.0, rtol=1e-12)
    assert agrees(run.variance, [1, 2, 4])


@pytest.mark.parametrize(("size", "leak"), [(8, 0.079), (4, 0.238)])
def test_zero_padding_leaks(size, leak):
    """He weights and ReLU keep E[z²] at a position, so that the loss is that of zero padding."""
    run = propagate("snn_conv", activation="relu", size=size, blocks=40, width=4, batch=2)
    expected = [x.mean() for x in bordered(lambda v: v, size, 40)]
    np.testing.assert_allclose(run.second_moment.theory[1:], expected, rtol=1e-12)
    # The largest eigenvalue of the average of three neighbours, along both axes.
    factor = ((1 + 2 * math.cos(math.pi / (size + 1))) / 3) ** 2
    last = run.second_moment.theory[-1] / run.second_moment.theory[-2]
    assert last == pytest.approx(factor, rel=1e-4)
    assert 1 - factor == pytest.approx(leak, abs=5e-4)


def test_unet_has_a_checkerboard():
    # How many taps meet along an axis: 3 taps, 2 apart, from 4 positions.
    meet = np.array([1, 1, 2, 1, 2, 1, 2, 1, 1])
    up = np.outer(meet, meet) / meet.mean() ** 2
    np.testing.assert_allclose(shares("unet", "net.up2", width=8), up, rtol=1e-12)
    assert (up.min(), up.max()) == pytest.approx((0.5625, 2.25))
    even = shares("unet", "net.up2", width=8, kernel=2)
    np.testing.assert_allclose(even, np.ones((8, 8)), rtol=1e-12)
    # The other half is as even as a circle, so half of the unevenness is left at equal moments.
    run = propagate("unet", width=8)
    moments = run.second_moment.theory[[named(run, f"net.{name}") for name in ("middle", "up2")]]
    both = (moments[0] + moments[1] * up) / moments.sum()
    np.testing.assert_allclose(shares("unet", "net.both2", width=8), both, rtol=1e-12)


def test_unet_halves_what_is_pooled():
    run = simulated("unet", width=32, batch=4)
    high, down = (named(run, f"net.{name}") for name in ("high", "down1"))
    assert run.second_moment.theory[high] == pytest.approx(1.0, rel=1e-12)

    # Taps have weights of their own, so that units at different positions of white inputs are not
    # correlated: four of a window have one variance of 1 each, and 12 pairs with 2 (E relu)² = 1/π.
    pooled = (1 + 3 / math.pi) / 4
    assert run.second_moment.theory[down] == pytest.approx(pooled, rel=1e-9)
    # He weights keep E z² at any width. Units of 32 channels are Gaussian but for a part of 1/32.
    off = np.abs(run.second_moment.estimate - run.second_moment.theory)[[high, down]]
    assert (off < BEYOND * run.second_moment.stderr[[high, down]] + [0, pooled / 32]).all()
