"""Functions that the code of modules calls: their rows, and what they do to those of modules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from snstat.errors import InvalidValueError, UserCodeError
from snstat.results.module import NonFinite
from snstat.sources.calls.seeds import INPUTS, seed_of
from snstat.sources.torch import functions
from tests.peers.trace.models import Log, LogBetween, Mixed, ResNet, Stages, UNet, Windows
from tests.peers.trace.tracing import assert_measured, trace, untouched

pytestmark = pytest.mark.peers


class Functional(nn.Module):
    """Two linear layers, and functions between and after them."""

    def __init__(self, width=8):
        super().__init__()
        self.a, self.b = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x):
        return x + functional.gelu(self.b(functional.relu(self.a(x))))


def test_functions_have_rows_with_the_path_of_their_module():
    assert trace(Functional, ["Bx8"]).names == ["input", "a", "b", "Functional"]
    torch.manual_seed(0)
    model = Functional()
    rows = trace(model, ["Bx8"], ops=True)
    assert rows.names == [
        "input",
        *("a", "a:linear", "Functional:relu", "b", "b:linear", "Functional:gelu"),
        *("Functional", "Functional:add"),
    ]
    same = {row.name: row.same_as for row in rows.summary.rows if row.same_as is not None}
    assert same == {"a:linear": 1, "b:linear": 4, "Functional:add": 7}
    assert (rows.summary.modules, rows.summary.functions) == (3, 5)
    assert rows.call("Functional:relu").activates
    for trial in range(4):
        seed = seed_of(0, trial, INPUTS)
        x = torch.randn(8, 8, generator=torch.Generator().manual_seed(seed))
        y = functional.relu(model.a(x))
        assert_measured(rows["Functional:relu"], y, "SU", trial)
        assert_measured(rows["Functional:gelu"], functional.gelu(model.b(y)), "SU", trial)


def test_a_function_has_the_dead_units_of_its_module():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.l, self.tanh = nn.Linear(8, 64), nn.Tanh()

        def forward(self, x):
            x = 20 * self.l(x) + 20  # nearly flat, and not equal
            return self.tanh(x) + torch.tanh(x)

    rows = trace(Both, ["Bx8"], ops=True)
    np.testing.assert_array_equal(rows["Both:tanh"]["dead_fraction"], rows["tanh"]["dead_fraction"])
    assert rows["tanh"]["dead_fraction"].min() > 0.1


class Convolution(nn.Module):
    """Functions that decide where units are."""

    def __init__(self, relu=functional.relu):
        super().__init__()
        self.weight, self.relu = nn.Parameter(torch.randn(5, 3, 3, 3)), relu

    def forward(self, x):
        x = self.relu(functional.conv2d(x, self.weight))
        return functional.max_pool2d(x, 2).mean((2, 3)).softmax(1)


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (ResNet, None),
        (Mixed, ["Bx3x6x6"]),
        (UNet, ["Bx3x8x8"]),
        (Windows, ["Bx16x8"]),
        (lambda: nn.Transformer(8, 2, 1, 1, 16, batch_first=True), ["Bx4x8", "Bx5x8"]),
        (lambda: Convolution(nn.ReLU()), ["Bx3x8x8"]),
        (lambda: nn.LSTM(8, 5, 2, dropout=0.5), ["4xBx8"]),
    ],
)
def test_rows_of_modules_are_those_without_functions(model, inputs):
    """To the last bit, though a module that returns what a function made is measured once."""
    plain, rows = trace(model, inputs, trials=2), trace(model, inputs, trials=2, ops=True)
    own = [row for row in rows.summary.rows if not row.is_function]
    assert [row.name for row in own] == plain.names[1:]
    assert rows.summary.functions > 0
    for row in own:
        twin = plain.call(row.name)
        assert (row.axes, row.shape, row.kind) == (twin.axes, twin.shape, twin.kind)
        assert (row.same_as is None) == (twin.same_as is None)
        for name, value in rows[row.name].items():
            np.testing.assert_array_equal(value, plain[row.name][name], f"{row.name} {name}")


def test_parts_of_tuples_have_rows():
    class Attending(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2)

        def forward(self, x):
            return self.attention(x, x, x)[0]

    rows = trace(Attending, ["5xBx8"], trials=1, ops=True)
    name = "attention:multi_head_attention_forward"
    names = ["attention[0]", f"{name}[0]", "attention[1]", f"{name}[1]", "Attending"]
    assert rows.names == ["input", *names]
    assert [rows.call(entry).same_as for entry in names] == [None, 1, None, 3, 1]


def test_what_is_changed_in_place_was_measured_before():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.l = nn.Linear(8, 8)

        def forward(self, x):
            y = torch.sin(self.l(x))
            y += 1
            y.mul_(3)
            return y.view(2, -1, 8).flatten(0, 1)

    rows = trace(InPlace, ["Bx8"], trials=1, ops=True)
    assert rows.names[3:] == ["InPlace:sin", "InPlace:add_", "InPlace:mul_", "InPlace"]
    means = [rows[name]["mean"][0] for name in rows.names[3:]]
    assert means[1:3] == pytest.approx([means[0] + 1, 3 * means[0] + 3], abs=1e-6)
    assert means[3] == means[2]
    gradients = [rows[name]["gradient"][0] for name in rows.names[3:]]
    assert gradients == pytest.approx([9, 9, 1, 1], rel=1e-6)


def test_calls_are_counted_within_the_code_of_one_module():
    class Inner(nn.Module):
        def forward(self, x):
            return (x + 1) + x

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Inner()

        def forward(self, x):
            return self.inner(x + 1) + self.inner(x)

    rows = trace(Outer, ["Bx8"], trials=1, ops=True)
    calls = [f"inner:add#{call}" for call in range(1, 5)]
    assert [name for name in rows.names if ":" in name] == [
        *("Outer:add#1", *calls, "Outer:add#2"),
    ]


def test_the_code_after_a_module_that_fails_is_of_its_caller():
    class Failing(nn.Module):
        def forward(self, _x):
            raise ValueError

    class Catching(nn.Module):
        def __init__(self):
            super().__init__()
            self.failing = Failing()

        def forward(self, x):
            try:
                return self.failing(x)
            except ValueError:
                return torch.sin(x) * 2

    assert trace(Catching, ["Bx8"], ops=True).names[1] == "Catching:sin"


def test_functions_that_make_no_values_have_no_rows():
    class Moving(nn.Module):
        def forward(self, x):
            mask = torch.ones_like(x) > torch.zeros(8)
            assert x.shape == mask.size()
            y = x.clone().reshape(-1, 4, 2).transpose(1, 2)[..., 0].double().float().contiguous()
            return functional.dropout(y, training=False).unsqueeze(0) @ torch.arange(2.0)

    rows = trace(Moving, ["Bx8"], ops=True)
    assert [name for name in rows.names if ":" in name] == ["Moving:matmul"]
    assert rows.summary.skipped == ()


def test_axes_of_functions():
    rows = trace(Convolution, ["Bx3x8x8"], ops=True)
    for name in ("conv2d", "relu", "max_pool2d"):
        axes = rows.call(f"Convolution:{name}").axes
        assert (axes.sample, axes.position, axes.unit) == ((0,), (2, 3), (1,)), name
    assert rows.call("Convolution:mean").axes.unit == (1,)
    axes = {"*:conv2d": "S,P,U,U"}
    rows = trace(Convolution, ["Bx3x8x8"], ops=True, axes=axes)
    assert rows.call("Convolution:conv2d").axes.unit == (2, 3)


def test_the_functions_that_are_asked_for():
    rows = trace(Functional, ["Bx8"], ops=True, only=["*:relu", "b*"])
    assert rows.names == ["input", "Functional:relu", "b", "b:linear"]
    with pytest.raises(InvalidValueError, match="path of a module or a function"):
        trace(Functional, ["Bx8"], ops=True, only=["*:tanh"])
    with pytest.raises(InvalidValueError, match="axes is"):
        trace(Functional, ["Bx8"], ops=True, axes={"*:tanh": "S,U"})
    with pytest.raises(InvalidValueError, match="only is"):
        trace(Functional, ["Bx8"], only=["*:relu"])


@pytest.mark.parametrize("reentrant", [True, False])
def test_functions_within_a_checkpoint(reentrant):
    class Model(nn.Module):
        def __init__(self, kept):
            super().__init__()
            self.inner, self.last, self.kept = Functional(), nn.Linear(8, 8), kept

        def forward(self, x):
            if self.kept:
                return self.last(self.inner(x))
            return self.last(checkpoint(self.inner, x, use_reentrant=reentrant))

    plain = trace(lambda: Model(kept=True), ["Bx8"], ops=True)
    rows = trace(lambda: Model(kept=False), ["Bx8"], ops=True)
    assert rows.names == plain.names
    assert "inner:gelu" in rows.names
    np.testing.assert_array_equal(rows.traced.log_gradient, plain.traced.log_gradient)


def test_a_module_and_its_thread_are_left_as_they_were():
    model = ResNet()
    with untouched(model):
        trace(model, ops=True)
    assert not torch._C._is_torch_function_mode_enabled()
    failing = Stages(nn.Linear(7, 7))
    with untouched(failing), pytest.raises(UserCodeError):
        trace(failing, ["Bx8"], ops=True)
    assert not torch._C._is_torch_function_mode_enabled()


def test_nothing_is_watched_unless_asked_for(monkeypatch):
    def never(*_args):
        raise AssertionError

    monkeypatch.setattr(functions.Functions, "__init__", never)
    assert trace(LogBetween, ["Bx8"]).summary.nonfinite.path == "LogBetween"
    with pytest.raises(AssertionError):
        trace(LogBetween, ["Bx8"], ops=True)


def test_the_function_that_makes_a_value_that_is_not_finite():
    """The code of the parent, by name; a module without parts is named itself."""
    rows = trace(LogBetween, ["Bx8"], ops=True)
    expected = NonFinite(0, "LogBetween:log", 1, "log", inputs_finite=True)
    assert rows.summary.nonfinite == expected
    rows = trace(lambda: Stages(Log()), ["Bx8"], ops=True)
    assert rows.summary.nonfinite == NonFinite(0, "between", 1, "Log", inputs_finite=True)


def test_infinity_comes_before_what_functions_make_of_it():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.l = nn.Linear(8, 8)

        def forward(self, x):
            y = torch.sin(x)
            y = torch.exp(1000 * y.abs() + 1000)
            return self.l((y - y).view(-1, 8).cos())

    found = trace(Model, ["Bx8"], ops=True).summary.nonfinite
    assert (found.path, found.call) == ("Model:exp", 1)


def test_weights_that_are_not_finite_are_no_function_of_their_own():
    model = Functional()
    nn.init.constant_(model.b.weight, torch.nan)
    assert trace(model, ["Bx8"], ops=True).summary.nonfinite.path == "b"


class Attention(nn.Module):
    """Causal attention written out."""

    def __init__(self):
        super().__init__()
        self.q, self.k = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        scores = self.q(x) @ self.k(x).transpose(1, 2)
        above = torch.ones(scores.shape[-2:]).triu(1) > 0
        return scores.masked_fill(above, -torch.inf).softmax(-1) @ x


def test_masks_are_skipped_by_name():
    rows = trace(Attention, ["Bx5x8"], ops=True)
    assert rows.summary.nonfinite is None
    assert rows.traced.finite.all()
    (left,) = rows.summary.skipped
    assert (left.path, left.reason) == ("Attention:masked_fill", "holds −∞, as masks do")
    assert rows.call("Attention:softmax").axes.unit == (2,)
