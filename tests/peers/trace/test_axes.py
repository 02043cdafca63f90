"""Samples, positions and units of every tensor, and its statistics by plain loops over these."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from snstat.errors import InvalidValueError
from tests.peers.trace.models import Mixed, ResNet, Windows
from tests.peers.trace.tracing import assert_measured, trace

pytestmark = pytest.mark.peers


def letters(axes, ndim):
    if axes is None:
        return None
    parts = {"S": axes.sample, "P": axes.position, "U": axes.unit}
    return ",".join("".join(k for k, v in parts.items() if axis in v) for axis in range(ndim))


def roles(rows):
    return {row.name: letters(row.axes, len(row.shape)) for row in rows.summary.rows}


def captured(model, rows, name):
    """Return the tensor that a module gave in trial 0, in a plain run of the same inputs."""
    from snstat.sources.calls.seeds import INPUTS, seed_of

    kept = []
    handle = dict(model.named_modules())[name].register_forward_hook(
        lambda _m, _a, output: kept.append(output)
    )
    (spec,) = rows.summary.inputs.values()
    shape = [8 if size == "B" else int(size) for size in spec.split("x")]
    generator = torch.Generator().manual_seed(seed_of(0, 0, INPUTS))
    with torch.no_grad():
        model(torch.randn(shape, generator=generator))
    handle.remove()
    return kept[0]


def test_images():
    rows = trace(ResNet, backward=False, trials=1)
    found = roles(rows)
    assert found.pop("fc") == found.pop("ResNet") == "S,U"
    assert set(found.values()) == {"S,U,P,P"}
    assert rows.call("layer2.0.relu#2").shape == ("S", 16, 8, 8)
    assert rows.call("conv1").axes.found == "probed"
    assert rows.summary.input_shape == (3, 16, 16)


@pytest.mark.parametrize("name", ["conv", "norm", "up", "act", "last", "relu"])
def test_channels_last_within_channels_first(name):
    torch.manual_seed(0)
    model = Mixed()
    rows = trace(model, ["Bx3x6x7"], trials=1)
    expected = "S,P,P,U" if name in ("norm", "up", "act") else "S,U,P,P"
    assert roles(rows)[name] == expected
    assert_measured(rows[name], captured(model, rows, name), expected.replace(",", ""))
    assert roles(rows)["Mixed"] == "S,U,P,P"


def test_a_recurrent_network_with_the_batch_second():
    rows = trace(lambda: nn.LSTM(8, 6), ["12xBx8"], trials=1)
    assert roles(rows) == {"LSTM[0]": "P,S,U", "LSTM[1][0]": "P,S,U", "LSTM[1][1]": "P,S,U"}
    assert rows.call("LSTM[0]").shape == (12, "S", 6)
    assert rows.summary.input_shape == (12, 8)


def test_the_batch_may_come_first_or_second():
    """The same weights and inputs give the same statistics."""
    torch.manual_seed(0)
    options = {"d_model": 8, "nhead": 2, "dim_feedforward": 16, "dropout": 0.0}
    first = nn.TransformerEncoderLayer(**options, batch_first=True)
    second = nn.TransformerEncoderLayer(**options)
    second.load_state_dict(first.state_dict())
    x = torch.randn(8, 5, 8)
    rows = trace(first, [x], trials=1, backward=False)
    twin = trace(nn.Sequential(Turned(), second), [x], trials=1, backward=False)
    assert roles(rows)["linear1"] == "S,P,U"
    assert roles(twin)["1.linear1"] == "P,S,U"
    for name in ("self_attn[0]", "linear1", "linear2", "norm2"):
        for statistic, value in rows[name].items():
            other = twin[f"1.{name}"][statistic]
            np.testing.assert_allclose(value, other, rtol=1e-4, atol=1e-5, err_msg=statistic)


class Turned(nn.Module):
    def forward(self, x):
        return x.transpose(0, 1)


def test_windows_merged_with_the_batch():
    torch.manual_seed(0)
    model = Windows()
    rows = trace(model, ["Bx12x8"], trials=1)
    assert roles(rows) == {"inner": "SP,P,U", "Windows": "S,P,U"}
    assert rows.call("inner").shape == ("4S", 3, 8)
    tensor = captured(model, rows, "inner").reshape(8, 4, 3, 8)
    assert_measured(rows["inner"], tensor, "SPPU")


class Positions(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(11, 8), nn.Embedding(6, 8)

    def forward(self, x):
        return self.tokens(x) + self.places(torch.arange(x.shape[1]))


def test_positions_have_no_samples():
    rows = trace(Positions, ["tokens:11:Bx6"], trials=1)
    assert roles(rows) == {"tokens": "S,P,U", "places": "P,U", "Positions": "S,P,U"}
    found = rows["places"]
    assert np.isnan(found["cosine"]).all()
    assert np.isnan(found["variance_over_batch"]).all()
    assert (found["second_moment"] > 0).all()


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 6, batch_first=True)

    def forward(self, x):
        lengths = torch.arange(len(x)) % 3 + 2
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, True, enforce_sorted=False)
        return self.lstm(packed)[0].data.sum()


def test_packed_sequences_are_pooled():
    rows = trace(Packed, ["Bx4x8"], trials=1)
    found = rows["lstm[0].data"]
    assert rows.call("lstm[0].data").axes is None
    assert np.isnan(found["variance_over_units"]).all()
    assert (found["variance"] > 0).all()


class Weights(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=True, average_attn_weights=False)


def test_attention_weights():
    """Rows of weights add up to 1: their mean is one over the number of keys."""
    rows = trace(Weights, ["Bx5x8"], trials=2)
    assert rows.call("attention[1]").shape == ("S", 2, 5, 5)
    assert letters(rows.call("attention[1]").axes, 4) == "S,P,P,U"
    np.testing.assert_allclose(rows["attention[1]"]["mean"], 0.2, rtol=1e-6)
    assert "attention.out_proj" in rows.summary.not_called


def test_one_sample_and_odd_tensors():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.l, self.parts = nn.Linear(4, 4), Parts()

        def forward(self, x):
            return self.l(x) + self.parts(x)[0]

    class Parts(nn.Module):
        def forward(self, x):
            return x.mean(), x[:0], x[:, 0], x[:1]

    rows = trace(Odd, ["Bx4"], batch=1, trials=2)
    for name in ("l", "input"):
        assert np.isnan(rows[name]["cosine"]).all()
        assert np.isnan(rows[name]["variance_over_batch"]).all()
        assert (rows[name]["variance_over_units"] > 0).all()
    assert rows["parts[0]"]["variance"][0] == 0
    assert [(left.output, left.reason) for left in rows.summary.skipped] == [("[1]", "no elements")]


def test_axes_may_be_given():
    rows = trace(lambda: nn.Linear(8, 8), ["Bx5x8"], trials=1, axes={"Lin*": "S,U,P"})
    assert letters(rows.call("Linear").axes, 3) == "S,U,P"
    assert rows.call("Linear").axes.found == "given"
    with pytest.raises(InvalidValueError, match="S, P, U or SP for each of the 3 axes of Linear"):
        trace(lambda: nn.Linear(8, 8), ["Bx5x8"], axes={"*": "S,U"})
    with pytest.raises(InvalidValueError, match=r"axes is 'lin\*', but must be a glob that"):
        trace(lambda: nn.Linear(8, 8), ["Bx5x8"], axes={"Lin*": "S,U,P", "lin*": "S,U,P"})


def test_a_shape_by_itself_does_not_decide():
    """A batch as large as the width."""
    rows = trace(lambda: nn.LSTM(8, 8), ["8xBx8"], trials=1, batch=8)
    assert set(roles(rows).values()) == {"P,S,U"}
    assert math.isfinite(rows["LSTM[0]"]["cosine"][0])


@pytest.mark.parametrize("model", [ResNet, Mixed], ids=["ResNet", "Mixed"])
def test_shapes_are_told_without_computing_for_large_modules(model, monkeypatch):
    """Both ways tell the same, and telling shapes alone leaves no fake values behind."""
    options = {"inputs": ["Bx3x8x8"], "trials": 1, "backward": False}
    plain = trace(model, **options)
    monkeypatch.setattr("snstat.sources.torch.probe.LARGE", 0)
    rows = trace(model, **options)
    assert [row.axes for row in rows.summary.rows] == [row.axes for row in plain.summary.rows]
    np.testing.assert_array_equal(rows.traced.values, plain.traced.values)


class Refuses(nn.Module):
    """Takes no other batch than eight."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)

    def forward(self, x):
        return self.l(x.reshape(8, -1, 4))


def test_a_module_that_refuses_other_batches_has_axes_by_kind():
    rows = trace(Refuses, ["Bx3x4"], batch=8, trials=1)
    assert rows.call("l").axes.found == "kind"
    assert letters(rows.call("l").axes, 3) == "S,P,U"


class Turning(nn.LayerNorm):
    """Normalizes channels that come first, as ConvNeXt does, or last."""

    def __init__(self, width, data_format):
        super().__init__(width)
        self.data_format = data_format

    def forward(self, x):
        if self.data_format == "channels_last":
            return super().forward(x)
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("size", [5, 6])
@pytest.mark.parametrize(
    ("order", "axes"), [("channels_first", "S,U,P,P"), ("channels_last", "S,P,P,U")]
)
def test_norms_of_the_users_own_may_turn_channels(order, axes, size):
    """Sizes tell, or the name of the order where the sizes are the same."""
    spec = f"Bx6x7x{size}" if order == "channels_first" else f"Bx{size}x7x6"
    rows = trace(lambda: Turning(6, order), [spec], trials=1)
    assert roles(rows) == {"Turning": axes}


class Images(nn.Module):
    """Takes images whose channels come last, and turns them for its convolution."""

    def __init__(self):
        super().__init__()
        self.act, self.conv = nn.ReLU(), nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return self.conv(self.act(x).permute(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("layers", "inputs", "unit"),
    [
        ((nn.Tanh(), nn.Conv2d(3, 8, 3), nn.Tanh()), "Bx3x16x16", "S,U,P,P"),
        ((nn.Identity(), nn.Dropout(0.1), nn.Conv2d(3, 8, 3)), "Bx3x16x16", "S,U,P,P"),
        ((nn.ZeroPad2d(1), nn.Tanh(), nn.BatchNorm2d(3)), "Bx3x16x16", "S,U,P,P"),
        ((nn.Softplus(), nn.GroupNorm(1, 3)), "Bx3x16x16", "S,U,P,P"),
        ((nn.Tanh(), nn.MaxPool2d(2)), "Bx3x16x16", "S,U,P,P"),
        ((nn.Tanh(), nn.Conv1d(6, 8, 3)), "Bx6x32", "S,U,P"),
        ((nn.Tanh(), nn.Linear(32, 8)), "Bx6x32", "S,P,U"),
        ((nn.Tanh(), nn.LayerNorm(32)), "Bx6x32", "S,P,U"),
        ((nn.Tanh(), nn.Flatten(), nn.Linear(192, 4)), "Bx6x32", "S,P,U"),
    ],
)
def test_the_first_layer_that_tells_says_it_of_those_before(layers, inputs, unit):
    torch.manual_seed(0)
    model = nn.Sequential(*layers)
    rows = trace(model, [inputs], trials=1)
    for number, layer in enumerate(layers):
        if isinstance(layer, nn.Flatten):
            break
        assert letters(rows.call(str(number)).axes, len(rows.call(str(number)).shape)) == unit
    sizes = [int(size) for size in inputs.split("x")[1:]]
    axis = unit.split(",").index("U") - 1
    assert rows.summary.input_shape == tuple(sizes)
    assert letters(rows.summary.rows[0].axes, len(sizes) + 1).split(",")[axis + 1] == "U"
    if isinstance(layers[0], nn.Tanh):
        assert_measured(rows["0"], captured(model, rows, "0"), unit.replace(",", ""))


def test_a_layer_of_other_sizes_says_it_of_channels_that_come_last():
    rows = trace(Images(), ["Bx16x12x3"], trials=1)
    assert roles(rows) == {"act": "S,P,P,U", "conv": "S,U,P,P", "Images": "S,U,P,P"}
