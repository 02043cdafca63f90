"""`snstat trace`, and modules as subjects of other commands, with a tracer that runs no code."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import snstat
from snstat import cli
from snstat.experiment import trace
from snstat.testing import assert_propagates
from tests.traces import ROWS, SUMMARY, Traced, make_traced, make_traced_run

TARGET = "models:resnet"


class Tracer:
    """Returns what a tracer would, and keeps what it was called with."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.options: dict[str, Any] = {}
        self.inputs = SUMMARY.inputs

    def __call__(self, target: Any, **options: Any) -> Traced:
        self.calls.append({"target": target, **options})
        trials = options["trials"]
        rows = tuple(replace(row, trials=min(row.trials, trials)) for row in ROWS)
        rows = tuple(replace(row, trials=trials) if row.trials > 3 else row for row in rows)
        summary = replace(
            SUMMARY, target=str(target), settings=dict(options["settings"]), rows=rows,
            mode=options["mode"], inputs=self.inputs,
        )  # fmt: skip
        return make_traced(summary, trials=trials, seed=options["seed"],
                           batch=options["batch"] or 8, backward=options["backward"],
                           **self.options)  # fmt: skip


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Tracer:
    found = Tracer()
    monkeypatch.setattr(trace, "_tracer", lambda _target: found)
    monkeypatch.chdir(tmp_path)
    return found


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    return printed.err


def test_the_table_of_a_trace(tracer: Tracer, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["trace", TARGET, "--input", "Bx3x8x8"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("ResNet · 9 modules, 10 calls · train mode")
    assert "Verdict: stable" in text
    assert " layer1.relu#2 " in text
    (call,) = tracer.calls
    assert call == {
        "target": TARGET, "settings": {}, "inputs": ["Bx3x8x8"], "batch": None, "trials": 4,
        "seed": 0, "dtype": None, "mode": "train", "dropout": "keep", "backward": True,
        "loss": None, "output": None, "only": (), "leaves": False, "ops": False, "axes": {},
        "device": None, "weights": None, "max_bytes": None,
    }  # fmt: skip


def test_options_reach_the_tracer(tracer: Tracer) -> None:
    words = [
        "trace", TARGET, "--set", "width=16", "--set", "sizes=[1, 2]", "--set", "name=gelu",
        "--input", "x=Bx3", "--input", "y=tokens:7:Bx2", "-b", "4", "-t", "3", "-s", "9", "--mode",
        "eval", "--dropout", "off", "--no-backward", "--loss", "models:loss", "--read-out", "a*",
        "--only", "layer1*", "--only", "fc", "--leaves", "--ops", "--axes", "fc*=S,U", "--dtype",
        "BF16", "--device", "cpu", "--weights", "w.npz", "--max-bytes", "1e6",
    ]  # fmt: skip
    assert cli.run(words) == 0
    assert tracer.calls == [
        {
            "target": TARGET, "settings": {"width": 16, "sizes": [1, 2], "name": "gelu"},
            "inputs": ["x=Bx3", "y=tokens:7:Bx2"], "batch": 4, "trials": 3, "seed": 9,
            "dtype": "bfloat16", "mode": "eval", "dropout": "off", "backward": False,
            "loss": "models:loss", "output": "a*", "only": ("layer1*", "fc"), "leaves": True,
            "ops": True, "axes": {"fc*": "S,U"}, "device": "cpu", "weights": "w.npz",
            "max_bytes": 10**6,
        }
    ]  # fmt: skip


def test_arguments_come_from_a_file(tracer: Tracer, capsys: pytest.CaptureFixture[str]) -> None:
    x, mask = np.ones((5, 3)), np.zeros((5, 2))
    np.savez("in.npz", x=x, mask=mask)
    assert cli.run(["trace", TARGET, "--inputs", "in.npz", "--input", "y=Bx3"]) == 0
    inputs = tracer.calls[0]["inputs"]
    assert set(inputs) == {"x", "mask", "y"}
    np.testing.assert_array_equal(inputs["x"], x)
    assert inputs["y"] == "Bx3"
    inputs = {"x": "float64:Bx3", "mask": "float64:Bx2", "y": "Bx3"}
    tracer.inputs = inputs
    run = snstat.trace(TARGET, "in.npz", input=("y=Bx3",))
    told = {name: f"{inputs[name]} of in.npz" for name in ("x", "mask")} | {"y": "Bx3"}
    assert run.module is not None
    assert run.module.inputs == told
    assert run.simulation.inputs == ", ".join(f"{name}={text}" for name, text in told.items())
    tracer.calls.pop()
    np.save("in.npy", x)
    assert cli.run(["trace", TARGET, "--inputs", "in.npy"]) == 0
    (only,) = tracer.calls[1]["inputs"]
    np.testing.assert_array_equal(only, x)
    capsys.readouterr()
    words = refused(["trace", TARGET, "--inputs", "in.npz", "--input", "Bx3"], capsys)
    assert "NAME=SPEC beside --inputs" in words


def test_forms(tracer: Tracer, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["trace", TARGET, "-o", "run.json"]) == 0
    run = snstat.load("run.json")
    assert run.module is not None
    assert run.module.target == TARGET
    capsys.readouterr()
    assert cli.run(["trace", TARGET, "-f", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows[5]["path"] == "layer1.relu"
    assert cli.run(["trace", TARGET, "-f", "markdown", "--layers", "layer1.relu"]) == 0
    text = capsys.readouterr().out
    assert "layer1.relu#1" in text
    assert "conv1" not in text
    assert cli.run(["trace", TARGET, "-f", "json", "--keep-trials"]) == 0
    assert "trials" in json.loads(capsys.readouterr().out)["runs"][0]
    assert len(tracer.calls) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["models"], "target is 'models', but must be a Python name"),
        (["models:re-net"], "must be a Python name"),
        (["a b:c"], "must be a Python name"),
        ([TARGET, "--batch", "0"], "--batch is 0, but must be"),
        ([TARGET, "--mode", "test"], "--mode is 'test', but must be one of eval, train"),
        ([TARGET, "--dtype", "float8"], "--dtype is 'float8'"),
        ([TARGET, "--loss", "loss"], "--loss is 'loss', but must be a Python name"),
        ([TARGET, "--axes", "fc"], "--axes is 'fc', but must be GLOB=AXES"),
        ([TARGET, "--set", "width"], "--set is 'width', but must be NAME=VALUE"),
        ([TARGET, "--set", "w=1", "--set", "w=2"], "--set is given twice for one argument"),
        ([TARGET, "--inputs", "none.npz"], "none.npz"),
        ([TARGET, "--layers", "nothing"], "must be the name of a layer of models:resnet"),
        ([TARGET, "--layers", "99"], "at most the depth, 10"),
        ([TARGET, "--keep-trials"], "--keep-trials cannot be used in a table"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    tracer: Tracer, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in refused(["trace", *arguments], capsys)
    assert bool(tracer.calls) == ("--layers" in arguments)  # whose names only a run knows


def test_without_torch_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from snstat.sources import extra

    monkeypatch.setattr(extra, "find_spec", lambda _name: None)
    words = "snstat: error: tracing a module needs torch: pip install 'snstat[torch]'\n"
    assert refused(["trace", TARGET, "--input", "Bx3"], capsys) == words
    assert refused(["check", TARGET, "--input", "Bx3"], capsys) == words
    others = {
        "keras:models:mlp": "a Keras model needs keras: pip install 'snstat[keras]'",
        "nnx:models:mlp": "a module of Flax needs flax: pip install 'snstat[flax]'",
        "model.onnx": "an ONNX file needs onnx: pip install 'snstat[onnx]'",
    }
    for target, told in others.items():
        for command in ("trace", "check", "plot"):
            arguments = [command, target, "--input", "Bx3"]
            arguments += ["-o", "a.svg"] if command == "plot" else []
            assert refused(arguments, capsys) == f"snstat: error: tracing {told}\n"
    with pytest.raises(snstat.errors.SnstatError, match="needs torch"):
        snstat.tracing(object())


def test_check_takes_a_module(tracer: Tracer, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["check", TARGET, "--input", "Bx3x8x8", "--trials", "3", "--set", "width=8,16"]
    assert cli.run(words) == 0
    text = capsys.readouterr().out
    assert "passed models:resnet, width 8: stable" in text
    assert "passed models:resnet, width 16: stable" in text
    assert [call["settings"] for call in tracer.calls] == [{"width": 8}, {"width": 16}]
    assert tracer.calls[0]["trials"] == 3
    assert tracer.calls[0]["inputs"] == ["Bx3x8x8"]
    assert tracer.calls[0]["backward"] is True


def test_check_fails_with_the_row(tracer: Tracer, capsys: pytest.CaptureFixture[str]) -> None:
    tracer.options = {"growth": 8.0}
    assert cli.run(["check", TARGET, "-f", "json"]) == 1
    (check,) = json.loads(capsys.readouterr().out)["checks"]
    finding = next(found for found in check["findings"] if found["code"] == "SN102")
    assert (finding["layer"], finding["path"]) == (4, "layer1.relu#1")
    assert check["module"]["target"] == TARGET


def test_check_and_plot_read_a_saved_trace(
    tracer: Tracer, capsys: pytest.CaptureFixture[str]
) -> None:
    snstat.save(make_traced_run(), "run.json")
    assert cli.run(["check", "run.json"]) == 0
    assert capsys.readouterr().out.startswith(f"passed {TARGET}: stable")
    assert cli.run(["plot", "run.json", "-o", "run.svg"]) == 0
    capsys.readouterr()
    words = refused(["plot", "run.json", "--kind", "histogram", "-o", "h.svg"], capsys)
    assert "cannot be simulated again" in words
    assert tracer.calls == []


def test_plot_takes_a_module(tracer: Tracer, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plot", TARGET, "--input", "x=Bx3", "--input", "y=Bx2", "-b", "4", "-o", "p.svg"]
    assert cli.run(words) == 0
    assert tracer.calls[0]["inputs"] == ["x=Bx3", "y=Bx2"]
    assert tracer.calls[0]["batch"] == 4
    capsys.readouterr()
    words_of = refused(["plot", TARGET, "--kind", "map", "-o", "p.svg"], capsys)
    assert "--kind map is for uniform stacks" in words_of


def test_options_of_stacks_and_modules_exclude_each_other(
    tracer: Tracer, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["check"], ["plot", "-o", "p.svg"]):
        words = refused([*command, TARGET, "--depth", "3"], capsys)
        assert "--depth cannot be used beside a module" in words
        assert "sampler" in refused([*command, TARGET, "--sampler", "dense"], capsys)
        assert "is a module; give it alone" in refused([*command, TARGET, "run.json"], capsys)
        assert "mode" in refused([*command, "--mode", "eval"], capsys)
    assert "depth_limit" in refused(["check", TARGET, "--depth-limit", "99"], capsys).replace(
        "--depth-limit", "depth_limit"
    )
    assert tracer.calls == []


def test_other_commands_say_what_to_use(tracer: Tracer, capsys: pytest.CaptureFixture[str]) -> None:
    words = refused(["propagate", TARGET], capsys)
    assert "is the name of a module, and no network file; trace a module with: snstat" in words
    assert tracer.calls == []


def test_a_saved_trace_is_shown_again(tracer: Tracer, capsys: pytest.CaptureFixture[str]) -> None:
    snstat.save(make_traced_run(), "run.json")
    assert cli.run(["trace", TARGET]) == 0
    traced = capsys.readouterr().out
    tracer.calls.clear()
    assert cli.run(["show", "run.json"]) == 0
    assert capsys.readouterr().out == traced
    for form in ("json", "csv", "markdown"):
        assert cli.run(["show", "run.json", "-f", form, "--layers", "fc"]) == 0
        assert "fc" in capsys.readouterr().out
    assert "is 99, but must be" in refused(["show", "run.json", "--layers", "99"], capsys)
    assert "--batch" in refused(["show", "run.json", "--batch", "3"], capsys)
    assert tracer.calls == []


def test_a_file_of_the_name_of_a_module_is_a_file(tracer: Tracer) -> None:
    snstat.save(make_traced_run(), TARGET)
    assert cli.run(["check", TARGET]) == 0
    assert tracer.calls == []


# ----------------------------------------------------------------------------- configurations

CONFIG = """[check]
trials = 3
[check.net]
module = "models:resnet"
input = ["Bx3x8x8"]
set = { width = 8 }
mode = "eval"
dtype = "bfloat16"
[check.stack]
depth = 2
width = 8
"""


def test_a_configuration_names_a_module(
    tracer: Tracer, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "snstat.toml").write_text(CONFIG)
    assert cli.run(["check", "--config", "snstat.toml"]) == 0
    text = capsys.readouterr().out
    assert "passed net: stable" in text
    assert "passed stack: " in text
    (call,) = tracer.calls
    assert call["inputs"] == ["Bx3x8x8"]
    assert (call["settings"], call["mode"], call["trials"]) == ({"width": 8}, "eval", 3)
    assert call["dtype"] == "bfloat16"


def test_a_configuration_that_nobody_named_runs_no_code(
    tracer: Tracer, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "snstat.toml").write_text(CONFIG)
    words = refused(["check"], capsys)
    assert "snstat.toml:3: the check 'net' names a module, which runs its code" in words
    assert "--allow-code" in words
    assert tracer.calls == []
    assert cli.run(["check", "--only", "stack"]) == 0
    assert tracer.calls == []
    assert cli.run(["check", "--allow-code"]) == 0
    assert len(tracer.calls) == 1


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('module = "models"', "must be a Python name"),
        ("module = 3", "module is 3"),
        ('module = "models:f"\nnetwork = "a.toml"', "network"),
        ('module = "models:f"\nactivation = "relu"', "activation"),
        ('module = "models:f"\nsampler = "dense"', "left out beside a module"),
        ('mode = "eval"', "left out without a module"),
        ('dtype = "bfloat16"', "dtype"),
        ('module = "models:f"\ninput = "Bx3"', "a list of strings"),
    ],
)
def test_errors_of_a_configuration_name_it(
    tracer: Tracer, tmp_path: Any, lines: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "snstat.toml").write_text(f"[check.net]\n{lines}\n")
    told = refused(["check", "--config", "snstat.toml"], capsys)
    assert words in told
    assert "snstat.toml:1" in told
    assert tracer.calls == []


# ----------------------------------------------------------------------------------- baselines


def test_a_module_is_compared_with_its_baseline(
    tracer: Tracer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["check", TARGET, "--write-baseline", "base.json"]) == 0
    assert cli.run(["check", TARGET, "--baseline", "base.json"]) == 0
    assert [call["seed"] for call in tracer.calls] == [0, 1]
    tracer.options = {"moment": 1.5}
    assert cli.run(["check", TARGET, "--baseline", "base.json"]) == 1
    assert "SN701" in capsys.readouterr().out
    tracer.options = {}
    assert cli.run(["check", TARGET, "--baseline", "base.json", "--same-seed"]) == 0
    assert tracer.calls[-1]["seed"] == 0


def test_a_baseline_does_not_name_the_code_to_run(
    tracer: Tracer, capsys: pytest.CaptureFixture[str]
) -> None:
    snstat.save(make_traced_run(), "base.json")
    words = refused(["check", "--baseline", "base.json"], capsys)
    assert "snstat check models:resnet" in words
    assert tracer.calls == []


# -------------------------------------------------------------------------------------- Python


def test_python_traces_objects(tracer: Tracer) -> None:
    def factory() -> None: ...

    run = snstat.trace(factory, {"x": "Bx3"}, trials=3, axes={"fc": "S,U"}, set={"width": 4})
    assert run.module is not None
    call = tracer.calls[0]
    assert (call["target"], call["inputs"]) == (factory, {"x": "Bx3"})
    assert (call["axes"], call["settings"]) == ({"fc": "S,U"}, {"width": 4})


def test_arguments_that_no_file_can_hold_are_told(tracer: Tracer, tmp_path: Any) -> None:
    run = snstat.trace(lambda: None, set={"norm": dict, "sizes": (1, 2), "rate": 0.5})
    snstat.save(run, tmp_path / "run.json")
    again = snstat.load(tmp_path / "run.json")
    assert again.module is not None
    assert again.module.settings == {"norm": "<class 'dict'>", "sizes": [1, 2], "rate": 0.5}
    assert tracer.calls[0]["settings"]["norm"] is dict


def test_assert_propagates_takes_modules(tracer: Tracer) -> None:
    assert assert_propagates(TARGET, inputs="Bx3", trials=3).passed
    assert assert_propagates(lambda: None, inputs="Bx3", trials=3, set={"width": 2}).passed
    assert tracer.calls[1]["settings"] == {"width": 2}
    tracer.options = {"growth": 8.0}
    with pytest.raises(AssertionError, match="SN102"):
        assert_propagates(lambda: None, inputs="Bx3")


def test_a_trace_needs_a_target() -> None:
    with pytest.raises(snstat.errors.InvalidValueError, match="target"):
        snstat.trace()
