"""Layers in order, put into blocks where paths join: the same network, of which more is known."""

from __future__ import annotations

import numpy as np
import pytest

from snstat.experiment.inputs import DrawnInputs
from snstat.layers.activation import Activation
from snstat.layers.add import Add
from snstat.layers.block import Block
from snstat.layers.concat import Concat
from snstat.layers.dense import Dense
from snstat.layers.dropout import Dropout
from snstat.layers.entry import Entry
from snstat.layers.layer_norm import LayerNorm
from snstat.layers.residual_block import Residual
from snstat.network.network import Network
from snstat.sources.nested import nested
from snstat.theory.walk import walk


def chain(first, count):
    """Return entries each of which starts from the one before, from number `first` + 1 on."""
    kinds = [LayerNorm(), Dense(16), Activation("relu"), Dense(16), Dropout(0.1)]
    return [Entry(kinds[n % 5], (first + n,)) for n in range(count)]


# x + f(x) twice, the second time with another one within, and a part beside which another one is.
RESIDUAL = [*chain(0, 5), Entry(Add(), (0, 5))]
TWO = [Entry(Dense(16), (0,)), *chain(1, 5), Entry(Add(), (6, 1)), *chain(7, 5),
       Entry(Add(), (7, 12)), Entry(Dense(3), (13,))]  # fmt: skip
WITHIN = [Entry(Dense(16), (0,)), Entry(Dense(16), (1,)), *chain(2, 5), Entry(Add(), (2, 7)),
          Entry(Dense(16), (8,)), Entry(Dropout(0.1), (9,)), Entry(Add(), (1, 10)),
          Entry(Dense(4), (11,))]  # fmt: skip
SHORTCUT = [Entry(Dense(16), (0,)), *chain(1, 5), Entry(Dense(16), (1,)), Entry(Add(), (6, 7)),
            Entry(Concat(), (8, 1)), Entry(Dense(4), (9,))]  # fmt: skip
CROSSED = [Entry(Dense(16), (0,)), Entry(Dense(16), (1,)), Entry(Dense(16), (2,)),
           Entry(Add(), (1, 3)), Entry(Dense(16), (4,)), Entry(Add(), (2, 5))]  # fmt: skip
TWICE = [Entry(Dense(16), (0,)), Entry(Add(), (1, 1)), Entry(Dense(4), (2,))]
ALL = {"residual": RESIDUAL, "two": TWO, "within": WITHIN, "shortcut": SHORTCUT,
       "crossed": CROSSED, "twice": TWICE}  # fmt: skip


def theory(entries):
    moments = DrawnInputs("normal", 16, 8, 0.0, 1.0).moments()
    return walk(Network(16, Block(tuple(entries))), 8, moments)


@pytest.mark.parametrize("name", ALL)
def test_theory_is_that_of_the_same_layers_in_one_block(name):
    flat, parts = theory(ALL[name]), theory(nested(ALL[name]))
    for column in ("mean", "second_moment", "gap", "log_gradient"):
        np.testing.assert_allclose(getattr(parts, column), getattr(flat, column), rtol=1e-12)
    # To first order in 1/width, no less is known, and nothing else.
    known = np.isfinite(flat.variance)
    np.testing.assert_allclose(parts.variance[known], flat.variance[known], rtol=1e-12)


def test_more_is_known_after_sums():
    assert np.isfinite(theory(nested(TWO)).variance).all()
    assert not np.isfinite(theory(TWO).variance).all()


def kinds(entries):
    """Return the kinds of layers, those within others in lists."""
    found = []
    for entry in entries:
        if isinstance(entry.layer, Residual | Block):
            found.append([entry.layer.kind, *kinds(entry.layer.entries)])
        else:
            found.append(entry.layer.kind)
    return found


def test_a_sum_with_what_was_before_is_a_residual():
    parts = ["layer_norm", "dense", "activation", "dense", "dropout"]
    assert kinds(nested(TWO)) == ["dense", ["residual", *parts], ["residual", *parts], "dense"]
    inner = ["residual", "dense", ["residual", *parts], "dense", "dropout"]
    assert kinds(nested(WITHIN)) == ["dense", inner, "dense"]


def test_other_joins_are_blocks():
    parts = ["layer_norm", "dense", "activation", "dense", "dropout"]
    inner = ["block", "block", *parts, "dense", "add"]
    assert kinds(nested(SHORTCUT)) == ["dense", [inner[0], inner[1:], "concat"], "dense"]
    assert kinds(nested(CROSSED)) == ["dense", ["block", *["dense"] * 2, "add", "dense", "add"]]


def test_layers_after_the_one_before_say_no_input():
    assert [entry.inputs for entry in nested(chain(0, 3))] == [(), (), ()]
