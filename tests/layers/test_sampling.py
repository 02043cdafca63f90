"""Sampled layers: every kind, asked the same."""

from __future__ import annotations

import numpy as np
import pytest

from snstat.layers.registry import KINDS
from snstat.layers.shape import Shape
from tests.layers.kinds import INPUTS, layer_of
from tests.layers.plain_draw import PlainDraw

BATCH = 6


def drawn(shape, seed):
    """Return values of a batch: not so small that an activation of it has a kink nearby."""
    found = np.random.default_rng(seed).normal(size=(shape.channels, BATCH, *shape.grid))
    return found + 0.1 * np.sign(found)


@pytest.mark.parametrize("grid", [(), (3, 2)])
@pytest.mark.parametrize("name", KINDS)
def test_values_have_the_shape_that_the_layer_says(name, grid):
    shapes = [Shape(5, grid)] * INPUTS.get(name, 1)
    shape = layer_of(name).shape(shapes)
    found = layer_of(name).sample([drawn(s, n) for n, s in enumerate(shapes)], PlainDraw())
    assert found.values.shape == (shape.channels, BATCH, *shape.grid)


@pytest.mark.parametrize("grid", [(), (3, 2)])
@pytest.mark.parametrize("name", KINDS)
def test_gradients_are_pulled_back_by_the_adjoint(name, grid):
    """⟨δ, J v⟩ = ⟨Jᵀ δ, v⟩, with J v by a central difference, whose error is of second order."""
    layer, step = layer_of(name), 1e-4
    inputs = [drawn(Shape(5, grid), n) for n in range(INPUTS.get(name, 1))]
    towards = [np.random.default_rng(9 + n).normal(size=x.shape) for n, x in enumerate(inputs)]
    found = layer.sample(inputs, PlainDraw())
    slope = np.random.default_rng(8).normal(size=found.values.shape)
    ahead, back = (
        layer.sample(
            [x + sign * step * v for x, v in zip(inputs, towards, strict=True)], PlainDraw()
        ).values
        for sign in (1.0, -1.0)
    )
    numeric = float(np.sum(slope * (ahead - back))) / (2.0 * step)
    pulled = sum(
        float(np.sum(part * v)) for part, v in zip(found.pull(slope), towards, strict=True)
    )
    scale = np.linalg.norm(slope) * np.linalg.norm(ahead - back) / (2.0 * step)
    assert pulled == pytest.approx(numeric, abs=20.0 * step**2 * scale)
