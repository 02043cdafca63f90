"""The strategy chosen by `auto` is the one that took less processor time when both were timed."""

from __future__ import annotations

import pytest

from snstat.engine.costs import (
    dense_work,
    drawn_matrix_work,
    free_matrix_work,
    matrix_free_work,
)
from snstat.engine.general.sample import _multiplications
from snstat.engine.general.samplers import is_matrix_free
from snstat.engine.strategies import choose
from snstat.layers.add import Add
from snstat.layers.block import Block
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.weights import Weights
from snstat.network.network import Network
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
    found = is_matrix_free(weights, samples, "auto", backward=backward, tied=False)
    assert found == (free < drawn)


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


# The work by hand of 10 inputs, 20 units and 3 samples: 200 weights, 60 and 30 values. Forward, and
# what the way back adds.
BY_HAND = [
    (dense_work, 200 * (3 + 35.0) + 60 * 50, 200 * (3 + 35.0) + 60 * 45),
    (
        matrix_free_work,
        60 * (3 + 35 + 47.0) + 27 * 0.55 + 9 * 144,
        60 * (4.5 * 3 + 2 * 35 + 47 + 45) + 27 * 3.4 + 9 * 350,
    ),
    (drawn_matrix_work, 5.0e5 + 200 * (33 + 3 * 1.3), 5.8e5 + 200 * (42 + 3 * 1.4)),
    (
        free_matrix_work,
        1.1e6 + 60 * (36 + 3 * 0.83) + 30 * (41 + 3 * 0.36) + 27 * 1.8,
        1.8e6 + 60 * (51 + 3 * 1.8) + 30 * (138 + 3 * 2.0) + 9 * 317 + 27 * 7.6,
    ),
]


@pytest.mark.parametrize(("work", "forward", "back"), BY_HAND)
def test_the_work_of_a_small_layer_by_hand(work, forward, back):
    layer = Stack.build("tanh", 1, 20, input_width=10).layer(1)
    assert work(layer, 3, backward=False) == pytest.approx(forward, rel=1e-12)
    assert work(layer, 3, backward=True) == pytest.approx(forward + back, rel=1e-12)


def test_orthogonal_matrices_take_more_products():
    """Three where they are drawn, and twice all work where not; activations take none."""
    normal, other = (
        Stack.build("tanh", 1, 20, input_width=10, init=init).layer(1)
        for init in ("lecun_normal", "orthogonal")
    )
    for backward in (False, True):
        more = dense_work(other, 3, backward=backward) - dense_work(normal, 3, backward=backward)
        assert more == pytest.approx((1 + backward) * 2 * 200 * (3 + 35.0), rel=1e-12)
        for work, times in ((matrix_free_work, 2), (drawn_matrix_work, 3), (free_matrix_work, 2)):
            plain, orthogonal = (work(x, 3, backward=backward) for x in (normal, other))
            assert orthogonal == pytest.approx(times * plain, rel=1e-12)


def test_the_multiplications_of_the_largest_layer():
    layers = Block((*map(Entry, (Dense(20), Dense(50), Dense(20))), Entry(Add(), (1, 3))))
    # 5 samples, from 20 units to 50; the sum has two inputs of 20.
    assert _multiplications(Network(30, layers), 5) == 5 * 20 * 50
    assert _multiplications(Network(30, Dense(20)), 5) == 5 * 20 * 30
