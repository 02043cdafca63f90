"""Theory of a layer against a plain simulation, at two widths.

The layer follows a dense layer, which is fed samples whose inner products are exact, so that its
outputs are exactly Gaussian at any width.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm

from snstat.layers.dense import Dense
from snstat.layers.law import OTHER
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope
from snstat.layers.squares import alone as squares_alone
from snstat.layers.squares import diagonal
from tests.layers.plain_draw import PlainDraw

BATCH, TRIALS, WIDTHS = 12, 400, (48, 96)
# E[x_u x_v] of one sample and of two, without a grid and for two positions.
ONE_PLACE = np.array([[1.5]]), np.array([[0.4]])
PLACES = np.array([[1.5, 0.6], [0.6, 0.8]]), np.array([[0.5, 0.2], [0.2, 0.3]])
# The same of positions that are alike.
ALIKE = np.array([[1.2, 0.3], [0.3, 1.2]]), np.array([[0.5, 0.1], [0.1, 0.5]])
# h of gradients whose g is 1: independent ones, and some that samples share.
SHARED = (0.0, 0.5)


def numbers(before, after):
    """Return how many numbers are compared of a layer with so many positions before and after it:
    the mean, and one sample and two for values and both kinds of read-out, at each position or
    pair."""
    return after + 2 * after**2 + 4 * before**2


OF_ONE_PLACE, OF_PLACES = numbers(1, 1), numbers(2, 2)


def inputs(same, cross):
    """Return samples (channels, BATCH, positions) with these inner products over channels."""
    gram = np.kron(np.eye(BATCH), same - cross) + np.kron(np.ones((BATCH, BATCH)), cross)
    root = np.linalg.cholesky(gram) * math.sqrt(len(gram))
    return root.T.reshape(len(gram), BATCH, len(same))


def signal(x, same, cross, grid):
    return Signal(Shape(len(x), grid), np.zeros(len(same)), same, same - cross, OTHER)


def products(values, *, alone=False):
    """Return E[x_u x_v] over units of one sample and of two, from (channels, batch, *grid), or
    where `alone` those of u = v."""
    x = values.reshape(*values.shape[:2], -1)
    batch, total = x.shape[1], x.sum(1)
    one = np.einsum("cbu,cbv->uv", x, x) / (len(x) * batch)
    both = np.einsum("cu,cv->uv", total, total) / (len(x) * batch)
    found = one, (both - one) / (batch - 1)
    return tuple(map(np.diagonal, found)) if alone else found


def statistics(layer, x, trials, seed, *, alone):
    """Return per trial mean, products of samples and, per kind of read-out, of gradients."""
    draw = PlainDraw(seed)
    rows = []
    for _ in range(trials):
        found = layer.sample([x], draw)
        mean = found.values.reshape(*found.values.shape[:2], -1).mean((0, 1))
        row = [mean, *products(found.values, alone=alone)]
        for shared in SHARED:
            own = draw.random.normal(size=found.values.shape)
            common = draw.random.normal(size=found.values[:, :1].shape)
            (slope,) = found.pull(math.sqrt(1.0 - shared) * own + math.sqrt(shared) * common)
            row += products(slope, alone=alone)
        rows.append(np.concatenate([np.ravel(part) for part in row]))
    return np.array(rows)


def of_network(layers, grid, width, trials, seed):
    """Return of each trial, and by theory, the averages over positions of values, their squares and
    their products with another sample's, and the squared gradient of the input for a read-out of
    every sample and position. The input has so many channels at each position, of cosine 0."""
    batch, count = 3, math.prod(grid)
    start = Signal(Shape(width, grid), np.zeros(count), np.eye(count), np.eye(count), OTHER)
    step = layers.moments([start], batch)
    after = step.signal
    own = squares_alone(np.ones(after.mean.size), after.same)
    (slope,) = step.pull(Slope(own, own))
    rows = []
    for trial in range(trials):
        draw = PlainDraw((seed, trial))
        x = draw.random.normal(size=(width, batch, *grid))
        found = layers.sample([x], draw)
        (h,) = found.pull(draw.random.normal(size=found.values.shape))
        square, cross = (part.mean() for part in products(found.values, alone=True))
        rows.append([found.values.mean(), square, cross, (h**2).mean()])
    square, gap = (float(diagonal(part).mean()) for part in (after.same, after.gap))
    gradient = math.exp(slope.log) * float(np.trace(slope.same)) / count
    return np.array(rows), [after.mean.mean(), square, square - gap, gradient]


def predicted(layer, before):
    """Return the same by theory, of pairs of positions or of positions by themselves."""
    step = layer.moments([before], BATCH)
    assert step is not None, f"{layer.kind}.moments knows nothing of Gaussian units"
    state = step.signal
    row = [state.mean, state.same, state.same - state.gap]
    for shared in SHARED:
        one = np.ones_like(state.same) if state.same.ndim == 1 else np.eye(len(state.same))
        (slope,) = step.pull(Slope(one, (1.0 - shared) * one))
        scale = math.exp(slope.log)
        row += [scale * slope.same, scale * (slope.same - slope.gap)]
    return np.concatenate([np.ravel(part) for part in row])


class Row:
    """A dense layer and the one that is tested, whose gradient is that of the dense one's output:
    the weights of the dense layer would only blur it."""

    def __init__(self, width, build):
        self.dense, self.layer = Dense(width, weight_gain=1.0), build(width)

    def sample(self, values, draw):
        return self.layer.sample([self.dense.sample(values, draw).values], draw)

    def theory(self, state):
        step = self.dense.moments([state], BATCH)
        assert step is not None
        return predicted(self.layer, step.signal)


def compared(build, gram, grid, comparisons):
    """Compare theory of `build`(width) with simulations, for samples with the inner products
    `gram` at the positions of a grid; see `tends`."""
    same, cross = gram
    x = inputs(same, cross).reshape(-1, BATCH, *grid)

    def observed(width, seed):
        row = Row(width, build)
        theory = row.theory(signal(x, same, cross, grid))
        alone = len(theory) == len(same) * (1 + 2 + 2 * len(SHARED))
        return statistics(row, x, TRIALS, seed, alone=alone), theory

    tends(observed, comparisons)


def compared_alone(build, grid, comparisons, *, squares=1.0, shared=0.0, batch=3, trials=300):
    """Compare theory of `build`(width), every position by itself, with simulations for independent
    normal inputs whose mean squares at the positions are `squares`. Samples have the part `shared`
    of these in common. See `tends`."""

    def observed(width, seed):
        layer, same = build(width), squares * np.ones(math.prod(grid))
        start = Signal(Shape(width, grid), 0.0 * same, same, (1.0 - shared) * same, OTHER)
        step = layer.moments([start], batch)
        state = step.signal
        one = np.ones_like(state.same)
        (slope,) = step.pull(Slope(one, one))
        theory = [state.mean, state.same, state.same - state.gap, math.exp(slope.log) * slope.same]
        rows = []
        for trial in range(trials):
            draw = PlainDraw((seed, trial))
            own, common = draw.random.normal(size=(2, width, batch, *grid))
            x = math.sqrt(1.0 - shared) * own + math.sqrt(shared) * common[:, :1]
            found = layer.sample([np.sqrt(same).reshape(grid) * x], draw)
            y = found.values.reshape(*found.values.shape[:2], -1)
            (back,) = found.pull(draw.random.normal(size=found.values.shape))
            h = back.reshape(width, batch, -1)
            parts = [y.mean((0, 1)), *products(y, alone=True), (h * h).mean((0, 1))]
            rows.append(np.concatenate(parts))
        return np.array(rows), np.concatenate([np.ravel(part) for part in theory])

    tends(observed, comparisons)


def tends(observed, comparisons):
    """Assert that what is `observed`(width, seed), (trials, numbers), tends to theory, (numbers,),
    which it returns too.

    One of `comparisons` in all fails by chance in one of a thousand runs.
    """
    z = norm.isf(0.0005 / comparisons)
    means, errors, theory = [], [], []
    for seed, width in enumerate(WIDTHS):
        found, expected = observed(width, seed)
        means.append(found.mean(0))
        errors.append(found.std(0, ddof=1) / math.sqrt(len(found)))
        theory.append(expected)
    assert np.allclose(theory[0], theory[1], rtol=1e-12, atol=1e-15)  # that of infinite width
    off = np.array(means) - theory
    size = np.abs(theory[0]).max()
    # What is left where the part that falls as 1/width is taken out is of order 1/width², less than
    # the spread between trials.
    left, noise = 2.0 * off[1] - off[0], np.hypot(2.0 * errors[1], errors[0])
    assert np.all(np.abs(left) <= z * noise + 1e-12 * size), (left / noise, theory[0])
    # This premise needs a part in 1/width that is small itself. It sharpens no comparison above.
    for gone, error, width in zip(off, errors, WIDTHS, strict=True):
        assert np.all(np.abs(gone) <= z * error + 10.0 / width * size), (gone, theory[0])
