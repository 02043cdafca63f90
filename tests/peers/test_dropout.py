"""PyTorch's own dropout: the same values and gradients with its masks, and as many units kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from snstat.engine.general.draw import LayerDraw, Workshop
from snstat.layers.alpha_dropout import AlphaDropout
from snstat.layers.channel_dropout import ChannelDropout
from snstat.layers.dropout import Dropout
from tests.peers.twin import array, tensor

pytestmark = pytest.mark.peers

KINDS = pytest.mark.parametrize(
    ("kind", "own", "grid", "alike"),
    [
        (Dropout, nn.Dropout, (), False),
        (Dropout, nn.Dropout, (3, 2), False),
        (ChannelDropout, nn.Dropout1d, (4,), True),
        (ChannelDropout, nn.Dropout2d, (3, 2), True),
        (AlphaDropout, nn.AlphaDropout, (), False),
        (AlphaDropout, nn.AlphaDropout, (3, 2), False),
    ],
)
CHANNELS, BATCH, RATE, SEED = 60, 50, 0.3, 0


class Masks:
    """A Draw that keeps where a mask is true, and drops elsewhere."""

    train = True

    def __init__(self, mask):
        self.mask = mask

    def kept(self, shape, rate, dtype):  # noqa: ARG002
        assert shape == self.mask.shape
        return self.mask.astype(dtype)


def mask_of(values, *, alike):
    """Return where PyTorch or snstat kept the units of a positive layer, (channels, batch, *grid):
    once for all positions if they are `alike`."""
    # A unit that is dropped is 0, or where SELU saturates.
    mask = values > 0
    if not alike:
        return mask
    first = mask[(..., *[slice(1)] * (mask.ndim - 2))]
    assert (mask == first).all()
    return first


@KINDS
def test_dropout_is_that_of_pytorch(kind, own, grid, alike):
    torch.manual_seed(SEED)
    random = np.random.default_rng(SEED)
    x = random.uniform(1.0, 2.0, (CHANNELS, BATCH, *grid))
    slope = random.normal(size=x.shape)
    theirs_in = tensor(x).requires_grad_()
    theirs = own(RATE)(theirs_in)
    (back,) = torch.autograd.grad(theirs, theirs_in, tensor(slope))
    mask = mask_of(array(theirs), alike=alike)
    found = kind(RATE).sample([x], Masks(mask))
    # Some operations on numbers of size 1, which each round by at most eps.
    allowed = 16.0 * float(np.finfo(float).eps)
    np.testing.assert_allclose(found.values, array(theirs), rtol=allowed, atol=allowed)
    np.testing.assert_allclose(*found.pull(slope), array(back), rtol=allowed, atol=allowed)


@KINDS
def test_as_many_units_are_kept(kind, own, grid, alike):
    torch.manual_seed(SEED)
    x = np.ones((CHANNELS, BATCH, *grid))
    shop = Workshop(x.dtype, np.uint64(SEED), np.zeros(1, np.uint8), train=True)
    ours = kind(RATE).sample([x], LayerDraw(shop, 0, 1)).values
    for values in (ours, array(own(RATE)(tensor(x)))):
        mask = mask_of(values, alike=alike)
        z = (mask.sum() - mask.size * (1.0 - RATE)) / math.sqrt(mask.size * RATE * (1.0 - RATE))
        # A binomial number of at least 3000: one seed in 12,000 would fail in one of 12 cases.
        assert abs(z) < 4.5
