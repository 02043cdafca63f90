"""Networks with a dead layer, against exact probabilities and plain simulation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import snstat
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from snstat.theory.finite_width import finite_width
from snstat.theory.predict import predict
from snstat.theory.silence import _accumulated, dead_with_silence, silence


def theory(stack, batch):
    inputs = DrawnInputs("normal", stack.input_width, batch, 0.0, 1.0).moments()
    prediction = predict(stack, batch, inputs)
    return inputs, prediction, silence(stack, batch, prediction)


def simulated(width, depth, batch, networks, seed=0):
    """Return the share of dead units per network and layer 1..depth, (networks, depth)."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((networks, batch, width))
    dead = np.empty((networks, depth))
    for layer in range(depth):
        z = x @ random.standard_normal((networks, width, width))
        dead[:, layer] = 1.0 - (z > 0).any(axis=1).mean(axis=1)
        x = np.maximum(z, 0.0)
    return dead


@pytest.mark.parametrize("width", [1, 2, 5])
def test_one_sample_of_relu_is_exact(width):
    stack = Stack.build("relu", 12, width)
    inputs, prediction, found = theory(stack, 1)
    exact = 1.0 - (1.0 - 0.5**width) ** np.arange(13)
    np.testing.assert_allclose(found.share, exact, rtol=1e-12)
    np.testing.assert_allclose(found.most, exact, rtol=1e-12)
    assert found.lasting
    first_order = finite_width(stack, 1, inputs, prediction)
    expected = first_order.expected["dead_fraction"]
    np.testing.assert_allclose(first_order.residual["dead_fraction"][1:], 0.0, atol=1e-15)
    networks = 4000
    dead = simulated(width, 12, 1, networks)
    # Four standard errors of a share; all layers belong to the same networks.
    for layer in (1, 2, 12):
        silent = (dead[:, layer - 1] == 1.0).mean()
        error = math.sqrt(exact[layer] * (1.0 - exact[layer]) / networks)
        assert abs(silent - exact[layer]) < 4.0 * error
        error = dead[:, layer - 1].std() / math.sqrt(networks)
        assert abs(dead[:, layer - 1].mean() - expected[layer]) < 4.0 * error


@pytest.mark.parametrize(("width", "batch"), [(2, 64), (4, 4)])
def test_probabilities_for_batches_lie_between_the_bounds(width, batch):
    _, _, found = theory(Stack.build("relu", 10, width), batch)
    silent = (simulated(width, 10, batch, 2000) == 1.0).mean(axis=0)
    # Four standard errors. For events never seen, probabilities above 5/2000 are excluded.
    error = 4.0 * np.sqrt(silent * (1.0 - silent) / 2000) + 5.0 / 2000
    assert (found.share[1:] <= silent + error).all()
    assert (found.most[1:] >= silent - error).all()
    # The bound is close, because samples of narrow networks soon collapse.
    assert found.most[-1] - silent[-1] < 0.2


def test_the_probability_depends_on_widths_and_layers():
    """The input is not a layer, whatever its width; computed from the orthant probability."""
    stack = Stack.build("relu", 3, 6, input_width=40)
    _, prediction, found = theory(stack, 4)
    dead = prediction.statistics["dead_fraction"]
    alive = 1.0
    for layer in (1, 2, 3):
        alive *= 1.0 - float(dead[layer]) ** 6
        assert found.share[layer] == pytest.approx(1.0 - alive, rel=1e-9)
    assert found.share[0] == found.most[0] == 0.0


def test_activations_without_zero_parts_are_never_silent():
    for name in ("selu", "tanh", "hard_tanh", "identity"):
        _, _, found = theory(Stack.build(name, 4, 2), 8)
        assert not found.share.any()
        assert not found.most.any()


def test_a_probability_of_0_has_no_sign():
    assert not np.signbit(_accumulated(np.zeros(3), np.full(3, 8.0))).any()


def test_wide_networks_keep_their_theory():
    stack = Stack.build("relu", 50, 1024)
    _, prediction, _ = theory(stack, 16)
    dead = prediction.statistics["dead_fraction"]
    nothing = np.zeros(51)
    expected, error, _ = dead_with_silence(stack, 16, prediction, dead, nothing)
    np.testing.assert_array_equal(expected[1:], dead[1:])
    np.testing.assert_allclose(error[1:], 0.0, atol=1e-300)  # 2⁻¹⁰²⁴ per layer


def test_theory_is_not_trusted_where_silent_layers_recover():
    """Biases revive a dead layer; theory of narrow networks does not know which units die then."""
    narrow, wide = (Stack.build("relu", 5, width, bias_std=0.5) for width in (2, 256))
    for stack, known in ((narrow, False), (wide, True)):
        _, prediction, found = theory(stack, 1)
        assert not found.lasting
        dead = prediction.statistics["dead_fraction"]
        _, error, trusted = dead_with_silence(stack, 1, prediction, dead, 0.0 * dead)
        assert trusted[1:].all() == known
        # If a layer before was silent, all units may be dead, or none.
        silent = np.cumprod([1.0, *np.full(4, 1.0 - 2.0**-stack.width)])
        np.testing.assert_allclose(error[1:], 0.5 * (1.0 - silent), atol=1e-12)


def test_the_bound_is_known_beyond_the_end_of_theory():
    stack = Stack.build("relu", 300, 4, weight_gain=1e3)
    _, _, found = theory(stack, 1)
    assert np.isnan(found.share[-1])
    assert found.most[-1] == pytest.approx(1.0 - (1.0 - 1.0 / 16.0) ** 300)
    deeper = theory(replace(stack, depth=10), 1)[2]
    np.testing.assert_array_equal(deeper.share, found.share[:11])


def test_a_linear_last_layer_is_never_dead():
    funnel = Stack.build("relu", widths="4,3*6,2", last="linear")
    _, prediction, found = theory(funnel, 1)
    alive = (1.0 - 0.5**3) ** np.arange(7)
    np.testing.assert_allclose(found.share, 1.0 - np.append(alive, alive[-1]), rtol=1e-12)
    dead = prediction.statistics["dead_fraction"]
    expected, _, _ = dead_with_silence(funnel, 1, prediction, dead, 0.0 * dead)
    assert expected[-1] == 0.0
    assert expected[-2] == pytest.approx(1.0 - 0.5 * alive[-2])


@pytest.mark.parametrize("name", ["relu", "relu6", "squared_relu", "leaky_relu", "tanh"])
@pytest.mark.parametrize("batch", [1, 4])
def test_the_share_of_samples_that_are_zero_is_exact(name, batch):
    """A unit with a half-line of zeros is 0 for one sample with probability ½, whatever the other
    samples."""
    name = "relu_squared" if name == "squared_relu" else name
    stack = Stack.build(name, widths="3,2,4,3")
    inputs, prediction, _ = theory(stack, batch)
    found = finite_width(stack, batch, inputs, prediction).expected["zero_samples"]
    half = 0.5 if "relu" in name and name != "leaky_relu" else 0.0
    exact, alive = [0.0], 1.0
    for units in (2, 4, 3):
        alive *= 1.0 - half**units
        exact.append(1.0 - alive)
    np.testing.assert_allclose(found, exact, rtol=1e-12, atol=1e-15)


def test_samples_do_not_stay_zero_beside_biases():
    stack = Stack.build("relu", 4, 2, bias_std=0.1)
    inputs, prediction, _ = theory(stack, 1)
    assert np.isnan(finite_width(stack, 1, inputs, prediction).expected["zero_samples"]).all()


def test_the_share_of_zero_samples_is_that_of_simulated_networks():
    run = snstat.propagate("relu", 6, width=2, batch=3, trials=4000)
    found = run.statistics["zero_samples"]
    # Four standard errors; all layers belong to the same networks.
    assert np.abs(found.z[1:]).max() < 4.0
    assert found.expected[-1] == pytest.approx(1.0 - 0.75**6)


def test_a_share_of_nothing_has_no_sign():
    """So it is not shown as −0."""
    found = theory(Stack.build("tanh", 3, 4), 2)[2]
    for shares in (found.share, found.most):
        assert (shares == 0).all()
        assert not np.signbit(shares).any()
