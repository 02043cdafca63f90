"""The memory estimate, compared with the arrays that a simulation makes."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numba import config

from snstat import layers as L  # noqa: N812  # as users write it
from snstat.engine.draws import MIN_ROWS
from snstat.engine.footprint import footprint as stack_footprint
from snstat.engine.footprint import per_trial
from snstat.engine.general import footprint as footprint_module
from snstat.engine.general import sampler
from snstat.engine.general.footprint import footprint
from snstat.engine.general.sample import sample_network
from snstat.engine.simulate import simulate
from snstat.engine.strategies import STRATEGIES
from snstat.engine.strategy import Load
from snstat.experiment.inputs import DrawnInputs
from snstat.experiment.plan import Plan
from snstat.layers import recurrent
from snstat.layers.dense import Dense
from snstat.layers.highway import Highway
from snstat.layers.shape import Shape
from snstat.network.network import Network
from snstat.network.population import Population
from snstat.network.stack import Stack
from snstat.results import MEASURED


def peak(call):
    """Return the bytes that a call takes at most, the second time: the first compiles."""
    call()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def give_room(monkeypatch, room):
    """Let the way back keep so many bytes."""
    for module in (sampler, footprint_module):
        monkeypatch.setattr(module, "HISTORY_BYTES", room)


def taken_and_counted(network, inputs, sampler="dense", population=None):
    """Return the bytes that a forward run takes, and one that goes back too; and those counted."""
    options = {"trials": 1, "dtype": "float32", "threads": 1, "sampler": sampler}
    options |= {"population": population}
    taken, counted = [], []
    for backward in (False, True):
        more = options | {"backward": backward}
        taken.append(peak(partial(sample_network, network, inputs, seed=0, **more)))
        wide = network if population is None else population.wide
        counted.append(footprint(wide, inputs, **more)[0])
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


@pytest.mark.parametrize(("backward", "keep_trials", "values"), [
    (False, False, 0),
    # The logarithms of gradients, and what they are made of.
    (True, False, 2 * 5 * 30),
    # Every statistic of every layer and the input, in blocks and joined, and the gradient.
    (False, True, 2 * 3 * 5 * 31),
    (True, True, 2 * 5 * 30 + (2 * 3 + 1) * 5 * 31),
])  # fmt: skip
def test_what_is_kept_of_each_trial_is_counted_in_double_precision(backward, keep_trials, values):
    found = per_trial(5, 30, backward=backward, keep_trials=keep_trials, statistics=3)
    assert found == 8 * values


class Read:
    """Inputs whose file takes memory while it is read."""

    width, batch = 96, 16

    def reading_bytes(self):
        return 12_345.0


@pytest.mark.parametrize("activation", ["tanh", (np.tanh, np.cosh)])
@pytest.mark.parametrize("threads", [2, 8])
def test_the_footprint_of_a_stack_is_the_sum_of_its_arrays(activation, threads):
    """Of 5 trials: two run at once where there are two threads, and all of them where there are 8.
    Layers have 64 units, their input 96."""
    stack = Stack.build(activation, 30, 64, input_width=96)
    running, state, column = min(threads, 5), 96 * 16 * 4, 16 * 4
    # Of each trial and for each that runs; a tile of weights, here all of them, and a block of
    # units for each thread; and layer 0 as it is read.
    needed = (5 + running) * state
    needed += threads * (64 * 96 * 4 + min(state, MIN_ROWS * column))
    if activation != "tanh":
        needed += running * 3 * state  # what Python functions take, return and need
    needed += running * state
    needed += 5 * 2500 + 30 * 1000 + 12_345
    options = {"trials": 5, "dtype": "float32", "sampler": "dense", "threads": threads}
    assert stack_footprint(stack, Read(), backward=False, **options) == needed
    kept = stack_footprint(stack, Read(), backward=False, keep_trials=True, **options)
    assert kept - needed == 2 * len(MEASURED) * 5 * 31 * 8


@pytest.mark.parametrize(("threads", "running", "members"), [(2, 2, 1), (8, 5, 1), (20, 5, 4)])
def test_matrix_free_trials_take_squares_of_the_batch(threads, running, members):
    """A Gram matrix of each trial, a lower one and two roots of those that run, in double precision
    and once in single; and of each member of a team its sums and its product."""
    found = STRATEGIES["matrix-free"].bytes(Stack.build("tanh", 30, 64), Read(), Load(
        5, threads, 4, backward=False
    ))  # fmt: skip
    square = 16 * 16
    own = 5 * square * 8 + running * square * (3 * 8 + 4)
    assert found == own + running * members * square * (8 + 4)


def test_the_way_back_keeps_the_units_of_each_layer_but_the_input():
    stack, batch = Stack.build("tanh", widths="96,64,64,32"), 16
    inputs = DrawnInputs("normal", 96, batch, 0.0, 1.0)
    forward, both = (
        STRATEGIES["dense"].bytes(stack, inputs, Load(5, 2, 4, backward))
        for backward in (False, True)
    )
    # Those of all 5 trials; and the gradients of two layers for each of the two that run.
    assert both - forward == 5 * (64 + 64 + 32) * batch * 4 + 2 * 2 * 96 * batch * 4


GIBIBYTE = 2**30


def of_the_way_back(name, depth, threads):
    """Return the bytes that a strategy counts for gradients of 8 trials of 1,024 units with a batch
    of 256."""
    stack, inputs = Stack.build("tanh", depth), DrawnInputs("normal", 1024, 256, 0.0, 1.0)
    both = [
        STRATEGIES[name].bytes(stack, inputs, Load(8, threads, 4, backward))
        for backward in (False, True)
    ]
    return both[1] - both[0]


@pytest.mark.parametrize("threads", [2, 32])
def test_all_layers_are_kept_up_to_a_gibibyte(threads):
    """8 MiB of pre-activations a layer, or 2 of the factors of a Gram matrix: what is more is made
    again by segments, one state a segment and as many layers as that has."""
    running, members = min(threads, 8), max(1, threads // 8)
    state, square = 1024 * 256 * 4, 256 * 256
    gradients = running * 2 * state
    assert of_the_way_back("dense", 128, threads) == GIBIBYTE + gradients
    # √129 and √257 layers make segments of 11 and 16 layers, and 12 and 17 begin one.
    assert of_the_way_back("dense", 129, threads) == running * (2 * 11 + 2) * state + gradients
    # In double precision: what is carried from layer to layer, and a product of each member. In
    # single precision: matrices of a layer, and a product of each member.
    workspace = running * square * (9 * 8 + 3 * 4 + members * (4 * 8 + 4))
    # Normal numbers, pre-activations, activations and noise of all units.
    workspace += running * 4 * 1024 * 256 * 4
    assert of_the_way_back("matrix-free", 256, threads) == GIBIBYTE + workspace
    segments = running * (2 * 16 + 1) * square * 8
    assert of_the_way_back("matrix-free", 257, threads) == segments + workspace


@pytest.mark.parametrize(("name", "depth"), [("dense", 128), ("matrix-free", 256)])
def test_samplers_keep_what_is_counted(name, depth):
    inputs = DrawnInputs("normal", 1024, 256, 0.0, 1.0)
    for layers, kept in ((depth, GIBIBYTE), (depth + 1, 0)):
        stack = Stack.build("tanh", layers)
        network = STRATEGIES[name].sampler(stack, inputs, 8, 0, "float32", 1)
        network.remember()  # allocates, but touches no page
        found = network.kept if name == "dense" else network.histories
        assert (0 if found is None else found.nbytes) == kept


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
    give_room(monkeypatch, room)
    network, state = Network(200, BACK[name]), 4 * 200 * 500
    inputs = DrawnInputs("normal", 200, 500, 0.0, 1.0)
    taken, counted = taken_and_counted(network, inputs)
    for own, least in zip(taken, counted, strict=True):
        assert own <= least + 0.1 * state
    more, said = taken[1] - taken[0], counted[1] - counted[0]
    assert said / 4 <= more


CHANNELS, TIMES = 12, 400
OF_POSITIONS = {
    # A cell, drawn or not; what it keeps of all times, though it returns the last.
    "lstm": (L.Lstm(width=64, output="last"), "dense"),
    "gru": (L.Gru(width=64), "dense"),
    "elman without its matrices": (L.Elman(width=1500, init="lecun_normal"), "matrix-free"),
    "lstm without its matrices": (
        L.Lstm(width=700, init="lecun_normal", output="last"),
        "matrix-free",
    ),
    # Patches are put together, and not kept.
    "standardized": (L.repeat(8, L.Conv(channels=12, kernel=5, weights="standardized")), "dense"),
    "separable": (L.repeat(8, L.SeparableConv(channels=12, kernel=5)), "dense"),
}


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="needs arrays larger than all else")
@pytest.mark.parametrize("name", list(OF_POSITIONS))
@pytest.mark.parametrize("room", [0, 2**40])
def test_the_footprint_counts_what_layers_of_many_positions_keep(name, room, monkeypatch):
    give_room(monkeypatch, room)
    layer, how = OF_POSITIONS[name]
    batch, times = (1, 30) if how == "matrix-free" else (16, TIMES)
    network = Network(Shape(CHANNELS, (times,)), layer)
    inputs = DrawnInputs("normal", CHANNELS * times, batch, 0.0, 1.0)
    taken, counted = taken_and_counted(network, inputs, how)
    for own, least in zip(taken, counted, strict=True):
        assert own <= least <= 5 * own


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="needs arrays larger than all else")
def test_the_footprint_of_a_population_has_its_own_laws(monkeypatch):
    """Whose matrices need not be drawn, though those of the network do."""
    give_room(monkeypatch, 2**40)
    network = Network(Shape(CHANNELS, (30,)), L.Lstm(width=16), L.Dense(16))
    inputs = DrawnInputs("normal", CHANNELS * 30, 2, 0.0, 1.0)
    population = Population.of(network, 1200)
    taken, counted = taken_and_counted(network, inputs, "auto", population)
    drawn = 4 * 4 * 1200**2
    assert max(taken) < 4 * drawn  # W of four gates alone
    for own, least in zip(taken, counted, strict=True):
        assert own <= least <= 5 * own


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="needs arrays larger than all else")
def test_long_sequences_are_counted_by_segments(monkeypatch):
    """Forward: what a cell makes of 4,000 times is 40 times what it makes of a segment."""
    monkeypatch.setattr(recurrent, "SEGMENT", 100)
    network = Network(Shape(4, (4000,)), L.Lstm(width=64, output="last"))
    inputs = DrawnInputs("normal", 4 * 4000, 4, 0.0, 1.0)
    taken, counted = taken_and_counted(network, inputs)
    assert taken[0] <= counted[0] <= 6 * taken[0]
    assert counted[0] < counted[1] / 4


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="needs arrays larger than all else")
@pytest.mark.parametrize("room", [0, 2**40])
def test_the_footprint_counts_what_every_token_reads_of_every_other(room, monkeypatch):
    """On the way back too, where every layer keeps it, or those of one segment."""
    give_room(monkeypatch, room)
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
