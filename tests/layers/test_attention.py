"""Attention, against loops over samples, heads and tokens; its weights, and what it keeps."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.errors import InvalidValueError, NetworkFormError
from snstat.layers.attention import Attention
from snstat.layers.dense import Dense
from snstat.layers.initialisers import INITIALISERS
from snstat.layers.shape import Shape
from snstat.network.network import Network
from tests.layers.plain_draw import PlainDraw

CHANNELS, BATCH, TOKENS, HEADS = 6, 2, 5, 3
READ = Shape(4, (7,))
# Its own input, what is not after a token of it, and a memory of other channels and length.
FORMS = {"self": {}, "causal": {"causal": True}, "cross": {}}
EVERY = pytest.mark.parametrize("form", FORMS)
DROPOUT = pytest.mark.parametrize("dropout", [0.0, 0.3])


class Recorded(PlainDraw):
    """A Draw that keeps its matrices, biases and masks."""

    def __init__(self, seed):
        super().__init__(seed)
        self.found, self.masks = [], []

    def matrix(self, weights):
        self.found.append(super().matrix(weights))
        return self.found[-1]

    def kept(self, shape, rate, dtype):
        self.masks.append(super().kept(shape, rate, dtype))
        return self.masks[-1].copy()


def drawn(form):
    """Return random inputs of a form, (channels, BATCH, tokens) each."""
    random = np.random.default_rng(0)
    x = random.normal(size=(CHANNELS, BATCH, TOKENS))
    y = random.normal(size=(READ.channels, BATCH, READ.positions))
    return [x, y] if form == "cross" else [x]


def build(form, dropout=0.0, **keys):
    return Attention(
        heads=HEADS, dropout=dropout, weight_gain=1.5, bias_std=0.5, **FORMS[form], **keys
    )


@DROPOUT
@EVERY
def test_values_are_those_of_a_loop_over_tokens(form, dropout):
    """By the formula of arXiv:1706.03762, one sample, head and token after the other."""
    inputs, draw = drawn(form), Recorded(1)
    found = build(form, dropout).sample(inputs, draw).values
    x, y, size = inputs[0], inputs[-1], CHANNELS // HEADS
    (w_q, b_q), (w_k, b_k), (w_v, b_v), (w_o, b_o) = draw.found
    expected = np.empty_like(x)
    for sample in range(BATCH):
        for token in range(TOKENS):
            together = []
            for head in range(HEADS):
                own = slice(head * size, (head + 1) * size)
                query = (w_q @ x[:, sample, token] + b_q)[own]
                last = token + 1 if form == "causal" else y.shape[2]
                scores = [
                    query @ (w_k @ y[:, sample, other] + b_k)[own] / math.sqrt(size)
                    for other in range(last)
                ]
                weights = [math.exp(score) for score in scores]
                read = np.zeros(size)
                for other in range(last):
                    share = weights[other] / sum(weights)
                    if dropout:
                        share *= draw.masks[0][head, sample, token, other] / (1.0 - dropout)
                    read += share * (w_v @ y[:, sample, other] + b_v)[own]
                together.append(read)
            expected[:, sample, token] = w_o @ np.concatenate(together) + b_o
    # Rounding of sums of a few terms of size 1.
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
    assert len(draw.masks) == bool(dropout)


@DROPOUT
@EVERY
def test_gradients_are_those_of_central_differences(form, dropout):
    """Every input by itself. Tolerance: the error of a difference is of second order."""
    inputs, layer, step = drawn(form), build(form, dropout), 1e-5
    found = layer.sample(inputs, PlainDraw(1))
    slope = np.random.default_rng(5).normal(size=found.values.shape)
    back = found.pull(slope)
    assert [part.shape for part in back] == [x.shape for x in inputs]
    for number, x in enumerate(inputs):
        for place in np.ndindex(x.shape):
            ends = []
            for sign in (1.0, -1.0):
                moved = [own.copy() for own in inputs]
                moved[number][place] += sign * step
                ends.append(layer.sample(moved, PlainDraw(1)).values)
            numeric = np.sum(slope * (ends[0] - ends[1])) / (2.0 * step)
            assert back[number][place] == pytest.approx(numeric, abs=1e-8)


@DROPOUT
@EVERY
def test_the_pull_back_may_be_asked_again(form, dropout):
    """What it keeps is not overwritten, and neither are the inputs."""
    inputs = drawn(form)
    before = [x.copy() for x in inputs]
    found = build(form, dropout).sample(inputs, PlainDraw(1))
    slope = np.ones_like(found.values)
    first, second = (found.pull(slope) for _ in range(2))
    for one, other in zip((*first, *before), (*second, *inputs), strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.all(slope == 1.0)


def test_its_own_input_is_a_memory_like_any_other():
    x = drawn("self")[0]
    alone, both = (build("self").sample(inputs, PlainDraw(1)) for inputs in ([x], [x, x]))
    np.testing.assert_array_equal(alone.values, both.values)
    slope = np.random.default_rng(5).normal(size=x.shape)
    np.testing.assert_allclose(alone.pull(slope)[0], sum(both.pull(slope)), rtol=1e-13, atol=1e-15)


def test_scores_of_any_size_are_finite():
    """exp of the scores themselves would overflow: one token then has all the weight."""
    inputs, draw = drawn("self"), Recorded(1)
    layer = Attention(heads=HEADS, weight_gain=1e3)
    found = layer.sample(inputs, draw)
    assert np.all(np.isfinite(found.values))
    size, x = CHANNELS // HEADS, inputs[0][:, 0]
    q, k, v = (w @ x for w, _ in draw.found[:3])
    head = slice(0, size)
    best = np.argmax(q[head].T @ k[head], axis=1)
    read = np.linalg.solve(draw.found[3][0], found.values[:, 0])[head]
    np.testing.assert_allclose(read, v[head][:, best], rtol=1e-6)


def test_dropout_is_off_in_eval_mode():
    inputs = drawn("self")
    plain = build("self").sample(inputs, PlainDraw(1))
    off = build("self", 0.3).sample(inputs, PlainDraw(1, train=False))
    np.testing.assert_array_equal(plain.values, off.values)
    assert build("self", 0.3).evaluated() == build("self")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@EVERY
def test_the_dtype_stays(form, dtype):
    class Typed(PlainDraw):
        def matrix(self, weights):
            return tuple(own.astype(dtype) for own in super().matrix(weights))

    inputs = [x.astype(dtype) for x in drawn(form)]
    found = build(form, 0.3).sample(inputs, Typed(1))
    for own in (found.values, *found.pull(found.values)):
        assert own.dtype == np.dtype(dtype)


def test_matrices_are_drawn_alike_but_for_torch_default():
    """Of one input, Glorot's for the three of q, k and v as one matrix; of a memory of another
    width, for each by itself. The gains are 6/(fan-in + fan-out)/3 times the fan-in."""
    x, y = Shape(12, (3,)), Shape(30, (4,))
    for init in INITIALISERS:
        if init != "torch_default":
            found = Attention(heads=2, init=init, bias_std=0.2).matrices([x, y])
            fans = [Dense(12, init=init, bias_std=0.2).at(fan_in) for fan_in in (12, 30)]
            assert list(found) == [fans[0], fans[1], fans[1], fans[0]]
    layer = Attention(heads=2, init="torch_default")
    gains = {
        (x,): [0.5, 0.5, 0.5, 1 / 3],
        (x, x): [0.5, 0.5, 0.5, 1 / 3],
        (x, y): [1.0, 60 / 42, 60 / 42, 1 / 3],
    }
    for shapes, expected in gains.items():
        found = layer.matrices(shapes)
        assert [own.square_gain for own in found] == pytest.approx(expected, rel=1e-14)
        assert all(own.distribution == "uniform" and own.bias_std == 0.0 for own in found)
    given = Attention(heads=2, init="torch_default", weight_gain=1.5, bias_std=0.25)
    for own in given.matrices([x, y]):
        assert own.square_gain == pytest.approx(2.25, rel=1e-14)
        assert own.bias_std == 0.25
    assert layer.parameters([x]) == 4 * 12 * 13
    assert layer.parameters([x, y]) == 2 * 12 * 13 + 2 * 12 * 31


def test_what_does_not_fit_is_refused():
    layer, token = Attention(heads=2), Shape(4, (3,))
    for wrong in (Shape(4), Shape(4, (3, 2))):
        for inputs in ([wrong], [wrong, token], [token, wrong]):
            with pytest.raises(InvalidValueError, match="grid"):
                layer.shape(inputs)
    with pytest.raises(InvalidValueError, match="divisor of the 4 channels before it; try 2"):
        Attention(heads=3).shape([token])
    with pytest.raises(InvalidValueError, match="divisor of the 4 channels"):
        Attention(heads=8).shape([token])
    with pytest.raises(InvalidValueError, match="false with a memory"):
        Attention(heads=2, causal=True).shape([token, token])
    with pytest.raises(InvalidValueError, match="one input"):
        Attention(heads=2, weights="standardized").shape([token, Shape(1, (3,))])
    with pytest.raises(InvalidValueError, match="one layer, or two"):
        layer.shape([token] * 3)
    assert layer.shape([token, Shape(10, (8,))]) == token
    assert Attention(heads=4).shape([Shape(4, (1,))]) == Shape(4, (1,))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_what_a_trial_keeps_is_counted(dropout):
    """q, k, v, the weights of all pairs of tokens, and the mask of these."""
    x, y, layer = Shape(6, (5,)), Shape(4, (7,)), Attention(heads=3, dropout=dropout)
    weights = 3 * 5 * 7 * (2 if dropout else 1)
    assert layer.kept * x.units + layer.beside([x, y]) == 2 * 6 * 5 + 2 * 6 * 7 + weights
    assert layer.columns([x, y]) == 7


MEMORY = {"kind": "dense", "name": "encoded", "width": 6}
BETWEEN = {"kind": "dense", "name": "asked", "width": 8}


def reading(**keys):
    """Return a network whose third layer is attention with these keys."""
    layers = [MEMORY, BETWEEN | {"input": "input"}, {"kind": "attention", "heads": 2} | keys]
    return Network.read({"input": {"channels": 8, "grid": [5]}, "layers": layers})


@pytest.mark.parametrize(
    ("keys", "same"),
    [
        ({"memory": "encoded"}, {"inputs": ["previous", "encoded"]}),
        ({"input": "input", "memory": "encoded"}, {"inputs": ["input", "encoded"]}),
        ({"input": "asked", "memory": "encoded"}, {"inputs": ["asked", "encoded"]}),
    ],
)
def test_the_memory_is_the_second_input(keys, same, tmp_path):
    found = reading(**keys)
    assert found == reading(**same)
    written = found.form()["layers"][2]
    assert written["memory"] == "encoded"
    assert written.get("input") == ("input" if keys.get("input") == "input" else None)
    assert Network.read(found.form()) == found
    found.save(tmp_path / "memory.toml")
    assert Network.load(tmp_path / "memory.toml").form()["layers"] == found.form()["layers"]


def test_a_memory_that_is_no_layer_is_refused():
    with pytest.raises(NetworkFormError, match=r"layers\.2\.attention: unknown memory 'encode'"):
        reading(memory="encode")
    with pytest.raises(NetworkFormError, match="left out if memory is given"):
        reading(memory="encoded", inputs=["asked", "encoded"])
    other = BETWEEN | {"name": "other", "memory": "asked"}
    with pytest.raises(NetworkFormError, match="unknown key 'memory'"):
        Network.read({"input": {"channels": 8}, "layers": [BETWEEN, other]})
