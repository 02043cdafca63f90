"""What the tests of example networks share: runs of them at a small width, and plain integrals."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from scipy.integrate import quad

import snstat

FOLDER = Path(__file__).parents[1] / "examples" / "networks"
WIDTH = 64
# Estimates are compared with theory at a handful of layers. With 32 trials Student's t is beyond
# 4.5 once in 10,000 comparisons, and the seed is fixed.
TRIALS, BEYOND = 32, 4.5


def propagate(
    name, *, trials=2, width=WIDTH, batch=16, backward=False, infinite_width=0, **parameters
):
    """Run an example at a small width; theory of infinite width does not depend on it."""
    return snstat.propagate(
        FOLDER / f"{name}.toml",
        set={"width": width} | parameters,
        trials=trials,
        batch=batch,
        backward=backward,
        infinite_width=infinite_width,
    )


def simulated(name, **options):
    return propagate(name, trials=TRIALS, **options)


def rows(run, ending):
    """Return the numbers of the layers whose names end so, in order."""
    return np.array([row.layer for row in run.layers if f".{row.name}".endswith(f".{ending}")])


def agrees(statistic, layers):
    """Return whether estimates are within the error of simulation of theory."""
    off = statistic.estimate[layers] - statistic.theory[layers]
    return bool(np.all(np.abs(off) < BEYOND * statistic.stderr[layers]))


def gaussian(function, mean, variance):
    """Return the expectation of a function of one Gaussian variable, by adaptive quadrature."""
    std = math.sqrt(variance)

    def weighted(x):
        return function(mean + std * x) * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)

    # In two parts, as selu has a kink at 0; a Gaussian is below 1e-31 beyond 12.
    kink = min(max(-mean / std, -12), 12)
    below, above = (quad(weighted, *ends, epsabs=1e-13)[0] for ends in ((-12, kink), (kink, 12)))
    return below + above


def selu(x):
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return scale * (x if x > 0 else alpha * math.expm1(x))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))
