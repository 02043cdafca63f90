"""Gains and layers that hold a signal: found fast, and as a plain search finds them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.activation import resolve
from snstat.experiment.data import DataInputs
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from snstat.theory.ensemble import find_ensemble
from snstat.theory.holding import _limit, fixing_gains, gain_of_target, survival, tuned_gain
from snstat.theory.outlook import outlook
from snstat.theory.predict import predict
from tests.checks.cases import mean_of, second_moments


@pytest.mark.parametrize("start", [0.25, 4.0])
def test_relu_keeps_every_second_moment_at_the_gain_of_he(start):
    found = tuned_gain(Stack.build("relu", 6, weight_gain=1.0).repeated, start, 6)
    assert found == pytest.approx(math.sqrt(2.0), rel=1e-9)


@pytest.mark.parametrize("depth", [1, 5])
def test_the_last_second_moment_is_that_of_the_input(depth):
    found = tuned_gain(Stack.build("tanh", depth).repeated, 0.25, depth)
    seconds, _ = second_moments("tanh", found, depth, start=0.25)
    assert seconds[-1] == pytest.approx(0.25, rel=1e-8)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus"])
def test_fixing_gains_are_those_at_places_where_gradients_keep_their_size(name):
    """At 1, and best at any of 81 places from 0.01 to 100: a plain loop over all of them. Then at
    a few of them, the better ones first."""
    first, best, *others = fixing_gains(resolve(name), 0.3)
    found, function = {}, resolve(name)
    for q in (1.0, 0.1, 0.3, 3.0, 10.0, 30.0, *(10.0 ** (-2.0 + k / 20.0) for k in range(81))):
        square = (q - 0.09) / mean_of(lambda x: function(x) ** 2, q)
        if square > 0:
            change = math.log(square * mean_of(lambda x: function.derivative(x) ** 2, q))
            found[q] = abs(change), math.sqrt(square)
    assert first == pytest.approx(found[1.0][1], rel=1e-9)
    assert best == pytest.approx(min(found.values())[1], rel=1e-9)
    few = sorted(found[q] for q in (0.1, 0.3, 3.0, 10.0, 30.0) if q in found)
    assert others == pytest.approx([gain for _, gain in few], rel=1e-9)


@pytest.mark.parametrize(("name", "start"), [("gelu", 1.0), ("selu", 1e-6), ("softplus", 4.0)])
def test_gains_of_a_deep_stack_are_those_of_a_plain_search(name, start):
    """Following every layer of every gain, without tables, finds the same gain."""
    depth, low, high = 60, math.log(0.1), math.log(10.0)
    for _ in range(32):
        middle = 0.5 * (low + high)
        seconds, _ = second_moments(name, math.exp(middle), depth, start=start)
        last = seconds[-1] if len(seconds) == depth + 1 else math.inf
        low, high = (low, middle) if last > start else (middle, high)
    found = tuned_gain(Stack.build(name, depth).repeated, start, depth)
    # Halving ends at ln(100)/2³², and tables are exact to 1e-12, which layers of a stack that
    # repels multiply by up to 1e4.
    assert found == pytest.approx(math.exp(0.5 * (low + high)), rel=1e-7)


@pytest.mark.parametrize(("gain", "depth"), [(1.3, 400), (2.0, 400), (1.468, 700), (1.0, 10)])
def test_survival_is_the_first_layer_out_of_bounds(gain, depth):
    """A plain loop over all layers, of stacks longer and shorter than what is looked at first."""
    stack = Stack.build("gelu", depth, 64, weight_gain=gain)
    seconds, _ = second_moments("gelu", gain, depth, start=1.0)
    out = [layer for layer, second in enumerate(seconds) if not 0.005 <= second <= 100.0]
    expected = out[0] - 1 if out else len(seconds) - 1
    inputs = DrawnInputs("normal", 64, 8, 0.0, 1.0).moments()
    assert survival(stack, inputs, 0.005, 100.0) == expected


@pytest.mark.parametrize("depth", [100, 400, 700])
def test_a_signal_that_grows_slowly_survives_until_it_is_out_of_bounds(depth):
    """Each layer of ReLU multiplies the second moment by 1.01: it is above 100 after 462."""
    stack = Stack.build("relu", depth, 64, weight_gain=math.sqrt(2.0 * 1.01))
    inputs = DrawnInputs("normal", 64, 8, 0.0, 1.0).moments()
    layers = math.floor(math.log(100.0) / math.log(1.01))
    assert survival(stack, inputs, 0.01, 100.0) == min(layers, depth)


@pytest.mark.parametrize(("name", "gain", "bias"), [("selu", 0.8, 0.0), ("sigmoid", 3.0, 0.5)])
def test_a_signal_approaches_the_second_moment_of_a_long_loop(name, gain, bias):
    stack = Stack.build(name, 4, 64, weight_gain=gain, bias_std=bias)
    inputs = DrawnInputs("normal", 64, 8, 0.0, 1.0).moments()
    seconds, _ = second_moments(name, gain, 300, bias=bias)
    # A sum over midpoints has an error of the square of its step at the kink of SELU, 2e-3.
    assert _limit(stack, inputs) == pytest.approx(seconds[-1], rel=1e-5)


def test_samples_of_any_norms_keep_their_second_moment_at_the_gain_of_he():
    rows = np.random.default_rng(3).normal(size=(5, 64)) * np.array([[0.1], [0.5], [1], [3], [9]])
    stack = Stack.build("relu", 4, input_width=64)
    found = _limit(stack, DataInputs("rows", rows, 5).moments())
    assert found == pytest.approx((rows**2).mean(), rel=1e-9)


def test_a_signal_that_grows_approaches_nothing():
    inputs = DrawnInputs("normal", 64, 8, 0.0, 1.0).moments()
    assert math.isnan(_limit(Stack.build("relu", 4, 64, weight_gain=2.0), inputs))


@pytest.mark.parametrize(("name", "wanted"), [("tanh", 0.3), ("softplus", 1.5)])
def test_the_gain_of_a_target_holds_it(name, wanted):
    bias = 0.2
    gain = gain_of_target(resolve(name), wanted, bias)
    seconds, _ = second_moments(name, gain, 1, start=wanted, bias=bias)
    assert seconds[1] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(("wanted", "bias"), [(0.0, 0.0), (0.0, 0.3), (0.01, 5.0)])
def test_a_target_below_what_biases_give_has_no_gain(wanted, bias):
    """No signal of tanh is 0, and biases of 5 alone give one far above 0.01."""
    assert gain_of_target(resolve("tanh"), wanted, bias) is None


def test_the_outlook_of_a_stack_compares_no_samples(monkeypatch):
    """Correlations at fixed points take far longer than all else, and rules ask for many
    outlooks."""
    stack = Stack.build("tanh", 4, 64, weight_gain=1.7)
    inputs = DrawnInputs("normal", 64, 8, 0.0, 1.0).moments()
    (point, *_) = find_ensemble(resolve("tanh"), 1.7, 0.0).fixed_points
    monkeypatch.setattr("snstat.theory.ensemble.correlation_fixed_points", None)
    find_ensemble.cache_clear()
    found = outlook(stack, predict(stack, 8, inputs).alone)
    assert point.correlations
    assert found is not None
    assert (found.kind, found.mean, found.variance) == ("converges", point.mean, point.variance)
    assert found.gradient_growth == point.gradient_growth


def test_survival_is_followed_beyond_layers_after_which_most_signals_have_settled():
    """ReLU multiplies second moments by G²/2: 1.0125 at most 370 times up to 100."""
    stack = Stack.build("relu", 700, 64, weight_gain=math.sqrt(2.0 * 1.0125))
    inputs = DrawnInputs("normal", 64, 8, 0.0, 1.0).moments()
    assert survival(stack, inputs, 0.005, 100.0) == math.floor(math.log(100.0) / math.log(1.0125))
