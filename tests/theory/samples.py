"""Data whose samples differ, networks for them, and expectations of two Gaussians by quadrature."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from snstat.experiment.data import DataInputs
from snstat.network.network import Network

SIZES, CHANNELS, GAIN, BIAS = (4, 3), 3, 1.3, 0.4
SPOTS = list(itertools.product(*map(range, SIZES)))
# Nodes of 60 × 60 points: exact to rounding for tanh at the sizes here, to about 1e-3 for a kink.
NODES, WEIGHTS = hermegauss(120)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def images(count=3, seed=0):
    """Return images of different brightness, the first rows of which are dark, channels last."""
    rng = np.random.default_rng(seed)
    found = rng.normal(0.3, 1.0, (count, *SIZES, CHANNELS)) * rng.uniform(
        0.3, 2.0, (count, 1, 1, 1)
    )
    found[:, :3] = 0.0
    return found


def conv(activation, **more):
    """Return a convolution, as in files."""
    own = {"kind": "conv", "channels": 40, "kernel": 3, "init": "lecun_normal"}
    return own | {"activation": activation, "weight_gain": GAIN, "bias_std": BIAS} | more


def network(*layers, channels=CHANNELS, grid=SIZES):
    """Return a network on the grid of the images."""
    return Network.read({"input": {"channels": channels, "grid": list(grid)}, "layers": [*layers]})


def moments_of(data, batch=None, trials=8, seed=0):
    """Return the moments of data, with their samples."""
    flat = data.reshape(len(data), -1)
    count = len(data) if batch is None else batch
    source = DataInputs("array", flat, count, positions=data[0, ..., 0].size)
    return replace(source.moments(), samples=source.samples(trials, seed))


def expectation(f, a, b, c):
    """Return E[f(z)f(z')] of two Gaussians with E[z²] = a, E[z'²] = b and E[zz'] = c."""
    x = math.sqrt(a) * NODES
    if a == 0 or b == 0:
        return f(np.zeros(1))[0] * float(WEIGHTS @ f(math.sqrt(b) * NODES)) if a == 0 else math.nan
    rest = math.sqrt(max(b - c * c / a, 0.0))
    y = c / a * x[:, None] + rest * NODES
    return float(WEIGHTS @ (f(x)[:, None] * f(y)) @ WEIGHTS)


def vectors(count=4, width=40, seed=1):
    """Return vectors of different norm."""
    rng = np.random.default_rng(seed)
    return rng.normal(0.2, 1.0, (count, width)) * rng.uniform(0.3, 3.0, (count, 1))
