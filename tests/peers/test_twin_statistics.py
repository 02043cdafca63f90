"""The statistics and gradients that a run reports are those of its twin, by their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from snstat.engine.general.sample import sample_network
from snstat.engine.kernels.random import READOUT, STANDARD, Draw, draw_rows
from snstat.experiment.inputs import DrawnInputs
from snstat.results import MEASURED
from tests.engine import oracle
from tests.peers.networks import NETWORKS, tolerance
from tests.peers.twin import twin_of

pytestmark = pytest.mark.peers

BATCH, SEED, TRIALS = 7, 5, 2
# The others are of an activation, and a twin's layer is more than that.
COMPARED = [name for name in MEASURED if name not in ("dead_fraction", "saturated_fraction")]


def batched(units, shape):
    """Return (batch, channels, *grid) of `units` (units, batch), in which the channels of a
    position are next to each other."""
    whole = units.T.reshape(-1, *shape.grid, shape.channels)
    return torch.from_numpy(np.moveaxis(whole, -1, 1).copy())


def statistics(layer):
    """Return the statistics of a layer (batch, channels, *grid)."""
    x = layer.detach().double()
    found = oracle.statistics(x.flatten(1).numpy(), math.nan)
    return found | {"variance_over_units": x.var(1, correction=0).mean().item()}


def read_out(shape, trial, depth, dtype):
    """Return ∂L/∂(last layer), which a run draws for its last layer."""
    out = np.empty((shape.units, BATCH), dtype)
    draw_rows(out, 0, STANDARD, READOUT, Draw(np.uint64(SEED), trial, depth))
    return batched(out, shape)


def log_square(slope):
    """Return ln of the squared norm over units and positions, averaged over the batch."""
    return math.log(slope.double().square().flatten(1).sum(1).mean().item())


def peak(slope):
    """Return the largest magnitude over the root mean square."""
    return (slope.abs().max() / slope.square().mean().sqrt()).item()


def sensitivities(layer, found):
    """Return by how much statistics move, to first order, if no value of a layer moves by more than
    a small part of the largest: as multiples of that part.

    With |δ| ≤ d, a mean moves by d, a mean square m by 2 d √m (Cauchy–Schwarz), a direction by d
    over the root mean square of the sample, and kurtosis κ = m₄/v² by 8 d κ/√v: m₄ and v² each by
    4 d/√v of themselves, since E|x|³ ≤ m₄/√v.
    """
    x = layer.detach().double().flatten(1)
    largest = found["largest"]
    least = x.square().mean(1).sqrt().min().item()
    squares = {
        name: 2.0 * largest * math.sqrt(found[name])
        for name in ("second_moment", *(n for n in found if n.startswith("variance")))
    }
    return {
        "mean": largest,
        "largest": largest,
        "cosine": 2.0 * largest / least,
        "kurtosis": 8.0 * largest * found["kurtosis"] / math.sqrt(found["variance"]),
        "zero_samples": 0.0,
    } | squares


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", ["prenorm on a grid", "batch norm", "concat"])
def test_a_run_has_the_statistics_of_its_twin(name, train, dtype):
    network, options = NETWORKS[name], {"seed": SEED, "dtype": dtype, "train": train}
    inputs = DrawnInputs("normal", network.input.units, BATCH, 0.1, 1.2)
    measured = sample_network(
        network, inputs, trials=TRIALS, backward=True, keep_trials=True, **options
    )
    allowed = tolerance(network, dtype)
    *_, last = network.rows()
    for trial in range(TRIALS):
        x = batched(inputs.sample(trial, SEED, dtype), network.input)
        layers = twin_of(network, BATCH, trial=trial, **options).layers(x.requires_grad_())
        for number, (values, layer) in enumerate(zip(measured.values[trial], layers, strict=True)):
            theirs = statistics(layer)
            scales = sensitivities(layer, theirs)
            for statistic in COMPARED:
                own, bound = values[MEASURED.index(statistic)], allowed * scales[statistic]
                assert abs(own - theirs[statistic]) <= bound, (number, statistic)
        slopes = torch.autograd.grad(
            layers[-1], layers, read_out(last.after, trial, network.depth, dtype)
        )
        logs = np.array([log_square(slope) for slope in slopes])
        # As of a mean square, relative to it; of this layer and of the last.
        scale = 2.0 * (np.array([peak(slope) for slope in slopes]) + peak(slopes[-1]))
        assert (np.abs(measured.log_gradient[trial] - logs + logs[-1]) <= allowed * scale).all()
    # Means over trials, in another order.
    np.testing.assert_allclose(measured.estimate, measured.values.mean(0), rtol=1e-14, atol=1e-15)
