"""Fluctuations between networks of one width, layer by layer."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from snstat.experiment.inputs import DrawnInputs
from snstat.layers.activation import Activation
from snstat.layers.block import Block
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.law import OTHER
from snstat.layers.no_theory import NoTheory
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal
from snstat.layers.spread import Spread
from snstat.network.network import Network
from snstat.network.stack import Stack
from snstat.theory.fluctuations import follow, input_spread
from snstat.theory.layer_moments import Moments
from snstat.theory.predict import input_gap, predict

START = Spread(0.02, 0.01, 0.001, 1e-5, 3.0)


@pytest.mark.parametrize(
    "stack",
    [
        Stack.build("selu", 6, 64),
        Stack.build("relu", 6, 50, init="he_uniform", bias_std=0.3, input_width=30),
        Stack.build("tanh", 6, 40, init="glorot_truncated"),
        Stack.build("gelu", widths="20,60,60,30", init="orthogonal", bias_std=0.2),
        Stack.build("relu", 4, 8, weight_gain=0.0),
    ],
    ids=lambda stack: f"{stack.activation}-{stack.init}",
)
def test_layers_carry_the_fluctuations_that_theory_follows(stack):
    batch, inputs = 8, DrawnInputs("normal", stack.width_of(0), 8, 0.3, 1.0).moments()
    theory = predict(stack, batch, inputs)
    known = follow(stack, batch, inputs, theory, Moments(stack, theory, backward=False))
    moments = inputs.mean, inputs.second_moment, input_gap(batch, inputs)
    state = Signal.of_one(Shape(stack.width_of(0)), moments, OTHER)
    spread = input_spread(stack.width_of(0), inputs)
    for row in Network.of(stack).rows():
        layer = row.layer.at(state.shape.channels)
        second = np.array([state.same[0, 0]])
        share = float(layer.share(second, layer.pre_second_moment(second))[0])
        found = layer.spread(share, spread)
        expected = [getattr(known, entry.name)[row.number] for entry in fields(known)]
        # E[ψ₁²ψ₂²] of linear and of homogeneous activations is not integrated there as it is here.
        close = [1e-7 if entry.name == "pair" else 1e-9 for entry in fields(known)]
        for mine, theirs, rel in zip(found, expected, close, strict=True):
            assert mine == pytest.approx(theirs, rel=rel, abs=1e-16, nan_ok=True)
        step = row.layer.moments([state], batch)
        state, spread = step.signal, row.layer.spread(step, [spread])


def test_an_activation_needs_the_gaussian_that_its_input_is_drawn_from():
    state = Signal.of_one(Shape(20), (0.0, 1.0, 0.5), OTHER)
    linear, joint = Dense(20, init="he_normal"), Dense(20, "relu")
    step = linear.moments([state], 8)
    assert linear.spread(step, [START]).given is not None
    then = Activation("relu").moments([step.signal], 8)
    apart = Activation("relu").spread(then, [linear.spread(step, [START])])
    together = joint.spread(joint.moments([state], 8), [START])
    assert apart.detailed
    assert apart._replace(detailed=False) == together
    # After a function of a Gaussian nothing is known.
    assert isinstance(
        Activation("relu").spread(replace(then, inputs=(then.signal,)), [apart]), NoTheory
    )


def test_pairs_of_samples_are_not_known_where_networks_differ_much():
    layer, state = Dense(20, "relu"), Signal.of_one(Shape(20), (0.0, 1.0, 0.5), OTHER)
    found = layer.spread(layer.moments([state], 8), [START._replace(variance=4.1)])
    assert np.isfinite(found.variance)
    assert np.isnan(found.pair)


def test_a_block_carries_them_over_its_turns():
    layer, state = Dense(20, "tanh"), Signal.of_one(Shape(20), (0.0, 1.0, 0.5), OTHER)
    block = Block((Entry(layer),), 7)
    found = block.spread(block.moments([state], 8), [START])
    expected = START
    for _ in range(7):
        step = layer.moments([state], 8)
        state, expected = step.signal, layer.spread(step, [expected])
    assert found[:5] == pytest.approx(expected[:5], rel=1e-12)


@pytest.mark.parametrize("times", [2, 300])
def test_the_response_of_a_block_is_the_product_over_its_turns(times):
    """Of 300, the last half repeats one that has settled."""
    layer, state = Dense(64, "selu"), Signal.of_one(Shape(64), (0.0, 1.0, 1.0), OTHER)
    block = Block((Entry(layer),), times)
    found = block.spread(block.moments([state], 8), [START])
    spread, product = START, 1.0
    for _ in range(times):
        step = layer.moments([state], 8)
        state, spread = step.signal, layer.spread(step, [spread])
        product *= spread.responses[0]
    # What has settled differs from where it settles by rounding, in each of the turns.
    assert found.responses == pytest.approx((product,), rel=1e-9, abs=0.0)


def test_a_long_block_ends_where_they_have_settled():
    layer, state = Dense(64, "selu"), Signal.of_one(Shape(64), (0.0, 1.0, 1.0), OTHER)
    deep, deeper = (Block((Entry(layer),), times) for times in (3000, 10**9))
    found = [block.spread(block.moments([state], 8), [START]) for block in (deep, deeper)]
    assert found[0][:5] == pytest.approx(found[1][:5], rel=1e-12)


def test_a_block_follows_its_own_input_beside_those_outside():
    """Of what is read from outside nothing comes after."""
    layer, state = Dense(20, "tanh"), Signal.of_one(Shape(20), (0.0, 1.0, 0.5), OTHER)
    block = Block((Entry(Scale(2.0), (-1,)), Entry(layer, (0,))))
    others = [START, START._replace(variance=0.4)]
    found = block.spread(block.moments([state, state], 8), others)
    expected = layer.spread(layer.moments([state], 8), [START])
    assert found[:5] == pytest.approx(expected[:5], rel=1e-12)
