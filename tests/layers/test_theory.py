"""Theory of every kind against a plain simulation, at two widths.

Each follows a dense layer, which is fed samples whose inner products are exact, so that its outputs
are exactly Gaussian at any width. A kind of one input that has theory is compared as tests/layers/
kinds.py has it; what it knows beside that, after other layers, is one line of CASES.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from scipy.stats import norm

from snstat.layers.activation import Activation
from snstat.layers.alpha_dropout import AlphaDropout
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.block import Block
from snstat.layers.channel_dropout import ChannelDropout
from snstat.layers.dense import Dense
from snstat.layers.dropout import Dropout
from snstat.layers.entry import Entry
from snstat.layers.group_norm import GroupNorm
from snstat.layers.law import OTHER
from snstat.layers.layer import Layer
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.registry import KINDS, kind
from snstat.layers.residual_block import Residual
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope
from tests.layers.kinds import INPUTS, layer_of
from tests.layers.plain_draw import PlainDraw

BATCH, TRIALS, WIDTHS = 12, 400, (48, 96)
# E[x_u x_v] of one sample and of two, without a grid and for two positions.
ONE_PLACE = np.array([[1.5]]), np.array([[0.4]])
PLACES = np.array([[1.5, 0.6], [0.6, 0.8]]), np.array([[0.5, 0.2], [0.2, 0.3]])
# h of gradients whose g is 1: independent ones, and some that samples share.
SHARED = (0.0, 0.5)


def chain(*layers, times=1):
    return Block(tuple(Entry(layer) for layer in layers), times)


def relu(*layers):
    return chain(Activation("relu"), *layers)


# Width -> the layer after a dense one of this width. The kinds of several inputs are compared in
# test_containers.py.
ALONE = {
    name: partial(layer_of, name)
    for name in KINDS
    if name not in INPUTS and kind(name).moments is not Layer.moments
}
CASES = ALONE | {
    "block of relu": lambda width: chain(Dense(width, "relu"), times=2),
    "scale after relu": lambda _: relu(Scale(-1.5)),
    "activation that is linear": lambda _: chain(Activation("identity"), Activation("selu")),
    "dropout after relu": lambda _: relu(Dropout(0.3)),
    "dropout before φ": lambda _: chain(Dropout(0.3), Activation("sigmoid")),
    "dropout, then a number": lambda _: chain(Dropout(0.3), Scale(-2.0), Activation("selu")),
    "channel_dropout after relu": lambda _: relu(ChannelDropout(0.3)),
    "alpha_dropout after relu": lambda _: relu(AlphaDropout(0.3)),
    "alpha_dropout before φ": lambda _: chain(AlphaDropout(0.3), Activation("selu")),
    "alpha_dropout, then a norm": lambda _: chain(
        AlphaDropout(0.3), LayerNorm(epsilon=0.1), Scale(-1.5), Activation("sigmoid")
    ),
    "layer_norm after relu": lambda _: relu(LayerNorm(epsilon=0.1)),
    "layer_norm before φ": lambda _: chain(LayerNorm(epsilon=0.1), Activation("tanh")),
    "rms_norm after relu": lambda _: relu(RmsNorm(epsilon=0.1)),
    "rms_norm before φ": lambda _: chain(RmsNorm(), Activation("tanh")),
    "group_norm after relu": lambda _: relu(GroupNorm(groups=1, epsilon=0.1)),
    "batch_norm without ε": lambda _: BatchNorm(epsilon=0.0),
    "batch_norm before φ": lambda _: chain(BatchNorm(epsilon=0.5), Activation("tanh")),
    "batch_norm before relu": lambda _: chain(BatchNorm(epsilon=0.0), Activation("relu")),
    "residual of relu": lambda width: Residual((Dense(width, "relu"), Dense(width))),
    "batch_norm, then a number": lambda _: chain(
        BatchNorm(epsilon=0.2), Scale(-2.0), RmsNorm(), Activation("relu6")
    ),
}
# Those whose theory holds for pairs of positions.
ON_GRIDS = {
    "dense": lambda width: Dense(width, bias_std=0.3),
    "scale": lambda _: Scale(2.0),
    "dropout": lambda _: Dropout(0.3),
    "channel_dropout": lambda _: ChannelDropout(0.3),
    "alpha_dropout": lambda _: AlphaDropout(0.3),
    "layer_norm": lambda _: LayerNorm(epsilon=0.1),
    "rms_norm": lambda _: RmsNorm(epsilon=0.1),
    "group_norm": lambda _: GroupNorm(groups=1, epsilon=0.1),
}
# The mean, and one sample and two for values and both kinds of read-out, at each position or pair.
COMPARISONS = 7 * len(CASES) + 26 * len(ON_GRIDS)
# One false alarm in a thousand runs of all of them.
Z = norm.isf(0.0005 / COMPARISONS)


def inputs(same, cross):
    """Return samples (channels, BATCH, positions) with these inner products over channels."""
    gram = np.kron(np.eye(BATCH), same - cross) + np.kron(np.ones((BATCH, BATCH)), cross)
    root = np.linalg.cholesky(gram) * math.sqrt(len(gram))
    return root.T.reshape(len(gram), BATCH, len(same))


def signal(x, same, cross, grid):
    return Signal(Shape(len(x), grid), np.zeros(len(same)), same, same - cross, OTHER)


def products(values):
    """Return E[x_u x_v] over units of one sample and of two, from (channels, batch, *grid)."""
    x = values.reshape(*values.shape[:2], -1)
    one = np.einsum("cbu,cbv->uv", x, x) / (len(x) * BATCH)
    total = x.sum(1)
    both = np.einsum("cu,cv->uv", total, total) / (len(x) * BATCH)
    return one, (both - one) / (BATCH - 1)


def statistics(layer, x, trials, seed):
    """Return per trial mean, products of samples and, per kind of read-out, of gradients."""
    draw = PlainDraw(seed)
    rows = []
    for _ in range(trials):
        found = layer.sample([x], draw)
        mean = found.values.reshape(*found.values.shape[:2], -1).mean((0, 1))
        row = [mean, *products(found.values)]
        for shared in SHARED:
            own = draw.random.normal(size=found.values.shape)
            common = draw.random.normal(size=found.values[:, :1].shape)
            (slope,) = found.pull(math.sqrt(1.0 - shared) * own + math.sqrt(shared) * common)
            row += products(slope)
        rows.append(np.concatenate([np.ravel(part) for part in row]))
    return np.array(rows)


def predicted(layer, before):
    """Return the same by theory."""
    step = layer.moments([before], BATCH)
    assert step is not None, f"{layer.kind}.moments knows nothing of Gaussian units"
    state = step.signal
    row = [state.mean, state.same, state.same - state.gap]
    for shared in SHARED:
        one = np.eye(len(state.same))
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


def compared(build, kinds, grid):
    same, cross = kinds
    x = inputs(same, cross).reshape(-1, BATCH, *grid)
    means, errors, theory = [], [], []
    for seed, width in enumerate(WIDTHS):
        row = Row(width, build)
        found = statistics(row, x, TRIALS, seed)
        means.append(found.mean(0))
        errors.append(found.std(0, ddof=1) / math.sqrt(TRIALS))
        theory.append(row.theory(signal(x, same, cross, grid)))
    assert np.allclose(theory[0], theory[1], rtol=1e-12, atol=1e-15)  # that of infinite width
    off = np.array(means) - theory
    size = np.abs(theory[0]).max()
    # What is left where the part that falls as 1/width is taken out is of order 1/width², less than
    # the spread between trials.
    left, noise = 2.0 * off[1] - off[0], np.hypot(2.0 * errors[1], errors[0])
    assert np.all(np.abs(left) <= Z * noise + 1e-12 * size), (left / noise, theory[0])
    # The part that falls as 1/width is a few of 1/width.
    for gone, error, width in zip(off, errors, WIDTHS, strict=True):
        assert np.all(np.abs(gone) <= Z * error + 10.0 / width * size), (gone, theory[0])


@pytest.mark.parametrize("name", CASES)
def test_theory_is_what_plain_simulations_tend_to(name):
    compared(CASES[name], ONE_PLACE, ())


@pytest.mark.parametrize("name", ON_GRIDS)
def test_theory_of_pairs_of_positions_is_too(name):
    compared(ON_GRIDS[name], PLACES, (2,))
