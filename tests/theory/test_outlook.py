"""Where the signal of a stack would go, against plain loops over many more layers."""

from __future__ import annotations

import pytest

from snstat.activation import resolve
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from snstat.theory.outlook import outlook
from snstat.theory.predict import predict
from tests.checks.cases import mean_of, second_moments


def outlook_of(stack, std):
    inputs = DrawnInputs("normal", stack.width_of(0), 8, 0.0, std).moments()
    return outlook(stack, predict(stack, 8, inputs))


def after(seconds):
    """Return what becomes of these second moments: a plain loop, far beyond the stack."""
    return "vanishes" if seconds[-1] < 1e-9 else "explodes" if seconds[-1] > 1e9 else "converges"


@pytest.mark.parametrize(
    ("gain", "bias", "std"),
    [
        # q ← G²·1.5q² + b² of relu², which leaves its unstable fixed point on either side. Those of
        # a layer that is not square start it, so the size of what they are fed counts.
        (2.0, 0.0, 0.25),
        (2.0, 0.0, 0.2),
        (0.5, 0.0, 1.8),
        (0.5, 0.0, 3.5),
        (0.6, 0.3, 2.0),
        (0.6, 0.3, 2.3),
        (0.6, 0.9, 1.0),
    ],
)
@pytest.mark.parametrize("form", [{"widths": "20,10"}, {"widths": "20,20,10", "last": "tanh"}])
def test_a_signal_leaves_an_unstable_fixed_point_on_its_side(gain, bias, std, form):
    stack = Stack.build("relu_squared", weight_gain=gain, bias_std=bias, **form)
    seconds = [std**2]
    while len(seconds) < 60 and seconds[-1] < 1e9:
        seconds, _ = second_moments("relu_squared", gain, len(seconds), start=std**2, bias=bias)
    assert outlook_of(stack, std).kind == after(seconds)


@pytest.mark.parametrize(
    ("name", "gain"),
    [("identity", 1.5), ("leaky_relu:0.5", 1.5), ("selu", 2.0), ("softplus", 1.6)],
)
def test_the_rate_of_what_explodes_is_that_of_a_loop(name, gain):
    """And gradients grow at the same rate: half of the units have the slope of either side."""
    found = outlook_of(Stack.build(name, 8, 64, weight_gain=gain), 1.0)
    function, q = resolve(name), 1e12
    rate = gain**2 * mean_of(lambda x: function(x) ** 2, q) / q
    assert found.kind == "explodes"
    # What an asymptote does not share with a function is 1e-6 of signals of 1e6.
    assert found.rate == pytest.approx(rate, rel=1e-5)
    assert found.gradient_growth == found.rate


@pytest.mark.parametrize(("name", "depth"), [("sigmoid", 1), ("softplus", 1), ("sigmoid", 3)])
def test_zeros_are_a_signal_where_the_activation_is_not_0_at_0(name, depth):
    """Of one layer too, whose own pre-activations are all 0."""
    found = outlook_of(Stack.build(name, depth, 64, weight_gain=1.0), 0.0)
    seconds, _ = second_moments(name, 1.0, 200, start=0.0)
    assert found.kind == "converges"
    assert found.mean**2 + found.variance == pytest.approx(seconds[-1], rel=1e-9)


@pytest.mark.parametrize("depth", [1, 3])
def test_zeros_stay_0_where_the_activation_is_0_at_0(depth):
    assert outlook_of(Stack.build("tanh", depth, 64), 0.0).kind == "silent"
    found = outlook_of(Stack.build("tanh", depth, 64, weight_gain=1.0, bias_std=0.5), 0.0)
    seconds, _ = second_moments("tanh", 1.0, 200, start=0.0, bias=0.5)
    assert (found.kind, found.mean) == ("converges", 0.0)
    assert found.variance == pytest.approx(seconds[-1], rel=1e-9)
