"""A kind of layer that raises, or does not do what it says, is an error with its path."""

from __future__ import annotations

import math
import re
from functools import partial

import numpy as np
import pytest

from snstat.engine.general.footprint import footprint
from snstat.engine.general.sample import sample_network
from snstat.engine.general.samplers import samplers
from snstat.errors import LayerError
from snstat.experiment.inputs import DrawnInputs
from snstat.layers.block import Block
from snstat.layers.dense import Dense
from snstat.layers.draw import Pass
from snstat.layers.entry import Entry
from snstat.layers.layer import Layer
from snstat.layers.scale import Scale
from snstat.layers.shape import Shape
from snstat.layers.signal import Step
from snstat.network.network import Network
from snstat.theory.walk import walk

WIDTH, BATCH = 6, 5


class Faulty(Layer):
    """The identity, with a method of this name that does something else."""

    kind = "faulty"

    def __init__(self, name="", does=None):
        self.name, self.does = name, does

    def shape(self, inputs):
        return self._done("shape", inputs[0])

    def moments(self, inputs, batch):  # noqa: ARG002
        pull = partial(self._done, "back")
        return self._done("moments", Step(inputs, inputs[0], lambda slope: pull((slope,))))

    def spread(self, step, inputs):  # noqa: ARG002
        return self._done("spread", inputs[0].times(1.0))

    def parameters(self, inputs):  # noqa: ARG002
        return self._done("parameters", 0)

    def evaluated(self):
        return self._done("evaluated", self)

    def matrices(self, inputs):  # noqa: ARG002
        return self._done("matrices", ())

    def gathered(self, inputs):  # noqa: ARG002
        return self._done("gathered", 0)

    def sample(self, inputs, draw):
        if self.name == "draw":
            return self.does(inputs[0], draw)
        values = self._done("sample", inputs[0])
        return Pass(values, lambda slope: self._done("pull", (slope,)))

    def _done(self, method, found):
        return self.does(found) if method == self.name else found


def no_luck(_):
    raise ZeroDivisionError("no luck")


def network_of(name, does):
    bad = Entry(Faulty(name, does), name="bad")
    return Network(Shape(WIDTH), Block((Entry(Scale()), Entry(Block((Entry(Scale()), bad), 3)))))


def use(name, does):
    """Sample a network with a faulty layer, the second one of a block, both ways, after theory in
    both modes."""
    network, inputs = network_of(name, does), DrawnInputs("normal", WIDTH, BATCH, 0.1, 1.0)
    assert network.parameters == 0
    for train in (True, False):
        walk(network, BATCH, inputs.moments(), train=train)
    options = {"seed": 0, "dtype": "float64", "sampler": "dense", "backward": True}
    return sample_network(network, inputs, trials=2, **options)


def test_what_does_as_it_says_is_sampled():
    assert use("", None).estimate.shape[0] == 8


def test_the_way_back_ends_at_a_gradient_that_is_not_finite():
    """Of the layers 2.. of a block of two, three times, the last is the kind that returns it."""
    for value in (math.inf, math.nan):
        found = use("pull", lambda slopes, value=value: (np.full_like(slopes[0], value),))
        expected = [math.nan] * 6 + [value, 0.0]
        np.testing.assert_array_equal(found.log_gradient, [expected] * 2)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *((name, "1.0.bad") for name in ("shape", "parameters", "moments", "spread", "sample")),
        # The way back begins with the last repetition, and modes have no repetitions.
        *(("back", "1.2.bad"), ("pull", "1.2.bad"), ("evaluated", "1.bad")),
    ],
)
def test_a_kind_that_raises_is_an_error_with_its_path(name, path):
    words = f"layer {path}: fails with ZeroDivisionError: no luck"
    with pytest.raises(LayerError, match=re.escape(words)):
        use(name, no_luck)


def memory(network):
    inputs = DrawnInputs("normal", WIDTH, BATCH, 0.1, 1.0)
    footprint(network, inputs, trials=2, dtype="float64", threads=1, backward=True)


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("matrices", memory),
        ("gathered", memory),
        ("matrices", lambda network: samplers(network, BATCH)),
        ("matrices", lambda network: samplers(network, BATCH, numbers=[3])),
    ],
)
def test_what_is_asked_before_sampling_is_an_error_with_its_path_too(name, ask):
    ask(network_of("", None))
    with pytest.raises(LayerError, match=r"layer 1\.0\.bad: fails with ZeroDivisionError: no luck"):
        ask(network_of(name, no_luck))


@pytest.mark.parametrize(
    ("name", "does", "words"),
    [
        ("shape", lambda shape: shape.channels, "1.0.bad: shape is 6, but must be a Shape"),
        ("shape", lambda _: None, "1.0.bad: shape is None, but must be a Shape"),
        # Of the right number of units, a transposed array could be taken for values.
        ("sample", lambda x: x.T, "1.0.bad: shape of the values is (5, 6), but must be (6, 5), as"),
        ("sample", lambda x: x[:3], "1.0.bad: shape of the values is (3, 5), but must be (6, 5)"),
        ("sample", lambda x: x[..., None], "1.0.bad: shape of the values is (6, 5, 1), but"),
        ("sample", lambda _: 1.0, "1.0.bad: shape of the values is (), but must be (6, 5)"),
        ("sample", lambda _: "x", "1.0.bad: fails with ValueError"),
        # What numpy would stretch over the batch.
        ("pull", lambda s: (s[0][:, :1],), "1.2.bad: shape of the gradient is (6, 1), but must be"),
        ("pull", lambda _: (), "1.2.bad: number of gradients is 0, but must be 1, one for each"),
        ("pull", lambda s: s * 2, "1.2.bad: number of gradients is 2, but must be 1"),
        ("pull", lambda _: None, "1.2.bad: fails with TypeError"),
    ],
)
def test_a_kind_that_does_not_do_as_it_says_is_an_error_with_its_path(name, does, words):
    with pytest.raises(LayerError, match=re.escape(f"layer {words}")):
        use(name, does)


def test_a_kind_that_draws_wrongly_is_an_error_with_its_path():
    def greedy(_, draw):
        while True:
            draw.uniform((1,))

    with pytest.raises(LayerError, match=r"layer 1\.0\.bad: draws .*at most 256"):
        use("draw", greedy)
    # Weights that do not fit the input.
    with pytest.raises(LayerError, match=r"layer 1\.0\.bad: .*7"):
        use("draw", lambda x, draw: draw.linear(x, Dense(4).at(len(x) + 1)))
