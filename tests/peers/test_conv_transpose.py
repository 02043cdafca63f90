"""PyTorch's own initialisation of transposed convolutions is `torch_default`."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from snstat.layers.biases import biases
from snstat.layers.conv_transpose import ConvTranspose
from snstat.layers.law import OTHER
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal
from tests.layers.plain_draw import PlainDraw

pytestmark = pytest.mark.peers

BEFORE, AFTER, KERNEL, STRIDE = 32, 64, (3, 2), (2, 1)


def layer():
    return ConvTranspose(channels=AFTER, kernel=KERNEL, stride=STRIDE, init="torch_default")


def test_weights_and_biases_have_the_range_and_variance_of_pytorch():
    torch.manual_seed(0)
    weights, draw = layer().at(Shape(BEFORE, (4, 4))), PlainDraw(0)
    drawn = draw.rows(weights), biases(draw, 4000, weights, np.dtype("float64"))
    module = torch.nn.ConvTranspose2d(BEFORE, AFTER, KERNEL, STRIDE)
    many = torch.nn.ConvTranspose2d(1, 4000, 1).bias * math.sqrt(4000 / (AFTER * 6))
    bound = 1.0 / math.sqrt(AFTER * 6)
    for sample in (*drawn, module.weight, module.bias, many):
        values = np.asarray(sample.detach() if isinstance(sample, torch.Tensor) else sample, float)
        assert np.abs(values).max() <= bound * (1.0 + 1e-6)
        # For uniform values the mean square is bound²/3, with relative standard error √(4/5)/√n.
        z = ((values**2).mean() * 3.0 / bound**2 - 1.0) * math.sqrt(values.size / 0.8)
        assert abs(z) < 5.0


def test_theory_is_what_modules_of_pytorch_show_at_every_position():
    """A checkerboard along the axis whose stride does not divide the kernel."""
    torch.manual_seed(1)
    seen = []
    for _ in range(200):
        module = torch.nn.ConvTranspose2d(BEFORE, AFTER, KERNEL, STRIDE)
        with torch.no_grad():
            seen.append(module(torch.randn(4, BEFORE, 3, 3)).square().mean((0, 1)).numpy())
    ones = np.ones(9)
    step = layer().moments([Signal(Shape(BEFORE, (3, 3)), 0.0 * ones, ones, ones, OTHER)], 4)
    expected = step.signal.same.reshape(step.signal.shape.grid)
    error = np.std(seen, 0, ddof=1) / math.sqrt(len(seen))
    # 28 positions.
    assert np.all(np.abs(np.mean(seen, 0) - expected) <= 4.5 * error)
    assert np.all(error < 0.02 * expected)
    assert expected[2, 1] == pytest.approx(2.0 * expected[1, 1] - 1.0 / (3 * AFTER * 6), rel=1e-12)
