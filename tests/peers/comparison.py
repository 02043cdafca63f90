"""A network and its PyTorch twin: values and gradients of all layers."""

from __future__ import annotations

import numpy as np
import torch

from snstat.engine.general.sampler import General, Walk
from snstat.experiment.inputs import DrawnInputs, DrawnTokens
from tests.peers.networks import tolerance
from tests.peers.twin import array, tensor, twin_of

# The second trial, so that what is drawn depends on its number.
BATCH, SEED, TRIAL = 7, 3, 1


def compare(network, dtype, *, train):
    """Compare values and gradients of all layers, for one read-out."""
    units, tokens = network.input.units, network.input.tokens
    inputs = DrawnInputs("normal", units, BATCH, 0.1, 1.2)
    if tokens:
        inputs = DrawnTokens(units, BATCH, tokens)
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
    if tokens:  # which have no gradient
        assert np.isnan(found[0]).all()
        found[0] = np.zeros_like(found[0])
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
