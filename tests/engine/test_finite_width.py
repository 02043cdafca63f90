"""Networks of one width differ: the variance of log second moment matches theory.

With one input, the second moment of a layer of n units is a mean of n independent squares. The
variance of its logarithm is κ/n, κ = E[φ⁴]/E[φ²]² − 1 (2 for a Gaussian input layer). The variance
inherited from the layer before is multiplied by the squared slope of ln q → ln E[φ²]: v' = κ/n +
slope² v.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import config

from snstat.activation import ACTIVATIONS
from snstat.engine.simulate import one_blas_thread
from snstat.engine.strategies import STRATEGIES
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from snstat.results import MEASURED

DEPTH = 6
TRIALS = 4000
SECOND_MOMENT = MEASURED.index("second_moment")
# Probability that an exact sampler fails a test, divided among its layers: two-sided 4.5 sigma.
ALARM_SIGMAS = 4.5


def power(activation, q, exponent):
    """E[φ(√q z)^exponent] by the trapezoidal rule, which is accurate for a Gaussian weight."""
    z = np.linspace(-12.0, 12.0, 48001)
    weight = np.exp(-0.5 * z * z)
    return (activation.function(math.sqrt(q) * z) ** exponent * weight).sum() / weight.sum()


def predicted(name, square_gain, width):
    """Variance of log second moment of layers 1..DEPTH, to first order in 1/width."""
    activation = ACTIVATIONS[name]
    variance, second, step = 2.0 / width, 1.0, 1e-4
    result = []
    for _ in range(DEPTH):
        q = square_gain * second
        second = power(activation, q, 2)
        kappa = power(activation, q, 4) / second**2 - 1.0
        up, down = (power(activation, q * math.exp(s), 2) for s in (step, -step))
        slope = math.log(up / down) / (2.0 * step)
        variance = kappa / width + slope**2 * variance
        result.append(variance)
    return np.array(result)


def measured(sampler, stack):
    inputs = DrawnInputs("normal", stack.width, 1, 0.0, 1.0)
    network = STRATEGIES[sampler].sampler(stack, inputs, TRIALS, 11, "float32", 1)
    values, finite = np.empty((TRIALS, DEPTH + 1, len(MEASURED))), np.empty(DEPTH, np.bool_)
    with one_blas_thread():
        for trial in range(TRIALS):
            network.begin(trial, values[trial, 0])
            network.advance(range(trial, trial + 1), 1, values[trial, 1:][None], finite[None])
    return np.log(values[:, 1:, SECOND_MOMENT]).var(axis=0, ddof=1)


@pytest.mark.slow
@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="thousands of networks need compiled kernels")
@pytest.mark.parametrize("sampler", ["dense", "matrix-free"])
@pytest.mark.parametrize("activation", ["selu", "relu", "tanh"])
def test_the_variance_between_networks_falls_as_one_over_width(activation, sampler):
    for width in (48, 192) if sampler == "matrix-free" else (48, 96):
        stack = Stack.build(activation, DEPTH, width)
        expected = predicted(activation, stack.layer(2).square_gain, width)
        ratio = measured(sampler, stack) / expected
        # The sample variance of nearly Gaussian values has relative error √(2/trials). The relative
        # error of the first order is about the accumulated variance itself, plus 1/width.
        tolerance = ALARM_SIGMAS * math.sqrt(2.0 / TRIALS) + 2.0 * expected + 2.0 / width
        assert (np.abs(ratio - 1.0) < tolerance).all(), (width, ratio)
