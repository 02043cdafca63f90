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
from tests.layers.test_conv import Given

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


@pytest.mark.parametrize(("crop", "crop_end"), [(1, None), (1, 0), ((2, 0), (1, 0))])
def test_what_is_cropped_is_the_padding_of_pytorch(crop, crop_end):
    random = np.random.default_rng(2)
    x, weights = random.normal(size=(2, 6, 4, 3)), random.normal(size=(6, 5, 4, 3))
    own = ConvTranspose(channels=5, kernel=(4, 3), stride=2, crop=crop, crop_end=crop_end)
    padding = (crop, crop) if isinstance(crop, int) else crop
    last = padding if crop_end is None else (crop_end, crop_end)
    last = crop_end if isinstance(crop_end, tuple) else last
    added = tuple(first - other for first, other in zip(padding, last, strict=True))
    expected = torch.nn.functional.conv_transpose2d(
        torch.from_numpy(x), torch.from_numpy(weights), None, 2, padding, added
    )
    taps = np.moveaxis(weights, (0, 1), (-1, -2)).reshape(-1, 6)
    found = own.sample([x.swapaxes(0, 1)], Given([taps])).values
    np.testing.assert_allclose(found.swapaxes(0, 1), expected.numpy(), rtol=1e-12, atol=1e-12)
