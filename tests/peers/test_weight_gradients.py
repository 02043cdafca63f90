"""Theory of the gradients of weights, compared with PyTorch's over many draws."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from tests.checks.cases import dense, network_case, repeated, residual
from tests.peers.twin import twin_of

pytestmark = pytest.mark.peers

BATCH, TRIALS = 4, 30
NORM = {"kind": "layer_norm", "epsilon": 0.0}
NETWORKS = {
    "funnel": [dense(400, "relu"), dense(100, "tanh"), dense(10)],
    "residual": [
        dense(200),
        repeated(2, residual(NORM, dense(300, "gelu"), dense(200), scale=0.5)),
        dense(50, "elu"),
    ],
    "dropout": [
        dense(300, "selu"),
        {"kind": "dropout", "rate": 0.4},
        dense(200, "relu", bias_std=0.5),
        {"kind": "highway", "activation": "tanh"},
        dense(100, weight_gain=2.0),
    ],
    "highways": [
        dense(250, "tanh"),
        {"kind": "highway", "activation": "relu", "transfer_bias": -3.0, "bias_std": 0.5},
        {"kind": "highway", "activation": "elu", "transfer_bias": 1.0, "weights": "standardized"},
        dense(150, "relu"),
    ],
}


def logs_of(network, trial, units):
    """Return ln of the mean square of every layer's weight gradient in one trial."""
    twin = twin_of(network, BATCH, trial=trial, seed=3, dtype="float64")
    draw = torch.Generator().manual_seed(trial)
    y = twin(torch.randn(BATCH, units, generator=draw, dtype=torch.float64))
    y.backward(torch.randn(y.shape, generator=draw, dtype=torch.float64))
    found = {}
    for name, weight in twin.named_parameters():
        if weight.ndim == 2:  # those of norms are vectors
            layer = re.split(r"\.(hidden|gate)\.", name)[0]
            found.setdefault(layer, []).append(weight.grad.square().mean().item())
    return np.log([np.mean(squares) for squares in found.values()])


@pytest.mark.parametrize("name", NETWORKS)
def test_the_mean_squares_of_weight_gradients_are_pytorchs(name):
    """Each is compared with that of the last layer. The differences have an error that their spread
    over trials tells, of which 5 are allowed. A logarithm lies below that of the mean by half its
    variance, and theory leaves out what is of the order of 1/width: about 1/100 for each of the at
    most 7 layers."""
    judged = network_case(*NETWORKS[name], channels=100, batch=BATCH)
    theory = judged.weight_gradients(judged.gradients)
    theory = theory[np.isfinite(theory)]
    found = np.array([logs_of(judged.subject, trial, 100) for trial in range(TRIALS)])
    assert found.shape[1] == len(theory) > 2
    apart = found - found[:, -1:]
    variance = apart.var(0, ddof=1)
    error = np.sqrt(variance / TRIALS)
    away = np.abs(apart.mean(0) - (theory - theory[-1]))
    assert (away <= 5 * error + variance / 2 + 0.07).all()
