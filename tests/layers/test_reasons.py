"""What theory does not know has a reason in plain words: every kind is asked, and every null."""

from __future__ import annotations

import itertools
import math
import re
from functools import cache

import numpy as np
import pytest

from snstat.errors import SnstatError
from snstat.experiment.inputs import DrawnInputs
from snstat.gaussian import pairs
from snstat.layers.activation import Activation
from snstat.layers.add import Add
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.block import Block
from snstat.layers.concat import Concat
from snstat.layers.container import Container
from snstat.layers.conv import Conv
from snstat.layers.dense import Dense
from snstat.layers.elman import Elman
from snstat.layers.entry import Entry
from snstat.layers.flatten import Flatten
from snstat.layers.global_mean_pool import GlobalMeanPool
from snstat.layers.group_norm import GroupNorm
from snstat.layers.law import GAUSSIAN, OTHER, ZERO
from snstat.layers.max_pool import MaxPool
from snstat.layers.mean_pool import MeanPool
from snstat.layers.no_theory import NoTheory
from snstat.layers.registry import KINDS, kind
from snstat.layers.shape import Shape
from snstat.layers.signal import PLACE, Signal
from snstat.layers.upsample import Upsample
from snstat.network.network import Network
from snstat.results.theory_end import (
    OF_GRADIENT,
    OF_PAIRS,
    OF_SAMPLES,
    OF_SIGNAL,
    OF_SIZE,
    OF_WIDTH,
)
from snstat.theory.ends import ends_at_width, told
from snstat.theory.expected import expected_statistics
from snstat.theory.walk import walk
from tests.layers.kinds import INPUTS, fed, grids_of, layer_of, shape_of

LONGEST = 80
# Words as they follow a colon: no name of code, and no end of a sentence.
PLAIN = re.compile(r"(?!None)[a-z0-9E][^_\n.`]*(\w|\))")


# One kind asks for the same expectation on every grid, and those of huge variances take a second.
EXPECTATION = cache(pairs._expectation)


@pytest.fixture(autouse=True)
def expectations_once(monkeypatch):
    monkeypatch.setattr(pairs, "_expectation", EXPECTATION)


def started(shape, *, mean=0.0, same=None, gap=None, law=GAUSSIAN, fresh=None):
    """Return a signal whose positions are alike and independent."""
    own = np.eye(shape.positions)
    same = own + mean**2 if same is None else same
    fresh = frozenset((object(),)) if fresh is None else fresh
    return Signal(
        shape, np.full(len(own), mean), same, 0.5 * own if gap is None else gap, law, fresh
    )


def states(shape):
    """Yield signals of a shape that one kind or another cannot go on from."""
    own = np.eye(shape.positions)
    yield started(shape)
    yield started(shape).alone
    yield started(shape, law=OTHER)
    yield started(shape, mean=0.5, law=OTHER, fresh=frozenset((PLACE,)))
    yield started(shape, mean=0.5)
    yield started(shape, gap=math.nan * own)
    yield started(shape, gap=0.0 * own)
    yield started(shape, same=1e150 * own)
    yield started(shape, same=0.0 * own, gap=0.0 * own, law=ZERO)
    yield started(shape, same=np.diag(np.arange(1.0, len(own) + 1.0)), law=OTHER)


def reasons(name):
    """Return why theory does not know the layer of a kind, in all states that it may follow."""
    count, found = INPUTS.get(name, 1), set()
    for grid, channels in itertools.product(grids_of(name), (None, 64)):
        shape = shape_of(name, grid)
        shape = shape if channels is None or shape.tokens else Shape(channels, shape.grid)
        layer = layer_of(name, shape.channels)
        if name == "group_norm":
            layer = layer.turned("groups", math.gcd(shape.channels, 4))
        for state, batch in itertools.product(states(shape), (1, 8)):
            step = layer.moments([state] * count, batch)
            if isinstance(step, NoTheory):
                found.add(step.why)
            else:
                found |= {step.why, step.why_pairs, step.why_gradient} - {""}
    return found


@pytest.mark.parametrize("name", [n for n in KINDS if not issubclass(kind(n), Container)])
def test_what_a_kind_does_not_know_it_says_in_plain_words(name):
    for why in reasons(name):
        assert PLAIN.fullmatch(why), why
        assert len(why) <= LONGEST


def test_kinds_without_theory_have_one_reason_each():
    without = {n: reasons(n) for n in ("max_pool", "lstm", "gru", "instance_norm")}
    assert all(len(found) == 1 for found in without.values())


def walked_on(network, batch=6):
    moments = DrawnInputs("normal", network.input.units, batch, 0.0, 1.0).moments()
    found = walk(network, batch, moments)
    expected = expected_statistics(found, batch, moments)
    theory = {
        "second_moment": found.second_moment,
        "mean": found.mean,
        "variance": found.second_moment - found.mean**2,
        "variance_over_units": found.over_units,
    }
    at_width = {name: value for name, (value, _) in expected.items()}
    return found, expected, [*found.ends, *ends_at_width(found.variance, theory, at_width)]


def unexplained(network, batch=6):
    """Return the names of what theory of a network does not know and gives no reason for."""
    found, expected, ends = walked_on(network, batch)
    several = [1, *(row.after.positions for row in network.rows())]
    several[0] = network.input.positions
    known = ~np.isnan(found.second_moment)
    columns = {
        OF_SIGNAL: ~known,
        OF_SIZE: np.isnan(found.mean) & known,
        OF_SAMPLES: np.isnan(found.gap) & known,
        OF_PAIRS: np.isnan(found.over_positions) & known & (np.array(several) > 1),
        OF_GRADIENT: np.isnan(found.log_gradient),
        OF_WIDTH: np.any([np.isnan(value) for value, _ in expected.values()], axis=0) & known,
    }
    if network.input.tokens:  # which have no statistics, and no gradient
        for missing in columns.values():
            missing[0] = False
    lacking = []
    for name, missing in columns.items():
        layers = [end.layer for end in ends if end.of == name]
        for layer in np.flatnonzero(missing):
            back = name == OF_GRADIENT
            if not any(layer <= own if back else own <= layer for own in layers):
                lacking.append((name, int(layer)))
    for end in ends:
        assert PLAIN.fullmatch(end.reason), end
    return lacking


@pytest.mark.parametrize(("name", "grid"), [(n, grid) for n in KINDS for grid in grids_of(n)])
def test_every_null_behind_a_kind_has_a_reason(name, grid):
    """In front of an activation, and behind one."""
    shape = shape_of(name, grid)
    for after in ((Entry(Activation("relu")),), (Entry(Dense(5, "relu")), Entry(Add(), (-1, -2)))):
        own = fed(name).entries
        ends = tuple(
            Entry(entry.layer, tuple(len(own) + 1 + place for place in entry.inputs))
            for entry in after
        )
        try:
            network = Network(shape, Block((*own, *ends)))
        except SnstatError:  # shapes that do not add
            continue
        assert not unexplained(network)


def chain(*layers):
    return Block(tuple(Entry(layer) for layer in layers))


def on_grid(channels, positions, *layers):
    return Network(Shape(channels, (positions,)), chain(*layers))


CONV, MANY = Conv(channels=4, kernel=1), "more than 4,096 positions"
NORMED, NARROW = (Dense(4), BatchNorm(), Dense(4)), (Dense(32), GroupNorm(groups=2))
POOLED = on_grid(4, 4, CONV, MaxPool(2), Flatten())
LONG = on_grid(4, 4097, CONV, GlobalMeanPool())
FAINT = Network(4, chain(Dense(4, weight_gain=1e-80), Dense(4, weight_gain=1e-80)))
WILD = Network(1, chain(Dense(1, "sine:30", weight_gain=3.0), Dense(1)))


@pytest.mark.parametrize(
    ("network", "of", "layer", "reason"),
    [
        (Network(64, chain(BatchNorm())), OF_SIGNAL, 1, "it follows values that are not Gaussian"),
        (Network(64, chain(*NORMED)), OF_GRADIENT, 1, "of 3 samples or fewer"),
        (Network(64, chain(*NARROW)), OF_SIGNAL, 2, "theory needs 32 channels a group"),
        (POOLED, OF_SIGNAL, 2, "the law of a maximum is not one of a few moments"),
        (POOLED, OF_GRADIENT, 1, "theory of the signal ends at layer 2"),
        (LONG, OF_PAIRS, 0, MANY),
        (LONG, OF_SIGNAL, 2, "pairs of positions are not followed"),
        (on_grid(2, 3, Upsample(1366)), OF_PAIRS, 1, MANY),
        (on_grid(4, 600, CONV), OF_PAIRS, 0, "no layer needs so many pairs"),
        (on_grid(4, 4, Elman(width=4), MeanPool(2)), OF_PAIRS, 1, "weights that are shared over"),
        (on_grid(4, 4, CONV), OF_WIDTH, 1, "first order in 1/width is not derived on grids"),
        (FAINT, OF_SIZE, 2, "second moments are so small"),
        (WILD, OF_WIDTH, 1, "networks differ too much for first order in 1/width"),
    ],
)
def test_where_theory_ends_and_why(network, of, layer, reason):
    *_, ends = walked_on(network, 3)
    assert any(
        (end.of, end.layer) == (of, layer) and end.reason.startswith(reason) for end in told(ends)
    )
    assert not unexplained(network, 3)


def test_several_ends_are_said_each_once():
    """Of two branches with one reason, the first; turns of a block end at the first of them."""
    pool = Block((Entry(Conv(channels=4, kernel=3)), Entry(MaxPool(2, 1))), 3)
    network = Network(
        Shape(4, (9,)),
        Block((Entry(pool, (0,)), Entry(pool, (0,)), Entry(Concat(), (1, 2)))),
    )
    *_, ends = walked_on(network)
    assert [end.layer for end in ends if end.of == OF_SIGNAL] == [2, 8]
    assert [end.layer for end in told(ends) if end.of == OF_SIGNAL] == [2]
