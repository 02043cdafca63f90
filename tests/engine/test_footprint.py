"""The memory estimate, compared with the arrays that a simulation makes."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numba import config

from snstat import layers as L  # noqa: N812  # as users write it
from snstat.engine.general import footprint as footprint_module
from snstat.engine.general import sampler
from snstat.engine.general.footprint import footprint
from snstat.engine.general.sample import sample_network
from snstat.engine.simulate import simulate
from snstat.experiment.inputs import DrawnInputs
from snstat.experiment.plan import Plan
from snstat.layers.dense import Dense
from snstat.layers.highway import Highway
from snstat.layers.shape import Shape
from snstat.network.network import Network


def peak(call):
    """Return the bytes that a call takes at most, the second time: the first compiles."""
    call()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def taken_and_counted(network, inputs):
    """Return the bytes that a forward run takes, and one that goes back too; and those counted."""
    options = {"trials": 1, "dtype": "float32", "threads": 1}
    taken, counted = [], []
    for backward in (False, True):
        more = options | {"backward": backward}
        most = peak(partial(sample_network, network, inputs, seed=0, sampler="dense", **more))
        taken.append(most)
        counted.append(footprint(network, inputs, **more)[0])
    return taken, counted


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="needs arrays larger than all else")
@pytest.mark.parametrize("backward", [False, True])
def test_the_footprint_counts_the_arrays_of_python_functions(backward):
    def slope(z):
        t = np.tanh(z)
        return 1.0 - t * t

    options = {"trials": 1, "dtype": "float32", "sampler": "dense", "threads": 1}
    taken = []
    for activation in ("tanh", (np.tanh, slope)):
        plan = Plan.build(activation, 2, width=50, batch=2000, backward=backward, **options)
        rest = {"seed": 0, "backward": backward}
        most = peak(partial(simulate, plan.stack, plan.inputs, **options, **rest))
        taken.append((most, plan.footprint("dense")))
    (least, plain), (own, counted) = taken
    state = 50 * 2000 * 4
    # Functions take more than one state more, and what is counted is enough but for small things.
    assert own - least > state
    assert counted - plain >= own - least - 0.1 * state
    assert own <= counted <= 2 * own


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="needs arrays larger than all else")
@pytest.mark.parametrize("kind", [Dense, Highway])
def test_the_footprint_counts_matrices_that_are_made_whole(kind):
    width = 500
    layer = {Dense: Dense(width, "tanh"), Highway: Highway("tanh")}[kind]
    inputs = DrawnInputs("normal", width, 2, 0.0, 1.0)
    options = {"trials": 1, "dtype": "float32", "threads": 1, "backward": True}
    taken = []
    for weights in ("plain", "normalized"):
        network = Network(width, replace(layer, weights=weights))
        rest = {"seed": 0, "sampler": "dense"}
        most = peak(partial(sample_network, network, inputs, **options, **rest))
        taken.append((most, footprint(network, inputs, **options)[0]))
    (least, plain), (own, counted) = taken
    matrix = width * width * 4
    # A normalized matrix takes more than one of float32, and what is counted is enough but for the
    # tiles of a plain one, which are less than half a matrix.
    assert own - least > matrix
    assert counted - plain >= own - least - 0.5 * matrix
    assert counted <= 2 * own


BACK = {
    "residual": L.repeat(20, L.residual(L.LayerNorm(), L.Dense(800, "relu"), L.Dense(200))),
    "batch norm": L.repeat(25, L.Dense(200), L.BatchNorm(), L.Activation("relu")),
    "highway": L.repeat(40, L.Highway("tanh")),
    "dropout": L.repeat(40, L.Dense(200, "selu"), L.AlphaDropout(0.1)),
}


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="needs arrays larger than all else")
@pytest.mark.parametrize("name", list(BACK))
@pytest.mark.parametrize("room", [0, 2**40])
def test_the_footprint_counts_what_the_way_back_keeps(name, room, monkeypatch):
    """Everything where there is room, else marks and one segment of √depth layers."""
    for module in (sampler, footprint_module):
        monkeypatch.setattr(module, "HISTORY_BYTES", room)
    network, state = Network(200, BACK[name]), 4 * 200 * 500
    inputs = DrawnInputs("normal", 200, 500, 0.0, 1.0)
    taken, counted = taken_and_counted(network, inputs)
    for own, least in zip(taken, counted, strict=True):
        assert own <= least + 0.1 * state
    more, said = taken[1] - taken[0], counted[1] - counted[0]
    assert said / 4 <= more


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="needs arrays larger than all else")
@pytest.mark.parametrize("room", [0, 2**40])
def test_the_footprint_counts_what_every_token_reads_of_every_other(room, monkeypatch):
    """On the way back too, where every layer keeps it, or those of one segment."""
    for module in (sampler, footprint_module):
        monkeypatch.setattr(module, "HISTORY_BYTES", room)
    tokens, batch, heads = 120, 8, 6
    network = Network(Shape(24, (tokens,)), L.repeat(9, L.Attention(heads=heads, dropout=0.1)))
    inputs = DrawnInputs("normal", 24 * tokens, batch, 0.0, 1.0)
    weights = 4 * batch * heads * tokens**2
    taken, counted = taken_and_counted(network, inputs)
    for own, least in zip(taken, counted, strict=True):
        assert own <= least + 0.1 * weights
        assert least <= 2 * own
    # Twice nine, or those of three layers, less what the forward pass has too.
    assert taken[1] - taken[0] > (16 if room else 4) * weights
