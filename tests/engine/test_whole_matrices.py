"""Matrices that layers are given whole have the numbers of those that they multiply by."""

from __future__ import annotations

import numpy as np
import pytest

from snstat.engine.general.draw import LayerDraw
from snstat.engine.general.footprint import footprint
from snstat.engine.general.samplers import samplers
from snstat.engine.general.workshop import Workshop
from snstat.errors import InvalidValueError
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.block import Block
from snstat.layers.dense import Dense
from snstat.layers.depthwise_conv import DepthwiseConv
from snstat.layers.entry import Entry
from snstat.layers.gru import Gru
from snstat.layers.initialisers import FORMS, INITIALISERS, PLAIN, STANDARDIZED
from snstat.layers.lstm import Lstm
from snstat.layers.separable_conv import SeparableConv
from snstat.layers.shape import Shape
from snstat.network.network import Network


def draws(dtype, number=3):
    shop = Workshop(np.dtype(dtype), np.uint64(7), np.zeros(1, np.uint8), train=True)
    return LayerDraw(shop, 2, number)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (40, 3)], ids=str)
@pytest.mark.parametrize(
    ("init", "form"),
    [(init, PLAIN) for init in INITIALISERS]
    + [(init, form) for init in ("he_uniform", "lecun_truncated") for form in FORMS[1:]],
)
def test_a_whole_matrix_is_that_of_a_product(init, form, shape, dtype):
    """Also the second one of a layer. Tolerance: rounding of a product with ones and zeros and of
    the reflectors of an orthogonal matrix."""
    layer = Dense(shape[0], init=init, weight_gain=1.5, weights=form).at(shape[1])
    biased = Dense(shape[0], init=init, bias_std=0.5, weights=form).at(shape[1])
    whole, product = draws(dtype), draws(dtype)
    units = np.eye(shape[1], dtype=dtype)
    for weights in (layer, biased, biased):
        matrix, biases = whole.matrix(weights)
        expected = product.linear(units, weights).values
        assert matrix.shape == shape
        assert matrix.dtype == biases.dtype == np.dtype(dtype)
        assert biases.any() == (weights.bias_std > 0)
        size = 8.0 * np.finfo(dtype).eps * np.abs(expected).max()
        np.testing.assert_allclose(matrix + biases[:, None], expected, rtol=0.0, atol=size)


def test_rows_of_one_weight_are_0_once_they_are_centred():
    """Their norm is 0 too."""
    matrix, _ = draws("float64").matrix(Dense(5, weights=STANDARDIZED).at(1))
    np.testing.assert_array_equal(matrix, np.zeros((5, 1)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_numbers_are_those_of_the_whole_matrix(dtype):
    """In any order, again and again, and those that follow each other; a second time, of another
    matrix."""
    whole, some = draws(dtype), draws(dtype)
    numbers = np.array([9, 2, 3, 4, 2, 0, 39])
    for std in (1.5, 0.5):
        weights = Dense(40, init="lecun_normal", weight_std=std).at(7)
        matrix, _ = whole.matrix(weights)
        found = some.vectors(numbers, 7, std)
        assert found.dtype == np.dtype(dtype)
        # The standard deviation itself is rounded.
        np.testing.assert_allclose(found, matrix[numbers], rtol=2.0 * np.finfo(dtype).eps)


def test_matrices_of_other_layers_are_others():
    weights = Dense(4).at(3)
    one, other = (draws("float64", number).matrix(weights)[0] for number in (1, 2))
    assert not np.any(one == other)


def test_layers_that_need_whole_weights_draw_them():
    """Whatever the sampler; a separable convolution draws its first matrix only."""
    turned = Gru(width=4, init="orthogonal")
    kinds = turned, DepthwiseConv(kernel=3), SeparableConv(channels=4, kernel=3), Dense(4)
    network = Network(Shape(4, (6,)), Block(tuple(map(Entry, kinds))))
    found = samplers(network, 2, "matrix-free")
    assert found == ("dense", "dense", "dense", "matrix-free")
    alone = Network(Shape(4, (6,)), Block((Entry(turned), Entry(DepthwiseConv(kernel=3)))))
    with pytest.raises(InvalidValueError, match="needs its weights whole"):
        samplers(alone, 2, "matrix-free")
    pair = Network(Shape(4, (6,)), Block((Entry(SeparableConv(channels=4, kernel=3)),)))
    assert samplers(pair, 2, "matrix-free") == ("dense",)


def test_memory_counts_the_matrices_that_are_held():
    """Once while a layer is sampled, and once for each trial that keeps what the way back needs."""
    width, trials, size = 512, 3, 4
    network = Network(Shape(width, (2,)), Block((Entry(Lstm(width=width)),)))
    inputs = DrawnInputs("normal", 2 * width, 1, 0.0, 1.0)
    matrices = 8 * width * (width + 1) * size
    options = {"trials": trials, "dtype": "float32", "threads": 1, "sampler": "dense"}
    forward, _ = footprint(network, inputs, backward=False, **options)
    both, _ = footprint(network, inputs, backward=True, **options)
    assert matrices < forward < 1.1 * matrices
    assert trials * matrices < both - forward < 1.1 * trials * matrices
