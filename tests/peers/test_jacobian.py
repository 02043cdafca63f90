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
    """Of the last layer, for the first sample of a batch by itself. With batch norm there are four,
    elsewhere one."""
    network = (NETWORKS | OF_KINDS)[name]
    batch = 4 if train and "batch_norm" in str(network.form()) else 1
    require_jacobian(network, batch, train=train)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_few_samples_of_a_convolution_and_batch_norm(batch):
    require_jacobian((NETWORKS | OF_KINDS)["batch_norm (3, 2)"], batch, train=True)


def require_jacobian(network, batch, *, train):
    """Compare the Jacobian and its singular values with those of PyTorch and numpy."""
    inputs = DrawnInputs("normal", network.input.units, batch, 0.1, 1.2)
    sampler = Repeated(
        network, inputs, TRIAL + 1, SEED, "float64",
        train=train, depth=network.depth, copies=16,
    )  # fmt: skip
    shape = network.block.shape([network.input])
    (found,) = jacobians(sampler, TRIAL, [network.depth], [shape])
    twin = twin_of(network, batch, trial=TRIAL, seed=SEED, dtype="float64", train=train)
    if train:  # no running averages, which are kept in place
        torch.func.replace_all_batch_norm_modules_(twin)
    x = tensor(sampler.one_batch(TRIAL))
    whole = torch.func.jacrev(lambda own: twin.body(torch.cat([own, x[1:]]))[0])(x[:1])
    expected = whole.reshape(shape.units, network.input.units).detach().numpy()
    allowed = tolerance(network, "float64") * float(np.abs(expected).max())
    own = found.values * math.exp(0.5 * found.log)
    np.testing.assert_allclose(own, expected, rtol=0.0, atol=allowed)
    values = np.linalg.svd(expected, compute_uv=False)
    np.testing.assert_allclose(
        singular_values(found), values, rtol=0.0, atol=allowed * math.sqrt(expected.size)
    )
