"""Every kind of layer, and whole networks, have the values and gradients of their PyTorch twins."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from snstat.engine.general.sampler import General, Walk
from snstat.errors import SnstatError
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.block import Block
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.registry import KINDS
from snstat.layers.shape import Shape
from snstat.network.network import Network
from tests.layers.kinds import INPUTS, layer_of
from tests.peers.kinds import MODULES
from tests.peers.networks import NETWORKS, tangled, tolerance
from tests.peers.twin import CONTAINERS, array, tensor, twin_of

pytestmark = pytest.mark.peers

# The second trial, so that what is drawn depends on its number.
BATCH, SEED, TRIAL = 7, 3, 1
MODES = pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
GRIDS = [(), (7,), (3, 2)]


def compare(network, dtype, *, train):
    """Compare values and gradients of all layers, for one read-out."""
    inputs = DrawnInputs("normal", network.input.units, BATCH, 0.1, 1.2)
    sampler = General(network, inputs, TRIAL + 1, SEED, dtype, train=train)
    x = sampler.first(TRIAL)
    walk, ours, links = Walk(sampler, TRIAL, {0: x}), [x], []
    for number in range(1, network.depth + 1):
        links.append(walk.step()[0])
        ours.append(walk.values[number])
    twin = twin_of(network, BATCH, trial=TRIAL, seed=SEED, dtype=dtype, train=train)
    theirs = twin.layers(tensor(x).requires_grad_())
    assert len(theirs) == len(ours)
    read_out = np.random.default_rng(0).normal(size=ours[-1].shape).astype(dtype)
    loss = (theirs[-1] * tensor(read_out)).sum()
    expected = torch.autograd.grad(loss, theirs, allow_unused=True, materialize_grads=True)
    found = pulled(links, read_out, ours)
    allowed = tolerance(network, dtype)
    names = ["input", *(f"{row.name} {row.layer.kind}" for row in network.rows())]
    for values, wanted in ((ours, theirs), (found, expected)):
        for name, own, other in zip(names, values, map(array, wanted), strict=True):
            size = float(np.abs(other).max())
            np.testing.assert_allclose(own, other, rtol=0.0, atol=allowed * size, err_msg=name)


def pulled(links, read_out, values):
    """Return ∂L/∂(values of a layer) of all layers, for L = Σ read_out · (values of the last)."""
    slopes = [np.zeros_like(own) for own in values]
    slopes[-1] = read_out
    for link in reversed(links):
        for source, part in zip(link.sources, link.pull(slopes[link.number]), strict=True):
            slopes[source] = slopes[source] + part
    return slopes


def alone(name, grid):
    """Return a network of one layer of a kind, with dense layers for its other inputs. Raises
    SnstatError for a grid that does not fit the kind."""
    count = INPUTS.get(name, 1)
    others = [Entry(Dense(5, "tanh"), (0,)) for _ in range(count - 1)]
    last = Entry(layer_of(name), tuple(range(count)))
    return Network(Shape(5, grid), Block((*others, last)))


def fits(name, grid):
    try:
        return bool(alone(name, grid))
    except SnstatError:
        return False


def test_every_kind_has_a_twin():
    missing = sorted(KINDS.keys() - MODULES.keys() - CONTAINERS.keys())
    assert not missing, f"add {missing} to MODULES of tests/peers/kinds.py"
    assert (MODULES.keys() | CONTAINERS.keys()) <= KINDS.keys()
    assert {name for name in KINDS for grid in GRIDS if fits(name, grid)} == {*KINDS}


@MODES
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "grid"), [(name, grid) for name in KINDS for grid in GRIDS if fits(name, grid)]
)
def test_a_kind_equals_its_twin(name, grid, dtype, train):
    compare(alone(name, grid), dtype, train=train)


@MODES
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_equals_its_twin(name, dtype, train):
    compare(NETWORKS[name], dtype, train=train)


@MODES
@pytest.mark.parametrize("seed", range(12))
def test_a_random_network_equals_its_twin(seed, train):
    compare(tangled(seed), "float64", train=train)
