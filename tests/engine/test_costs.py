"""The strategy chosen by `auto` is the one that took less processor time when both were timed."""

from __future__ import annotations

import pytest

from snstat.engine.costs import dense_work, matrix_free_work
from snstat.engine.general.samplers import is_matrix_free
from snstat.engine.strategies import choose
from snstat.layers.weights import Weights
from snstat.network.stack import Stack

# Processor time of a layer in ms, dense and matrix-free, where one took at least a quarter more.
TIMED = [
    # width, batch, backward, dense, matrix-free
    (1024, 256, True, 14.1, 10.8),
    (1024, 512, False, 15.1, 11.5),
    (1024, 512, True, 28.4, 54.9),
    (256, 100, True, 0.51, 0.72),
    (64, 32, False, 0.018, 0.029),
    (64, 32, True, 0.046, 0.086),
    (16, 8, True, 0.010, 0.013),
]


@pytest.mark.parametrize(("width", "batch", "backward", "dense", "free"), TIMED)
def test_the_faster_strategy_is_chosen(width, batch, backward, dense, free):
    stack = Stack.build(depth=64, width=width)
    expected = "dense" if dense < free else "matrix-free"
    assert choose(stack, batch, "auto", backward=backward).name == expected


# The same in ms of one matrix of any network, drawn and not.
MATRICES = [
    # fan-in, fan-out, samples, backward, drawn, not drawn
    (4096, 1024, 64, True, 22.2, 2.2),
    (1024, 4096, 64, False, 9.2, 0.58),
    (1024, 100, 64, False, 0.26, 0.11),
    (1024, 10, 64, False, 0.028, 0.13),
    (10, 1024, 64, True, 0.22, 0.60),
    (64, 2048, 32, True, 0.84, 0.31),
    (512, 512, 4, True, 0.47, 0.073),
    (512, 512, 256, True, 3.7, 8.2),
    (1024, 1024, 256, False, 7.8, 2.5),
    (256, 256, 16, True, 0.16, 0.082),
    (64, 64, 16, False, 0.014, 0.029),
    (16, 16, 4, True, 0.021, 0.061),
]


@pytest.mark.parametrize(("fan_in", "fan_out", "samples", "backward", "drawn", "free"), MATRICES)
def test_matrices_of_any_network_are_drawn_where_that_is_faster(
    fan_in, fan_out, samples, backward, drawn, free
):
    weights = Weights.of("lecun_normal", fan_in, fan_out)
    assert is_matrix_free(weights, samples, "auto", backward=backward) == (free < drawn)


@pytest.mark.parametrize("backward", [False, True])
def test_large_layers_cost_their_products(backward):
    """Counted by hand, for a layer so large that products are all."""
    layer = Stack.build(depth=1, width=10**7).layer(1)
    batch = 10**4
    # W x, then Wᵀ h.
    products = (2 if backward else 1) * float(batch) * layer.fan_in * layer.fan_out
    assert dense_work(layer, batch, backward=backward) == pytest.approx(products, rel=0.01)
    # L Ξ and X Xᵀ, half each for a triangle and a symmetric result; then L Ξ, B E and H Hᵀ, half
    # each, and E Xᵀ, A X and H Ξᵀ.
    products = (1.0 + (4.5 if backward else 0.0)) * float(batch) ** 2 * layer.fan_out
    assert matrix_free_work(layer, batch, backward=backward) == pytest.approx(products, rel=0.02)
