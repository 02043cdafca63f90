"""Batch norm on a grid, against a plain simulation of Gaussian channels with two batches."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from snstat.layers.batch_norm import BatchNorm
from snstat.layers.law import GAUSSIAN, OTHER
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope
from snstat.layers.squares import MOST_SPREAD

CHANNELS, BATCHES, EPSILON = 30_000, (32, 64), 0.1
# E[z_u z_v] on a ring of four positions, and behind a border; of two samples, all pairs are alike.
RING = np.array(
    [[1.5, 0.7, 0.4, 0.7], [0.7, 1.5, 0.7, 0.4], [0.4, 0.7, 1.5, 0.7], [0.7, 0.4, 0.7, 1.5]]
)
BORDER = np.array([[0.8, 0.4, 0.2], [0.4, 1.5, 0.5], [0.2, 0.5, 1.0]])
COMMON = 0.15
# Read-outs: of every position by itself, and of a mean over positions.
ALONE, POOLED = "alone", "pooled"


def signal(same, law=GAUSSIAN):
    crossed = np.full_like(same, COMMON)
    return Signal(Shape(8, (len(same),)), np.zeros(len(same)), same, same - crossed, law)


def channels(same, batch, random):
    """Return channels (CHANNELS, batch, positions) with these products."""
    root = np.linalg.cholesky(same - COMMON)
    own = random.normal(size=(CHANNELS, batch, len(same))) @ root.T
    return own + math.sqrt(COMMON) * random.normal(size=(CHANNELS, 1, 1))


def products(x):
    """Return the products of one sample and of two, for every channel: (CHANNELS, 2, P, P)."""
    batch, total = x.shape[1], x.sum(axis=1)
    one = np.einsum("cbu,cbv->cuv", x, x) / batch
    both = np.einsum("cu,cv->cuv", total, total) / batch
    return np.stack([one, (both - one) / (batch - 1)], axis=1)


def observed(same, batch, read_out, seed):
    """Return of every channel the products of values and of gradients, by the definition."""
    random = np.random.default_rng(seed)
    z = channels(same, batch, random)
    moved = z - z.mean(axis=(1, 2), keepdims=True)
    scale = np.sqrt((moved**2).mean(axis=(1, 2), keepdims=True) + EPSILON)
    y = moved / scale
    shape = (CHANNELS, batch, 1) if read_out == POOLED else z.shape
    slope = np.broadcast_to(random.normal(size=shape), z.shape)
    back = slope - slope.mean(axis=(1, 2), keepdims=True)
    back = (back - y * (slope * y).mean(axis=(1, 2), keepdims=True)) / scale
    return np.concatenate([products(y), products(back)], axis=1)


def predicted(same, batch, read_out):
    step = BatchNorm(epsilon=EPSILON).moments([signal(same)], batch)
    slope = np.ones_like(same) if read_out == POOLED else np.eye(len(same))
    (back,) = step.pull(Slope(slope, slope))
    scale, state = math.exp(back.log), step.signal
    assert state.law == GAUSSIAN
    return np.stack(
        [state.same, state.same - state.gap, scale * back.same, scale * (back.same - back.gap)]
    )


@pytest.mark.parametrize("read_out", [ALONE, POOLED])
@pytest.mark.parametrize("same", [RING, BORDER], ids=["ring", "border"])
def test_theory_is_what_large_batches_tend_to(same, read_out):
    """The error falls as the relative variance of ν, as 1/batch: where that part is taken out, what
    is left is within the noise and of the order of its square."""
    off, errors, spreads = [], [], []
    for seed, batch in enumerate(BATCHES):
        found = observed(same, batch, read_out, seed)
        off.append(found.mean(axis=0) - predicted(same, batch, read_out))
        errors.append(found.std(axis=0) / math.sqrt(CHANNELS))
        apart = same - COMMON
        spreads.append(2.0 * (apart**2).mean() / (batch * np.diagonal(apart).mean() ** 2))
    size = np.abs(predicted(same, BATCHES[1], read_out)).max(axis=(1, 2), keepdims=True)
    left, noise = 2.0 * off[1] - off[0], np.hypot(2.0 * errors[1], errors[0])
    # 64 numbers at most in each of four tests; one fails by chance in a thousand.
    z = norm.isf(0.0005 / (4 * 64))
    assert np.all(np.abs(left) <= z * noise + 4.0 * spreads[0] ** 2 * size)
    for gone, spread, error in zip(off, spreads, errors, strict=True):
        assert np.all(np.abs(gone) <= z * error + 4.0 * spread * size)


def test_the_mean_over_all_entries_is_zero_and_their_square_one():
    step = BatchNorm(epsilon=0.0).moments([signal(BORDER)], 16)
    state = step.signal
    crossed = state.same - state.gap
    assert np.diagonal(state.same).mean() == pytest.approx(1.0, rel=1e-14)
    assert (state.same.mean() + 15 * crossed.mean()) == pytest.approx(0.0, abs=1e-14)
    # Of a read-out that all entries share nothing is left.
    (back,) = step.pull(Slope(np.ones_like(BORDER), np.zeros_like(BORDER)))
    assert np.abs(back.same).max() < 1e-14


def test_it_is_not_known_where_the_variance_is_far_from_a_number():
    layer, ring = BatchNorm(), signal(RING)
    apart = RING - COMMON
    # The rest of the mean over a batch is less than a tenth of it.
    spread = 2.0 * (apart**2).mean() / np.diagonal(apart).mean() ** 2
    enough = math.ceil(1.1 * spread / MOST_SPREAD)
    assert not isinstance(layer.moments([ring], enough), NoTheory)
    assert isinstance(layer.moments([ring], math.floor(0.8 * spread / MOST_SPREAD)), NoTheory)
    assert isinstance(layer.moments([signal(RING, OTHER)], enough), NoTheory)
    assert isinstance(layer.moments([ring.alone], enough), NoTheory)
    # What two samples share differs between positions: of no batch is ν the same in all channels.
    shared = np.array([[1.0, -0.9, 0.0], [-0.9, 1.0, 0.0], [0.0, 0.0, 0.1]])
    uneven = Signal(Shape(8, (3,)), np.zeros(3), BORDER + shared, BORDER, GAUSSIAN)
    assert isinstance(layer.moments([uneven], 10**6), NoTheory)


@pytest.mark.parametrize("common", [0.0, 0.6])
def test_it_is_known_where_the_variance_of_all_entries_is_nearly_a_number(common):
    """Of N Gaussian entries with the covariance C, centred, the mean of squares has the relative
    variance 2 tr C²/(tr C)². Here by the whole matrix, for one batch after the other."""
    # What samples share at the first position, they do not at the second.
    same, crossed = np.diag([2.0, 1.0]), np.diag([common, 0.0])
    known = []
    for batch in range(2, 40):
        whole = np.kron(np.ones((batch, batch)), crossed) + np.kron(np.eye(batch), same - crossed)
        centre = np.eye(2 * batch) - 1.0 / (2 * batch)
        whole = centre @ whole @ centre
        spread = 2.0 * np.sum(whole**2) / np.trace(whole) ** 2
        state = Signal(Shape(8, (2,)), np.zeros(2), same, same - crossed, GAUSSIAN)
        found = not isinstance(BatchNorm().moments([state], batch), NoTheory)
        assert found == (spread <= MOST_SPREAD)
        known.append(found)
    assert len(set(known)) == 2 or common
