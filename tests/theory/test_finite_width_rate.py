"""The error of first-order theory of mean, second moment and variances falls as 1/width².

tests/engine/test_finite_width_simulated.py tests the gradient.

Networks are simulated in plain numpy. The difference between a layer's statistics and their
expectation given its input averages to 0. Regression on these differences leaves noise of order
1/width instead of its root, so that the second order becomes visible.
"""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
from scipy import stats

from snstat.activation import ACTIVATIONS
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from snstat.theory.finite_width import finite_width
from snstat.theory.predict import predict

TRIALS = int(os.environ.get("SNSTAT_TRIALS", "2000"))
# Multiples of TRIALS that show the second order of all statistics. It is large for GELU; for some
# activations one coefficient is too small to be seen.
SHOWN = {"gelu": 50}
if "SNSTAT_TRIALS" in os.environ:
    SHOWN |= {"elu": 50, "selu": 200}
CHUNK = 5000
WIDTHS = (16, 32)
DEPTH, BATCH = 3, 4
STATISTICS = ("mean", "second_moment", "variance", "variance_over_units")
# The exponent of a power law is measured: it counts as 2 if it is nearer to 2 than to 1 or 3.
SECOND = (2.0**-2.5, 2.0**-1.5)
FIRST = (2.0**-1.5, 2.0**-0.5)
ALARM = 1e-4

# Quadrature by two panels that meet in the kink at 0.
PANEL, PANEL_WEIGHTS = np.polynomial.legendre.leggauss(80)
NODES = np.concatenate([side * 6.0 * (1.0 + PANEL) for side in (-1.0, 1.0)])
WEIGHTS = np.exp(-0.5 * NODES**2) * np.tile(PANEL_WEIGHTS, 2)
WEIGHTS /= WEIGHTS.sum()


class Expectation:
    """E[φ(√q z)^power] as a function of q, by interpolation."""

    def __init__(self, function, power):
        self.places = np.linspace(math.log(1e-3), math.log(1e2), 20_001)
        values = function(np.exp(0.5 * self.places)[:, None] * NODES)
        self.values = values**power @ WEIGHTS

    def __call__(self, q):
        return np.interp(np.log(q), self.places, self.values)


def trials(activation, stack, mean, square, count, generator):
    """Return statistics (count, 4) of the last layer and, of all layers, terms of mean 0 (count,
    7)."""
    gain = stack.layer(1).square_gain
    x = generator.standard_normal((count, BATCH, stack.width))
    noise = [(x**2).mean(axis=(1, 2)) - 1.0]
    for _ in range(DEPTH):
        # Units with Gaussian weights are independent given the products of the samples.
        root = np.linalg.cholesky(gain / stack.width * x @ x.transpose(0, 2, 1))
        q = gain * (x**2).mean(axis=2)
        x = activation.function(root @ generator.standard_normal(x.shape))
        noise.append((x.mean(axis=2) - mean(q)).mean(axis=1))
        noise.append(((x**2).mean(axis=2) - square(q)).mean(axis=1))
    first, second = x.mean(axis=(1, 2)), (x**2).mean(axis=(1, 2))
    found = (first, second, second - first**2, second - (x.mean(axis=2) ** 2).mean(axis=1))
    return np.stack(found, axis=1), np.stack(noise, axis=1)


def measure(name, width):
    """Return errors of first-order theory and of infinite width, and standard errors, each (4,)."""
    activation, stack = ACTIVATIONS[name], Stack.build(name, DEPTH, width)
    generator = np.random.default_rng(width)
    mean, square = (Expectation(activation.function, power) for power in (1, 2))
    chunks = [
        trials(activation, stack, mean, square, CHUNK, generator)
        for _ in range(SHOWN[name] * TRIALS // CHUNK)
    ]
    found, noise = (np.concatenate(part) for part in zip(*chunks, strict=True))
    design = np.hstack([np.ones((len(noise), 1)), noise])
    fitted = np.linalg.lstsq(design, found)[0]
    estimate = fitted[0]
    stderr = (found - design @ fitted).std(axis=0) / math.sqrt(len(found))
    inputs = DrawnInputs("normal", width, BATCH, 0.0, 1.0).moments()
    prediction = predict(stack, BATCH, inputs)
    expected = finite_width(stack, BATCH, inputs, prediction).expected
    first, infinite = (
        estimate - [table[entry][-1] for entry in STATISTICS]
        for table in (expected, prediction.statistics)
    )
    return first, infinite, stderr


def ratios(errors, stderrs):
    """Return the confidence range (4,), (4,) of the ratio of errors at both widths."""
    narrow, wide = errors
    ratio = wide / narrow
    chance = stats.norm.isf(ALARM) * np.hypot(stderrs[1], ratio * stderrs[0]) / np.abs(narrow)
    return ratio - chance, ratio + chance


@pytest.mark.parametrize("name", SHOWN)
def test_the_error_of_first_order_falls_as_one_over_width_squared(name, monkeypatch):
    # Networks this narrow vary too much for first order to be trusted, but its error is measured
    # here.
    monkeypatch.setattr("snstat.theory.fluctuations.LARGEST_VARIANCE", math.inf)
    first, infinite, stderrs = zip(*(measure(name, width) for width in WIDTHS), strict=True)
    for errors, (low, high) in ((first, SECOND), (infinite, FIRST)):
        least, most = ratios(errors, stderrs)
        assert (low < least).all(), (least, most)
        assert (most < high).all(), (least, most)


def test_uniform_biases_with_a_large_share_end_expectations():
    """PyTorch's weights and biases have variance 1/(3n): of ReLU, q = (q/2 + 1/n)/3, and the share
    of biases grows to 5/6. It is above a quarter where they are not trusted."""
    width = 64
    stack = Stack.build("relu", 12, width, init="torch_default")
    inputs = DrawnInputs("normal", width, 4, 0.0, 1.0).moments()
    found = finite_width(stack, 4, inputs, predict(stack, 4, inputs)).expected["second_moment"]
    second = 1.0
    for layer in range(1, 13):
        q = (second + 1.0 / width) / 3.0
        assert np.isnan(found[layer]) == (1.0 / (3.0 * width) > 0.25 * q), layer
        second = 0.5 * q
    assert np.isfinite(found[1])
    assert np.isnan(found[-1])
