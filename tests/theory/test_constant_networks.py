"""Networks whose signal hardly depends on the input: gains and biases far below 1."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.activation import resolve
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from snstat.theory.ensemble import find_ensemble
from snstat.theory.finite_width import finite_width
from snstat.theory.predict import predict
from tests.cli.test_fixedpoint import call

GAINS = (0.0, 1e-100, 1e-6, 0.1)
BIASES = (0.0, 1e-100, 1e-9, 1e-3)
NAMES = (*("relu", "sigmoid", "softplus", "hard_sigmoid", "tanh", "softplus:0.25", "sine"),)
Z = np.linspace(-10.0, 10.0, 2001)
WEIGHT = np.exp(-0.5 * Z * Z) / np.exp(-0.5 * Z * Z).sum()


def limit_of(name, gain, bias):
    """Return the limit of the plain iteration q' = G² E[φ(√q z)²] + b² from q = 1.

    Slopes of the map are at most a few hundredths at these gains, so that 20 layers reach the limit
    up to rounding, or shrink below 1e-30 where it is 0.
    """
    activation, q = resolve(name), 1.0
    for _ in range(20):
        q = gain * gain * float(WEIGHT @ activation(math.sqrt(q) * Z) ** 2) + bias * bias
    return q


@pytest.mark.parametrize("name", NAMES)
def test_the_stable_point_is_the_limit_of_a_plain_iteration(name):
    for gain in GAINS:
        for bias in BIASES:
            search = find_ensemble(resolve(name), gain, bias)
            places = [gain**2 * p.second_moment + bias**2 for p in search.fixed_points if p.stable]
            expected = limit_of(name, gain, bias)
            # A grid of 2001 points has an error of 1e-5 at a kink.
            near = [abs(place - expected) <= 1e-4 * expected + 1e-30 for place in places]
            assert near == [True], (gain, bias, places, expected)
            assert search.at_infinity == "returns"


def test_the_command_shows_the_constant_limit(capsys):
    code, out, _ = call(capsys, "-a", "sigmoid", "--weight-gain", "1e-6")
    assert code == 0
    assert "0.25" in out
    assert Stack.build("sigmoid", 4, 16, weight_gain=1e-6).repeated_gain == 1e-6


@pytest.mark.parametrize("gain", [1e-5, 1e-8, 1e-9, 1e-12, 1e-140])
@pytest.mark.parametrize("name", ["softplus", "softplus:0.1", "sigmoid", "hard_sigmoid"])
def test_theory_at_any_width_is_that_of_a_constant(name, gain):
    """Weights so small that the rounding of variances exceeds them."""
    stack, inputs = Stack.build(name, 4, 16, weight_gain=gain), DrawnInputs("normal", 16, 8, 0, 1)
    moments = inputs.moments()
    prediction = predict(stack, 8, moments)
    found = finite_width(stack, 8, moments, prediction)
    rest = float(resolve(name)(np.zeros(1))[0])
    # The output moves by at most the slope, 1, times z, which is no larger than the gain by much,
    # and is rounded.
    allowed = 2.0 * gain + 4.0 * math.ulp(max(rest, 1.0))
    assert np.abs(prediction.statistics["mean"][1:] - rest).max() <= allowed
    for values in found.expected.values():
        assert not np.isinf(values).any()
