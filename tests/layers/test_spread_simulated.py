"""Fluctuations between networks of every kind that knows them, against plain simulations.

At two widths, so that what is neglected, of order 1/width², is told from errors of first order. A
kind joins by one line of CASES.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from snstat.experiment.inputs import DrawnInputs
from snstat.layers.activation import Activation
from snstat.layers.add import Add
from snstat.layers.alpha_dropout import AlphaDropout
from snstat.layers.block import Block
from snstat.layers.channel_dropout import ChannelDropout
from snstat.layers.concat import Concat
from snstat.layers.dense import Dense
from snstat.layers.dropout import Dropout
from snstat.layers.entry import Entry
from snstat.layers.group_norm import GroupNorm
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.residual_block import Residual
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.network.network import Network
from snstat.theory.walk import walk
from tests.layers.many_draw import ManyDraw

WIDTHS, TRIALS = (16, 32), 10_000
HE = {"init": "he_normal"}
DRAWN = {"init": "orthogonal"}


def feed(width, *middle):
    return Residual((*middle, Dense(2 * width, "relu"), Dense(width)))


# Width -> layers.
CASES = {
    "dense": lambda n: (Dense(n, "tanh"), Dense(n, "relu", bias_std=0.3), Dense(n)),
    "normalized": lambda n: (
        Dense(n, "tanh", weights="normalized"),
        Dense(n, "gelu", weights="normalized"),
        Dense(n),
    ),
    "scale": lambda n: (Dense(n, "relu"), Scale(-1.5)),
    "identity": lambda n: (Dense(n, "identity"), Activation("identity"), Activation("gelu")),
    "dropout": lambda n: (Dense(n, "relu"), Dropout(0.3), Dense(n, "tanh"), Dropout(0.2)),
    "channel_dropout": lambda n: (Dense(n, "selu"), ChannelDropout(0.3)),
    "dropout before φ": lambda n: (Dense(n), Dropout(0.3), Activation("relu"), Dense(n)),
    "dropout of pairs": lambda n: (
        Dense(n, init="orthogonal", bias_std=2.0),
        AlphaDropout(0.4),
        Activation("sigmoid"),
    ),
    "dropout of orthogonal": lambda n: (Dense(n, **DRAWN), Dropout(0.3), Activation("gelu")),
    "alpha_dropout": lambda n: (Dense(n, "selu"), AlphaDropout(0.2), Dense(n, "tanh")),
    "alpha_dropout of ReLU": lambda n: (Dense(n, "relu"), AlphaDropout(0.3)),
    "alpha_dropout before φ": lambda n: (Dense(n), AlphaDropout(0.2), Activation("selu")),
    "rms_norm": lambda n: (Dense(n, "tanh"), RmsNorm(epsilon=0.5), Dense(n)),
    "rms_norm of a mean": lambda n: (Dense(n, "sigmoid", bias_std=0.5), RmsNorm(epsilon=0.3)),
    "rms_norm of ReLU": lambda n: (Dense(n, "relu"), RmsNorm(epsilon=0.3)),
    "rms_norm before φ": lambda n: (Dense(n), RmsNorm(epsilon=0.0), Activation("relu"), Dense(n)),
    "rms_norm with ε": lambda n: (Dense(n), RmsNorm(epsilon=0.5), Activation("relu")),
    "rms_norm of orthogonal": lambda n: (
        Dense(n, bias_std=0.5, **DRAWN),
        RmsNorm(epsilon=0.3),
        Activation("gelu"),
    ),
    "layer_norm": lambda n: (Dense(n, "tanh"), LayerNorm(epsilon=0.3), Scale(-2.0), Dense(n)),
    "layer_norm of a mean": lambda n: (
        Dense(n, "sigmoid", bias_std=0.5),
        LayerNorm(epsilon=0.1),
        Dense(n),
    ),
    "group_norm": lambda n: (
        Dense(2 * n, "tanh"),
        GroupNorm(groups=1, epsilon=0.3),
        Dense(n, "gelu"),
    ),
    "layer_norm, then a mask": lambda n: (
        Dense(n, "selu"),
        LayerNorm(epsilon=0.3),
        Dropout(0.2),
    ),
    "layer_norm before φ": lambda n: (Dense(n), LayerNorm(epsilon=0.0), Activation("relu")),
    "layer_norm before φ, then a mask": lambda n: (
        Dense(n),
        LayerNorm(epsilon=0.0),
        Activation("relu"),
        AlphaDropout(0.3),
    ),
    "layer_norm with ε": lambda n: (Dense(n), LayerNorm(epsilon=0.5), Activation("selu"), Dense(n)),
    "residual": lambda n: (feed(n), Residual((Dense(n, "tanh"), Dense(n)), -0.5)),
    "residual of pairs": lambda n: (Dense(n, bias_std=2.0), Residual((Dense(n, bias_std=1.0),))),
    "residual with a norm": lambda n: (feed(n, LayerNorm()), feed(n, RmsNorm(epsilon=0.3))),
    "residual with masks": lambda n: (
        Residual((LayerNorm(), Dense(n, "relu"), Dropout(0.2), Dense(n), Dropout(0.2)), 0.7),
        Dense(n, "relu"),
    ),
    "residual with a shortcut": lambda n: (
        Dense(n, "tanh"),
        Residual((Dense(n, "tanh"), Dense(n)), 1.0, (Dense(n),)),
        Activation("tanh"),
    ),
    "residual of Gaussians": lambda n: (
        Dense(n),
        Residual((Dense(n),)),
        Residual((RmsNorm(epsilon=0.5), Dense(n))),
        Activation("relu"),
    ),
    "residual of orthogonal": lambda n: (
        Dense(n, **DRAWN),
        Residual((Dense(n, **DRAWN),)),
        Activation("relu"),
    ),
    "residual within": lambda n: (Residual((feed(n, LayerNorm(epsilon=0.5)), Dense(n))),),
    "residual, times": lambda n: (Block((feed(n, RmsNorm(epsilon=0.4)),), 3),),
    "residual of φ": lambda n: (Dense(n), Residual((Activation("relu"), Dense(n, **HE)))),
    "residual of a mean": lambda n: (
        Dense(n, "sigmoid", bias_std=0.5),
        Residual((Dense(n, "relu"), Dense(n))),
        LayerNorm(epsilon=0.5),
        Dense(n),
    ),
    "add": lambda n: (
        Dense(n, "tanh"),
        Dense(n),
        Entry(Dense(n), (1,)),
        Entry(Add(), (2, 3)),
        Activation("tanh"),
    ),
    "concat": lambda n: (
        Dense(n, "tanh"),
        Entry(Dense(n // 2, "relu")),
        Entry(Concat(), (0, 1, 2)),
        Dense(n),
    ),
}
NAMES = ("bias", "variance", "pair", "shift", "mean_variance", "mean_pair")
# One false alarm in a thousand runs of all of them.
Z = norm.isf(0.0005 / (2 * len(NAMES) * len(CASES)))


def simulated(layers, width, mean, square, seed):
    """Return per trial what the averages of `NAMES` are taken of, (trials, names)."""
    draw, random = ManyDraw(TRIALS, seed), np.random.default_rng(seed + 100)
    x = Block(layers).sample([random.normal(size=(width, TRIALS * 2))], draw).values
    squares = (x**2).mean(0).reshape(TRIALS, 2) / square - 1.0
    means = (x.mean(0).reshape(TRIALS, 2) - mean) / math.sqrt(square)
    off = squares - squares.mean(0)
    apart = means - means.mean(0)
    of_square = squares.mean(1), (off**2).mean(1), off.prod(1)
    of_mean = means.mean(1), (apart**2).mean(1), apart.prod(1)
    return np.stack([*of_square, *of_mean], axis=1)


@pytest.mark.parametrize("name", CASES)
def test_fluctuations_are_what_simulations_tend_to(name):
    """Tolerance: the spread between trials, for what is left where a part that falls as 1/width² is
    taken out, and a few times first order over the width for that part."""
    gone, errors = [], []
    for seed, width in enumerate(WIDTHS):
        layers = tuple(e if isinstance(e, Entry) else Entry(e) for e in CASES[name](width))
        inputs = DrawnInputs("normal", width, 2, 0.0, 1.0).moments()
        found = walk(Network(Shape(width), Block(layers)), 2, inputs)
        theory = np.array([getattr(found, column)[-1] for column in NAMES])
        rows = simulated(layers, width, found.mean[-1], found.second_moment[-1], seed)
        known = ~np.isnan(theory)
        assert known[:2].all()
        gone.append(width * (rows.mean(0) - theory))
        errors.append(width * rows.std(0, ddof=1) / math.sqrt(TRIALS))
        size = width * max(found.variance[-1], 1.0 / width)
        few = Z * errors[-1] + 12.0 * size**2 / width
        # That of the averages themselves is bounded by what they say that they neglect.
        few[0] = Z * errors[-1][0] + width * found.residual[-1]
        few[3] = Z * errors[-1][3] + width * found.shift_residual[-1]
        assert (np.abs(gone[-1]) <= few)[known].all(), (gone, errors, theory * width)
    left, noise = 2.0 * gone[1] - gone[0], np.hypot(2.0 * errors[1], errors[0])
    assert (np.abs(left) <= Z * noise)[known].all(), (left / noise, theory * width)
