"""Traces of real modules as runs: files, tables, verdicts, and traces within a training loop."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from jsonschema import Draft202012Validator
from torch import nn
from torch.nn import functional

import snstat
from snstat import cli
from snstat.errors import InvalidValueError, SnstatError
from snstat.files.schema import schema
from snstat.testing import assert_propagates
from tests.peers.trace.models import mlp
from tests.peers.trace.tracing import untouched

pytestmark = pytest.mark.peers

MODELS = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(x + self.norm(self.conv(self.relu(x))))

def resnet(width=8, gain=1.0):
    model = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), Block(width), Block(width),
                          nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 4))
    with torch.no_grad():
        model[0].weight *= gain
    return model

def failing():
    raise ValueError("no such \\x1b[31m width")

def needing(width, depth=2):
    return nn.Linear(width, depth)

def overflowing():
    class Log(nn.Module):
        def forward(self, x):
            return torch.log(x)
    return nn.Sequential(nn.Linear(8, 8), Log(), nn.Linear(8, 8), nn.ReLU())

def loss(output):
    return output.square().sum()
"""
RESNET = ["mymodels:resnet", "--input", "Bx3x8x8"]


@pytest.fixture
def models(tmp_path, monkeypatch):
    (tmp_path / "mymodels.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mymodels", raising=False)


@pytest.mark.usefixtures("models")
def test_a_trace_is_written_and_read_back(tmp_path):
    assert cli.run(["trace", *RESNET, "-o", "run.json"]) == 0
    document = json.loads(Path("run.json").read_text())
    validator = Draft202012Validator(schema("propagation"))
    assert [error.message for error in validator.iter_errors(document)] == []
    run = snstat.load("run.json")
    again = snstat.trace("mymodels:resnet", "Bx3x8x8")
    assert again == run
    assert run.module is not None
    assert run.module.inputs == {"input": "Bx3x8x8"}
    assert run["1.relu#1"].call.axes.unit == (1,)
    assert str(tmp_path) not in sys.path


@pytest.mark.usefixtures("models")
def test_judged_anew_or_from_its_file_the_verdict_is_one(capsys):
    assert cli.run(["check", *RESNET, "--set", "gain=1", "-f", "json"]) == 0
    (now,) = json.loads(capsys.readouterr().out)["checks"]
    assert cli.run(["trace", *RESNET, "--set", "gain=1", "-o", "run.json"]) == 0
    capsys.readouterr()
    assert cli.run(["check", "run.json", "-f", "json"]) == 0
    (saved,) = json.loads(capsys.readouterr().out)["checks"]
    assert saved | {"name": ""} == now | {"name": ""}


@pytest.mark.usefixtures("models")
def test_an_exploding_module_fails_at_its_first_activation(capsys):
    assert cli.run(["check", *RESNET, "--set", "gain=100", "-f", "json"]) == 1
    (check,) = json.loads(capsys.readouterr().out)["checks"]
    finding = next(found for found in check["findings"] if found["code"] == "SN102")
    assert finding["path"] == "1.relu#1"


@pytest.mark.usefixtures("models")
def test_the_producer_of_the_first_nan_is_named(capsys):
    assert cli.run(["check", "mymodels:overflowing", "--input", "Bx8"]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "SN001 not-representable, layer 2 (1)" in text
    assert "first made in trial 0 by 1 (Log), whose inputs are finite" in text


@pytest.mark.usefixtures("models")
def test_a_loss_and_a_baseline(capsys):
    words = ["check", *RESNET, "--loss", "mymodels:loss"]
    assert cli.run([*words, "--write-baseline", "base.json"]) == 0
    assert cli.run([*words, "--baseline", "base.json", "--same-seed"]) == 0
    assert cli.run([*words, "--baseline", "base.json", "--trials", "8"]) == 0
    assert cli.run([*words, "--baseline", "base.json", "--set", "gain=1.5", "--trials", "8"]) == 1
    assert "SN701" in capsys.readouterr().out


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mymodels:failing", "--input", "Bx3"], "mymodels:failing raised ValueError: no such"),
        (["mymodels:nothing", "--input", "Bx3"], "has no 'nothing'"),
        (["nomodels:f", "--input", "Bx3"], "there is no Python module 'nomodels'"),
        (["mymodels:resnet"], "--input"),
        (["mymodels:resnet", "--input", "Bx4x8x8"], "mymodels:resnet raised RuntimeError"),
        (["mymodels:resnet", "--input", "3x8"], "has a B"),
        ([*RESNET, "--only", "nothing"], "a glob that matches"),
        ([*RESNET, "--axes", "0=S,U"], "for each of the 4 axes"),
        (
            [*RESNET, "--set", "depth=3"],
            "mymodels:resnet: got an unexpected keyword argument 'depth'; --set NAME=VALUE sets",
        ),
        (
            ["mymodels:needing", "--input", "Bx3"],
            "mymodels:needing: missing a required argument: 'width'; --set NAME=VALUE sets",
        ),
        ([*RESNET, "--device", "toaster"], "--device is 'toaster'"),
        ([*RESNET, "--device", "meta"], "--device is 'meta', but must be a device that torch has"),
        ([*RESNET, "--device", "cuda:99"], "--device is 'cuda:99', but must be a device that"),
    ],
)
def test_failures_are_one_line(arguments, words, capsys):
    assert cli.run(["trace", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert words in printed.err
    assert "\x1b" not in printed.err


@pytest.mark.usefixtures("models")
def test_the_traceback_of_the_users_code_is_shown_if_asked_for(monkeypatch, capsys):
    monkeypatch.setenv("SNSTAT_DEBUG", "1")
    assert cli.run(["trace", "mymodels:failing", "--input", "Bx3"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert any(line.startswith("ValueError: ") for line in lines)
    assert lines[-1].startswith("snstat: error: mymodels:failing raised ValueError")


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_trace_within_a_training_loop_changes_nothing(mode):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)
    ).train(mode == "train")
    twin = copy.deepcopy(model)
    x, y = torch.randn(5, 6), torch.tensor([0, 1, 2, 0, 1])

    def step(own):
        optimiser = torch.optim.SGD(own.parameters(), 0.1)
        torch.manual_seed(1)
        loss = functional.cross_entropy(own(x), y)
        loss.backward()
        optimiser.step()
        return loss, torch.rand(3)

    with snstat.tracing(model) as t:
        traced = step(model)
    plain = step(twin)
    assert all(torch.equal(*pair) for pair in zip(traced, plain, strict=True))
    for name, value in model.state_dict().items():
        assert torch.equal(value, twin.state_dict()[name]), name
    for own, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(own.grad, other.grad)
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    sampling = t.run.simulation
    assert (sampling.batch, sampling.trials, sampling.seed) == (5, 1, None)
    assert t.run.module.mode == mode


def test_a_trace_within_a_loop_measures_what_passed():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    x = torch.randn(5, 6, dtype=torch.float64)
    hidden = torch.tanh(model[0](x)).detach().requires_grad_()
    out = model[2](hidden)
    out.retain_grad()
    out.square().sum().backward()
    model.zero_grad()
    with snstat.tracing(model) as t:
        model(x).square().sum().backward()
    row = t.run["1"]
    assert row.second_moment.estimate == pytest.approx(
        float(hidden.detach().square().mean()), rel=1e-12
    )
    ratio = float(hidden.grad.square().sum() / out.grad.square().sum())
    assert row.gradient.estimate == pytest.approx(ratio, rel=1e-9)
    assert t.run["2"].gradient.estimate == pytest.approx(1.0, rel=1e-12)
    first = t.run["input"].second_moment.estimate
    assert first == pytest.approx(float(x.square().mean()), rel=1e-12)
    assert t.run.simulation.dtype == "float64"


def test_two_calls_within_one_trace_are_two_rows():
    """Of a GAN's discriminator, say."""
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
    with snstat.tracing(model) as t:
        model(torch.randn(5, 6))
        model(torch.randn(5, 6))
    assert [row.name for row in t.run.module.rows][:4] == ["0#1", "1#1", "Sequential#1", "0#2"]
    assert "gradient" not in t.run.statistics


def test_hooks_are_taken_away_whatever_is_raised():
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
    x = torch.randn(5, 7)
    with untouched(model), pytest.raises(RuntimeError), snstat.tracing(model):
        model(x)
    with pytest.raises(InvalidValueError, match="a glob that matches"):
        snstat.tracing(model, only="nothing")


def test_what_cannot_be_traced_is_told():
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
    with pytest.raises(SnstatError, match=r"takes a torch\.nn\.Module, not a int"):
        snstat.tracing(3)
    with snstat.tracing(model) as t, pytest.raises(SnstatError, match="before the end"):
        _ = t.run
    with pytest.raises(SnstatError, match="was not called"):
        _ = t.run
    with pytest.raises(SnstatError, match="is over"), t:
        pass


def test_what_is_not_finite_is_found_within_a_loop():
    class Log(nn.Module):
        def forward(self, x):
            return torch.log(x)

    model = nn.Sequential(nn.Linear(6, 8), Log(), nn.Linear(8, 3))
    with snstat.tracing(model) as t:
        model(torch.randn(5, 6))
    found = t.run.module.nonfinite
    assert (found.path, found.call, found.kind, found.inputs_finite) == ("1", 1, "Log", True)
    assert "The first value that is not finite came out of 1 (Log)" in repr(t.run)


def test_tokens_and_dictionaries():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(50, 8), nn.Linear(8, 50)

        def forward(self, *, ids, mask):
            return {"logits": self.head(self.embed(ids) * mask[..., None]), "none": None}

    run = snstat.trace(Model, {"ids": "tokens:50:Bx7", "mask": "ones:Bx7"}, batch=3)
    assert run["embed"].call.shape == ("S", 7, 8)
    assert run["embed"].position_cosine.estimate is not None
    assert run.module.inputs == {"ids": "tokens:50:Bx7", "mask": "ones:Bx7"}
    (left,) = run.module.skipped
    assert (left.path, left.output, left.reason) == ("Model", ".none", "None")
    assert snstat.check(Model, inputs={"ids": "tokens:50:Bx7", "mask": "ones:Bx7"}).passed


def test_a_selu_network_agrees_with_propagate():
    """Two samplers that share nothing, of one network: |z| ≤ 4 in all rows and statistics. The last
    gradient is 1, without an error."""
    options = {"depth": 8, "width": 64}
    traced = snstat.trace(mlp, "Bx64", set=options, trials=64, batch=16)
    run = snstat.propagate("selu", **options, trials=64, batch=16, backward=True, seed=5)
    rows = [0, *(n for n in traced.module.main if n and traced.row(n).kind == "SELU")]
    assert len(rows) == 9
    for name in ("mean", "variance", "second_moment", "variance_over_batch",
                 "variance_over_units", "cosine", "gradient"):  # fmt: skip
        own, other = traced.statistics[name], run.statistics[name]
        first, second = own.estimate[rows], other.estimate
        if name == "gradient":
            first, second = np.log(first), np.log(second)
        error = np.hypot(own.stderr[rows], other.stderr)
        assert (error[:-1] > 0).all(), name
        assert (np.abs(first - second) <= 4 * error).all(), name


def test_assert_propagates_takes_a_module():
    assert assert_propagates(mlp, inputs="Bx32", set={"width": 32, "depth": 4}).passed
    with pytest.raises(AssertionError, match="SN301"):
        assert_propagates(_collapsing, inputs="Bx32", trials=2)


def _collapsing():
    layers = []
    for _ in range(96):
        linear = nn.Linear(64 if layers else 32, 64)
        nn.init.kaiming_normal_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers)


@pytest.mark.parametrize(
    ("option", "bound"),
    [
        ({"only": 3}, "a list of strings"),
        ({"only": [3]}, "a list of strings"),
        ({"axes": 3}, "a list of strings"),
        ({"axes": ["a"]}, "GLOB=AXES"),
        ({"axes": {"0": 3}}, "a mapping of strings to strings"),
        ({"axes": {"none": "S,U"}}, "a glob that matches the path of a module"),
        ({"batch": 0}, "from 1 to"),
    ],
)
@pytest.mark.parametrize("traced", [snstat.trace, snstat.tracing])
def test_arguments_of_other_types_are_refused(traced, option, bound):
    (name,) = option
    inputs = {"inputs": "Bx6"} if traced is snstat.trace else {}
    with pytest.raises(InvalidValueError, match=f"^{name} is .*{bound}"):
        traced(nn.Sequential(nn.Linear(6, 8), nn.ReLU()), **inputs, **option)


@pytest.mark.parametrize(
    ("option", "bound"), [({"read_out": 3}, "a string"), ({"set": 3}, "a mapping of names")]
)
def test_arguments_of_other_types_are_refused_by_a_trace(option, bound):
    (name,) = option
    with pytest.raises(InvalidValueError, match=f"^{name} is 3, but must be {bound}"):
        snstat.trace(mlp, "Bx128", **option)


def test_axes_within_a_loop_may_be_texts():
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
    with snstat.tracing(model, axes=["0=U,S"], only="0") as t:
        model(torch.randn(5, 6))
    assert t.run["0"].call.axes.unit == (0,)


def test_importing_snstat_loads_no_torch():
    program = (
        "import sys, snstat\nfrom snstat.cli import run\nrun(['trace', '--help'])\n"
        "snstat.trace, snstat.tracing\nsys.exit('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == 0
