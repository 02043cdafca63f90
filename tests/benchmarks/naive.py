"""A small network with fixed weights, its statistics by definition and its gradients by the chain
rule."""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import ACTIVATIONS
from snstat.results import STATISTICS
from tests.engine import oracle

WIDTH, BATCH, LAYERS = 48, 7, 4
# Sums of WIDTH products, then of as many squares; each rounds by eps of its size.
TOLERANCE = 8 * WIDTH * float(np.finfo(np.float32).eps)


class Network:
    """Inputs and weights in float32, in the form that a peer takes."""

    def __init__(self) -> None:
        random = np.random.default_rng(5)
        self.inputs = random.normal(0.3, 1.2, (BATCH, WIDTH)).astype(np.float32)
        self.read_out = random.standard_normal((BATCH, WIDTH)).astype(np.float32)
        self._weights = random.normal(0.02, WIDTH**-0.5, (LAYERS, WIDTH, WIDTH)).astype(np.float32)

    def weights(self, layer):
        """Return the weights (fan_in, fan_out) of a layer; the first is 1."""
        return self._weights[layer - 1]


NETWORK = Network()


def states():
    """Return pre-activations and activations of layers 1 to the last, in float64."""
    x = NETWORK.inputs.astype(np.float64)
    found = []
    for layer in range(1, LAYERS + 1):
        z = x @ NETWORK.weights(layer).astype(np.float64)
        x = ACTIVATIONS["selu"].function(z)
        found.append((z, x))
    return found


def assert_statistics(rows):
    """Compare a peer's statistics of layers 1 to the last with their definitions."""
    assert rows.shape == (LAYERS, len(STATISTICS))
    for row, (_, x) in zip(rows, states(), strict=True):
        expected = oracle.statistics(x, 0.0)
        scale = math.sqrt(expected["second_moment"])
        for name, got in zip(STATISTICS, row, strict=True):
            want = expected[name]
            assert abs(got - want) <= TOLERANCE * max(abs(want), scale), (name, got, want)


def assert_gradients(gradients):
    """Compare a peer's squared gradients of layers 0 to the last with the chain rule."""
    h = NETWORK.read_out.astype(np.float64)
    squares = []
    for layer in range(LAYERS, 0, -1):
        squares.append((h**2).mean())
        z, _ = states()[layer - 1]
        h = h * ACTIVATIONS["selu"].derivative(z)
        h = h @ NETWORK.weights(layer).astype(np.float64).T
    squares.append((h**2).mean())
    np.testing.assert_allclose(gradients, np.array(squares[::-1]) / squares[0], rtol=TOLERANCE)
