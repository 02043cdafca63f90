"""The Jacobian of a network is that of `torch.func.jacrev` of its twin."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from snstat.engine.general.jacobian import jacobians, singular_values
from snstat.engine.general.repeated import Repeated
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.registry import KINDS
from snstat.network.network import Network
from tests.layers.kinds import TOKENS, fed, grids_of, shape_of
from tests.peers.networks import NETWORKS, tolerance
from tests.peers.twin import tensor, twin_of

pytestmark = pytest.mark.peers

SEED, TRIAL = 3, 1
OF_KINDS = {
    f"{name} {grid}": Network(shape_of(name, grid), fed(name))
    for name in KINDS
    if name not in TOKENS
    for grid in grids_of(name)
}


# PyTorch says that a Jacobian of attention could be faster.
@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", [*NETWORKS, *OF_KINDS])
def test_the_jacobian_is_that_of_jacrev(name, train):
    """Of the last layer, for one sample; batch norm of one sample is another network."""
    network = (NETWORKS | OF_KINDS)[name]
    if train and "batch_norm" in str(network.form()):
        pytest.skip("samples depend on each other")
    inputs = DrawnInputs("normal", network.input.units, 1, 0.1, 1.2)
    sampler = Repeated(
        network, inputs, TRIAL + 1, SEED, "float64",
        train=train, depth=network.depth, copies=16,
    )  # fmt: skip
    shape = network.block.shape([network.input])
    (found,) = jacobians(sampler, TRIAL, [network.depth], [shape])
    twin = twin_of(network, 1, trial=TRIAL, seed=SEED, dtype="float64", train=train)
    x = tensor(sampler.first(TRIAL)[:, :1])
    whole = torch.func.jacrev(twin.body)(x)
    expected = whole.reshape(shape.units, network.input.units).detach().numpy()
    allowed = tolerance(network, "float64") * float(np.abs(expected).max())
    own = found.values * math.exp(0.5 * found.log)
    np.testing.assert_allclose(own, expected, rtol=0.0, atol=allowed)
    values = np.linalg.svd(expected, compute_uv=False)
    np.testing.assert_allclose(
        singular_values(found), values, rtol=0.0, atol=allowed * math.sqrt(expected.size)
    )
