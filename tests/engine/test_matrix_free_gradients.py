"""The matrix-free pass back, beside the formulas of its module written out in plain numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.activation import ACTIVATIONS
from snstat.engine.kernels import matrix_free
from snstat.engine.kernels.random import BIAS_NOISE, NOISE, READOUT, WEIGHTS
from snstat.engine.matrix_free import sampler as matrix_free_sampler
from snstat.engine.matrix_free.gradient import matrix_free_gradients
from snstat.engine.simulate import one_blas_thread, simulate
from snstat.engine.strategies import STRATEGIES
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from tests.engine.oracle import row_double

SEED = 11
# Two tiles of 32 units, the second partly filled.
WIDTH, INPUTS, BATCH, DEPTH = 40, 37, 4, 3


def draw(units, purpose, layer, trial):
    """Return standard normal values (BATCH, units), drawn tile by tile."""
    tile = matrix_free.tile_width(WIDTH)
    tiles = [
        [
            row_double(number * BATCH + a, tile, "normal", purpose, layer, trial, SEED)
            for a in range(BATCH)
        ]
        for number in range(-(-units // tile))
    ]
    return np.concatenate(tiles, axis=1)[:, :units]


def plain_gradient(stack, inputs, trial):
    """Return ln of the squared gradients over that of the last layer, (depth + 1,), and H Hᵀ of
    every layer, of ∂L/∂(input) at layer 0, (depth + 1, batch, batch).

    Forward Z = L Ξ with L Lᵀ = X̃ X̃ᵀ, X̃ = [s X, b]; backward H W̃ = H Ξᵀ Q̃ᵀ + C E (1 − Q̃ Q̃ᵀ) with
    Q̃ᵀ = L⁻¹ X̃ and C Cᵀ = H Hᵀ.
    """
    activation = ACTIVATIONS[stack.activation]
    x = inputs.sample(trial, SEED, "float64").T
    kept = []
    for index in range(1, stack.depth + 1):
        layer = stack.layer(index)
        scale = math.sqrt(layer.square_gain / layer.fan_in)
        tilde = np.concatenate([scale * x, np.full((BATCH, 1), layer.bias_std)], axis=1)
        lower = np.linalg.cholesky(tilde @ tilde.T)
        xi = draw(layer.fan_out, WEIGHTS, index, trial)
        z = lower @ xi
        kept.append((scale, np.linalg.solve(lower, tilde), xi, z))
        x = activation(z)
    g = draw(stack.width, READOUT, stack.depth, trial)
    squares, products = [(g**2).sum()], []
    for index in range(stack.depth, 0, -1):
        scale, frame, xi, z = kept[index - 1]
        h = g * activation.derivative(z)
        products.append(h @ h.T)
        noise = draw(frame.shape[1] - 1, NOISE, index - 1, trial)
        of_bias = row_double(0, BATCH, "normal", BIAS_NOISE, index, trial, SEED)[:, None]
        noise = np.concatenate([noise, of_bias], axis=1)
        rest = np.linalg.cholesky(h @ h.T) @ (noise - noise @ frame.T @ frame)
        g = scale * (h @ xi.T @ frame + rest)[:, :-1]
        squares.append((g**2).sum())
    products.append(g @ g.T)
    return np.log(squares[::-1]) - math.log(squares[0]), np.stack(products[::-1])


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("bias", [0.0, 1.5])
def test_gradients_equal_the_formulas(bias, members):
    """All trials, layers and members of a team use draws of their own."""
    stack = Stack.build("tanh", DEPTH, WIDTH, bias_std=bias, input_width=INPUTS)
    inputs = DrawnInputs("normal", INPUTS, BATCH, 0.2, 1.0)
    sampler = STRATEGIES["matrix-free"].sampler(stack, inputs, 2, SEED, "float64", 1)
    sampler.assemble(members, 1)
    products = np.empty((2, DEPTH + 1, BATCH, BATCH))
    with one_blas_thread():
        found = matrix_free_gradients(sampler, range(2), products)
    for trial in range(2):
        squares, wanted = plain_gradient(stack, inputs, trial)
        # Rounding of float64 over three layers and sums of 40 terms.
        np.testing.assert_allclose(found[trial], squares, atol=1e-10)
        sizes = [
            np.trace(those, axis1=1, axis2=2)[:, None, None] for those in (products[trial], wanted)
        ]
        np.testing.assert_allclose(products[trial] / sizes[0], wanted / sizes[1], atol=1e-10)


@pytest.mark.parametrize(("layers", "batch", "members", "remembers", "trials"), [
    ({"width": 64}, 32, 1, True, 8),  # 2¹⁴ inputs of 2¹¹ each
    ({"width": 64, "input_width": 256}, 32, 1, True, 2),
    ({"width": 64, "input_width": 2048}, 32, 1, True, 1),  # one trial has more
    ({"width": 64}, 32, 1, False, 1),  # histories are made trial by trial
    ({"width": 64}, 32, 2, True, 1),  # a team has one trial at a time
    ({"widths": "64*4,96"}, 32, 1, True, 1),  # two stretches
])  # fmt: skip
def test_as_many_trials_share_a_call_as_have_few_inputs(layers, batch, members, remembers, trials):
    stack = Stack.build("tanh", **({"depth": 4} if "width" in layers else {}), **layers)
    inputs = DrawnInputs("normal", stack.input_width, batch, 0.0, 1.0)
    sampler = STRATEGIES["matrix-free"].sampler(stack, inputs, 16, SEED, "float32", 1)
    sampler.assemble(members, 1)
    if remembers:
        sampler.remember()
    assert sampler.back_at_once() == trials


def test_segments_end_with_the_last_layer(monkeypatch):
    """A layer more would not be finite: second moments grow by 10^60 in each of five."""
    stack = Stack.build("identity", 5, 16, weight_gain=1e30, bias_std=0.0)
    inputs = DrawnInputs("normal", 16, 3, 0.0, 1.0)
    found = []
    for room in (2**20, 0):  # in one piece, and by segments of two
        monkeypatch.setattr(matrix_free_sampler, "HISTORY_BYTES", room)
        options = {"trials": 1, "seed": SEED, "dtype": "float64", "sampler": "matrix-free"}
        found.append(simulate(stack, inputs, backward=True, **options).log_gradient)
    assert np.isfinite(found[0]).all()
    np.testing.assert_array_equal(*found)
