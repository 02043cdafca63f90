"""Instance norm, against a loop over samples and channels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.errors import InvalidValueError
from snstat.layers.instance_norm import InstanceNorm
from snstat.layers.law import GAUSSIAN
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal
from tests.layers.plain_draw import PlainDraw


@pytest.mark.parametrize("grid", [(7,), (3, 4)], ids=str)
def test_each_sample_and_channel_is_normalised_over_its_positions(grid):
    """Values, and the gradient of a read-out by central differences (error of second order)."""
    random, epsilon, step = np.random.default_rng(0), 0.1, 1e-5
    x = 3.0 + 2.0 * random.normal(size=(4, 3, *grid))
    slope = random.normal(size=x.shape)
    found = InstanceNorm(epsilon=epsilon).sample([x], PlainDraw())
    (back,) = found.pull(slope)

    def normal(values):
        count = values.size
        mean = math.fsum(values.flat) / count
        variance = math.fsum((v - mean) ** 2 for v in values.flat) / count
        return (values - mean) / math.sqrt(variance + epsilon)

    for own in np.ndindex(4, 3):
        np.testing.assert_allclose(found.values[own], normal(x[own]), rtol=1e-12, atol=1e-13)
        for place in np.ndindex(grid):
            moved = np.zeros(grid)
            moved[place] = step
            ahead = np.sum(slope[own] * (normal(x[own] + moved) - normal(x[own] - moved)))
            assert back[(*own, *place)] == pytest.approx(ahead / (2.0 * step), abs=1e-8)


def test_a_vector_is_refused_and_one_position_becomes_0():
    layer = InstanceNorm()
    with pytest.raises(InvalidValueError, match="grid"):
        layer.shape([Shape(4)])
    assert not layer.sample([np.ones((4, 2, 1))], PlainDraw()).values.any()


def test_theory_is_null():
    shape = Shape(4, (3,))
    signal = Signal(shape, np.zeros(3), np.eye(3), np.eye(3), GAUSSIAN)
    assert isinstance(InstanceNorm().moments([signal], 2), NoTheory)
