"""A module is left as it was, bit for bit, and whatever its code raises is told in one line."""

from __future__ import annotations

import copy
import logging
import sys
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from snstat.errors import SnstatError, UserCodeError
from tests.peers.trace.models import ResNet, mlp
from tests.peers.trace.tracing import trace, untouched

pytestmark = pytest.mark.peers


def used(model):
    """Return a module with gradients, mixed modes and statistics of its own."""
    model(torch.randn(4, 3, 16, 16)).sum().backward()
    model.layer1.eval()
    model.fc.weight.requires_grad_(False)
    return model


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("backward", [True, False])
def test_an_instance_is_untouched(mode, backward):
    model = used(ResNet())
    with untouched(model):
        rows = trace(model, mode=mode, backward=backward, dropout="off")
    assert rows.summary.trials_of == "inputs"
    assert (rows.traced.log_gradient is None) == (not backward)


def test_modes_differ_and_are_labelled():
    model = used(ResNet())
    train, evaluation = trace(model, backward=False), trace(model, mode="eval", backward=False)
    assert (train.summary.mode, evaluation.summary.mode) == ("train", "eval")
    np.testing.assert_allclose(train["bn1"]["second_moment"], 1, atol=1e-3)
    assert abs(evaluation["bn1"]["second_moment"] - 1).min() > 0.1


def test_a_copy_is_cast_and_not_the_instance():
    model = mlp(width=8, depth=2)
    with untouched(model):
        rows = trace(model, ["Bx8"], dtype="float64")
    assert rows.call("0").dtype == "float64"


class Broken(nn.Module):
    """Fails in its second layer, after its buffer and its attributes changed."""

    def __init__(self, raised):
        super().__init__()
        self.norm, self.l, self.raised, self.calls = nn.BatchNorm1d(8), nn.Linear(8, 8), raised, 0

    def forward(self, x):
        self.calls += 1
        self.seen = self.l(self.norm(x))
        if isinstance(self.raised, int):
            sys.exit(self.raised)
        raise self.raised


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (ValueError("of shapes"), UserCodeError, "Broken raised ValueError: of shapes (line "),
        (3, UserCodeError, "Broken called sys.exit(3) (line "),
        (KeyboardInterrupt(), KeyboardInterrupt, ""),
    ],
    ids=["error", "exit", "interrupt"],
)
def test_a_module_that_fails_is_untouched(raised, kind, words):
    model = Broken(raised)
    with untouched(model), pytest.raises(kind) as told:
        trace(model, ["Bx8"])
    assert str(told.value).startswith(words)
    if kind is UserCodeError:
        assert told.value.place.endswith("of test_restore.py")
        assert told.value.__cause__ is not None


class Keeps(nn.Module):
    """Assigns its buffer anew, where others use `copy_`, and keeps what passes in containers."""

    def __init__(self, fails):
        super().__init__()
        self.l, self.fails = nn.Linear(8, 8), fails
        self.register_buffer("mean", torch.zeros(8))
        self.log, self.cache, self.names = [1.0], {"layers": [[]]}, {"l"}

    def forward(self, x):
        y = self.l(x)
        self.mean = 0.9 * self.mean + 0.1 * y.detach().mean(0)
        self.log.append(float(self.mean[0]))
        self.cache["last"] = y
        self.cache["layers"][0].append(y)
        self.names.add(str(len(self.log)))
        if self.fails:
            raise ValueError("in the end")
        return y


@pytest.mark.parametrize("fails", [False, True])
def test_buffers_that_are_assigned_and_containers_are_put_back(fails):
    model = Keeps(fails)
    mean, log, cache, inner = model.mean, model.log, model.cache, model.cache["layers"][0]
    with untouched(model), pytest.raises(UserCodeError) if fails else nullcontext():
        trace(model, ["Bx8"])
    assert model.mean is mean
    assert model.log is log
    assert log == [1.0]
    assert model.cache is cache
    assert cache == {"layers": [[]]}
    assert cache["layers"][0] is inner
    assert model.names == {"l"}
    copy.deepcopy(model)  # which refuses tensors that a graph made


class Taught(nn.Module):
    """Hides its teacher from the optimiser in a list, and another one behind it."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(8, 8)
        inner = nn.Sequential(nn.BatchNorm1d(8))
        outer = nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 8))
        object.__setattr__(outer, "inner", inner)
        self.teachers = [outer]

    def forward(self, x):
        (outer,) = self.teachers
        return self.l(x) - outer(x) - outer.inner(x)


def test_hidden_modules_are_put_back():
    model = Taught()
    (outer,) = model.teachers
    outer(torch.randn(4, 8)).sum().backward()
    with untouched(model), untouched(outer), untouched(outer.inner):
        trace(model, ["Bx8"])


def test_an_interrupt_within_a_hook_leaves_no_hooks():
    model = mlp(width=8, depth=2)

    def interrupt(*_):
        raise KeyboardInterrupt

    handle = model[1].register_forward_hook(interrupt)
    with untouched(model), pytest.raises(KeyboardInterrupt):
        trace(model, ["Bx8"])
    handle.remove()


def test_dropout_draws_what_it_draws_untraced():
    """The tracer draws from generators of its own."""
    from snstat.sources.calls.seeds import INPUTS, MODEL, seed_of

    def network():
        return nn.Sequential(
            nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 8), nn.AlphaDropout(0.1)
        )

    rows = trace(network, ["Bx8"], trials=2, seed=5)
    for trial in range(2):
        torch.manual_seed(seed_of(5, trial, MODEL))
        model = network()
        x = torch.randn(8, 8, generator=torch.Generator().manual_seed(seed_of(5, trial, INPUTS)))
        y = model(x).double()
        assert rows["3"]["mean"][trial] == pytest.approx(y.mean().item(), rel=1e-12)
        assert rows["3"]["second_moment"][trial] == pytest.approx(
            y.square().mean().item(), rel=1e-12
        )


def test_dropout_off():
    rows = trace(lambda: nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)), ["Bx8"], dropout="off")
    assert rows.call("1").same_as == 1


def test_trials_of_a_function_draw_anew_and_seeds_repeat():
    one, two = (trace(mlp, ["Bx8"], settings={"width": 8, "depth": 2}, seed=7) for _ in range(2))
    np.testing.assert_array_equal(one.traced.values, two.traced.values)
    assert len(set(one["0"]["mean"])) == 4
    assert one.summary.trials_of == "model"


@pytest.mark.parametrize(
    ("target", "inputs", "words"),
    [
        (lambda: 3, ["Bx8"], "returned a value of type int, but must return a torch.nn.Module"),
        (lambda: None, ["Bx8"], "returned None, but must return a torch.nn.Module"),
        (3, ["Bx8"], "a value of type int, but must be a function that returns a torch.nn.Module"),
        (mlp, None, "has no example_inputs(), so say what it is called with: --input input=SPEC"),
        (mlp, ["8x8"], "a shape that has a B"),
        (mlp, ["Bx0"], "a shape without 0"),
        (mlp, ["BxBx3"], "a shape with one B"),
        (mlp, ["tokens:0:Bx3"], "sizes joined by x"),
        (mlp, ["Bx999999999999x9"], "a shape that fits in memory with a batch of 8"),
        (mlp, ["sparse:Bx3"], "sizes joined by x"),
        (lambda: mlp(8, 1).to("meta"), ["Bx8"], "0.weight is a meta tensor without values"),
    ],
)
def test_bad_targets_and_inputs_are_told_in_a_line(target, inputs, words):
    with pytest.raises(SnstatError) as told:
        trace(target, inputs)
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_torch_logs_nothing_about_what_is_told(caplog, capfd):
    with pytest.raises(UserCodeError, match="shapes cannot be multiplied"):
        trace(mlp, ["Bx7"])
    assert caplog.records == []
    assert capfd.readouterr().err == ""
    assert not logging.getLogger(FakeTensorMode.__module__).disabled


def test_targets_by_name(tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text(
        "import torch\n\n\ndef small(width=4):\n    return torch.nn.Linear(width, width)\n\n\n"
        "def fails():\n    raise ValueError('no\\nshape')\n\n\ninstance = torch.nn.Linear(4, 4)\n",
        encoding="utf-8",
    )
    (tmp_path / "own_syntax.py").write_text("def f(:\n", encoding="utf-8")
    (tmp_path / "own_broken.py").write_text("import torch\nimport missing_here\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    rows = trace("own_models:small", ["Bx6"], settings={"width": 6})
    assert rows.summary.target == "own_models:small"
    assert rows.summary.parameters == 42
    assert trace("own_models:instance", ["Bx4"]).summary.trials_of == "inputs"
    for name, words in {
        "own_models:fails": "fails raised ValueError: no shape (line 9 of own_models.py)",
        "own_models:smal": "the module 'own_models' has no 'smal'; did you mean 'small'?",
        "own_model:small": "there is no Python module 'own_model'",
        "own_broken:f": "raised ModuleNotFoundError: No module named 'missing_here' (line 2 of",
        "own_syntax:f": "f raised SyntaxError: invalid syntax (line 1 of own_syntax.py)",
        "own_models.py:small": "'own_models.py' is the name of a file, but must be that of a",
        "own_models": "package.module:name",
        "own_models:small()": "package.module:name",
    }.items():
        with pytest.raises(SnstatError) as told:
            trace(name, ["Bx4"])
        assert words in str(told.value)
    with pytest.raises(SnstatError, match="unexpected keyword argument 'depth'; --set NAME=VALUE"):
        trace("own_models:small", ["Bx4"], settings={"depth": 6})
    assert sys.path == before
