"""Numbers, names, files and several values, in the forms that users type."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import snstat
from snstat.cli import COMMANDS, run

TINY = ["-d", "2", "-w", "8", "-b", "4", "-t", "2"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    # The checkout may contain a configuration of its own.
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)


def call(capsys, *arguments):
    code = run([*arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def stacks(capsys, *arguments):
    code, out, _ = call(capsys, *arguments, "-f", "json")
    assert code == 0
    return [entry["stack"] for entry in json.loads(out)["runs"]]


# Numbers and names


def test_numbers_may_be_written_in_common_forms(capsys):
    options = ["-d", "2**1", "-w", "1e1", "--weight-gain", "sqrt(2)", "--bias-std", "2/3"]
    (stack,) = stacks(capsys, "propagate", *options, "-b", "4", "-t", "2e0")
    assert (stack["depth"], stack["width"]) == (2, 10)
    assert stack["weight_gain"] == math.sqrt(2)
    assert stack["bias_std"] == pytest.approx(2 / 3, rel=1e-15)


@pytest.mark.parametrize(
    ("option", "typed", "meant"),
    [
        ("--activation", "ReLU", ("activation", "relu")),
        ("--activation", "Leaky-ReLU", ("activation", "leaky_relu")),
        ("--activation", "LeakyReLU", ("activation", "leaky_relu")),
        ("--activation", "swish", ("activation", "silu")),
        ("--activation", "Linear", ("activation", "identity")),
        ("--init", "kaiming_uniform", ("init", "he_uniform")),
        ("--init", "Xavier-Normal", ("init", "glorot_normal")),
        ("--init", "LECUN_NORMAL", ("init", "lecun_normal")),
    ],
)
def test_names_ignore_case_and_have_aliases(capsys, option, typed, meant):
    (stack,) = stacks(capsys, "propagate", *TINY, option, typed)
    key, value = meant
    assert stack[key] == value


@pytest.mark.parametrize(
    ("arguments", "flag", "near"),
    [
        (["propagate", "--activation", "sellu"], "--activation", "'selu'"),
        (["propagate", "-a", "sellu"], "-a", "'selu'"),
        (["propagate", "--init", "kaiming_norml"], "--init", "'kaiming_normal'"),
        (["propagate", "--sampler", "dens"], "--sampler", "'dense'"),
        (["propagate", "--dtype", "float23"], "--dtype", "'float32'"),
        (["propagate", "--format", "jsn"], "--format", "'json'"),
        (["plot", "--kind", "hist", "-o", "p.png"], "--kind", "'histogram'"),
        (["plot", "--style", "drak", "-o", "p.png"], "--style", "'dark'"),
        (["check", "--number-format", "flaot16"], "--number-format", "'float16'"),
        (["fixedpoint", "--map", "unti"], "--map", "'unit'"),
        (["check", "--select", "sn1011"], "--select", "'SN101'"),
        (["check", "--explain", "SN2O2"], "--explain", "'SN202'"),
        (["propagate", "--columns", "varience"], "--columns", "'variance'"),
        (["schema", "propagatoin"], "name", "'propagation'"),
        (["propagat"], "command", "'propagate'"),
    ],
)
def test_errors_suggest_the_nearest_choice(capsys, arguments, flag, near):
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"snstat: error: {flag} is ")
    assert err.endswith(f"did you mean {near}?\n")


def test_an_unknown_option_suggests_the_nearest(capsys):
    code, _, err = call(capsys, "propagate", "--wieght-gain", "1")
    assert code == 2
    assert "--weight-gain" in err


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (["--weight-gain", "-1"], "--weight-gain is -1.0, but"),
        (["--depth", "0"], "--depth is 0, but"),
        (["-d", "0"], "-d is 0, but"),
        (["-d0"], "-d is 0, but"),
        (["--input-std", "x"], "--input-std is 'x', but"),
        (["--width=1.5"], "--width is '1.5', but"),
        (["--layers", "2-1"], "--layers is '2-1', but"),
        (["-w", "4", "--widths", "4,4"], "-w is 4, but"),
        (["--width=4", "--widths", "4,4"], "--width is 4, but"),
    ],
)
def test_errors_name_the_flag_as_it_was_typed(capsys, arguments, start):
    code, _, err = call(capsys, "propagate", *arguments)
    assert code == 2
    assert err.startswith(f"snstat: error: {start}")


def test_errors_name_the_key_in_a_configuration(capsys):
    Path("snstat.toml").write_text("[check]\nweight-gain = -1.0\n", encoding="utf-8")
    code, _, err = call(capsys, "check")
    assert code == 2
    assert "weight-gain is -1.0" in err
    assert "--weight-gain" not in err


# Files


@pytest.mark.parametrize(
    ("command", "name", "begins"),
    [
        ("propagate", "run.json", '{"schema": "snstat.propagation'),
        ("propagate", "run.CSV", "run,"),
        ("propagate", "run.md", "#"),
        ("propagate", "run.txt", "SELU"),
        ("check", "run.xml", "<?xml"),
        ("check", "run.json", '{\n "schema": "snstat.check'),
        ("check", "run.md", "### snstat check"),
        ("plot", "run.svg", "<?xml"),
        ("fixedpoint", "run.json", '{\n "schema": "snstat.fixedpoint'),
        ("fixedpoint", "run.csv", ""),
    ],
)
def test_the_file_name_sets_the_format(capsys, command, name, begins):
    options = [] if command == "fixedpoint" else TINY
    code, out, err = call(capsys, command, *options, "-o", name)
    assert (code, out) == (0, "")
    assert err.startswith(f"snstat: wrote {name}: ")
    assert Path(name).read_text(encoding="utf-8").lstrip().lower().startswith(begins.lower())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["propagate", "-f", "csv", "-o", "run.json"], "csv"),
        (["check", "-f", "table", "-o", "run.xml"], "junit"),
        (["fixedpoint", "-f", "json", "-o", "run.md"], "markdown"),
        (["plot", "--format", "pdf", "-o", "run.svg"], "svg"),
        (["propagate", "-o", "run.png"], "snstat plot"),
        (["propagate", "-o", "run.xml"], ".json, .csv, .md"),
        (["plot", "-o", "run.json"], ".png, .svg, .pdf or .html"),
    ],
)
def test_a_name_that_contradicts_the_format_is_refused(capsys, arguments, words):
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert words in err
    assert not list(Path().glob("run*"))


def test_a_partial_run_is_reported_as_partial(capsys, monkeypatch):
    from dataclasses import replace

    from snstat.engine import simulate

    real = simulate.simulate

    def interrupted(*arguments, **options):
        measured = real(*arguments, **options)
        if arguments[0].width != 8:  # the kernels are being compiled
            return measured
        kept = {name: getattr(measured, name)[:2] for name in ("estimate", "stderr", "finite")}
        return replace(measured, interrupted=True, **kept)

    monkeypatch.setattr(simulate, "simulate", interrupted)
    code, _, err = call(capsys, "propagate", *TINY, "-o", "run.json")
    assert code == 130
    assert err.endswith("snstat: wrote run.json: layers 0 to 1 of 2, marked partial\n")
    assert json.loads(Path("run.json").read_text(encoding="utf-8"))["runs"][0]["partial"]
    code, _, err = call(capsys, "plot", *TINY, "-o", "run.svg")
    assert code == 130
    assert err.endswith("wrote run.svg: trajectory, svg, layers 0 to 1 of 2, marked partial\n")


@pytest.mark.parametrize(
    ("command", "name", "more"),
    [
        ("propagate", "run.json", ""),
        ("plot", "run.png", ""),
        ("check", "run.xml", "snstat: interrupted: a part of a run is not judged\n"),
    ],
)
def test_an_interrupt_before_there_is_a_result_says_so(capsys, monkeypatch, command, name, more):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("snstat.experiment.plan.Plan.run", interrupted)
    Path(name).write_text("of before")
    told = f"snstat: interrupted: nothing was written to {name}\n{more}"
    assert call(capsys, command, *TINY, "-o", name) == (130, "", told)
    assert Path(name).read_text() == "of before"
    assert call(capsys, command, *TINY, "-q", "-o", name) == (130, "", "")


def test_quiet_prints_nothing_and_verbose_prints_more(capsys):
    assert call(capsys, "propagate", *TINY, "-q", "-o", "run.json") == (0, "", "")
    _, _, err = call(capsys, "propagate", *TINY, "-v", "-o", "run.json")
    assert "sampler" in err
    assert call(capsys, "check", *TINY, "-q", "--select", "SN1") == (0, "", "")
    code, _, err = call(capsys, "check", *TINY, "-q", "-v")
    assert (code, err.count("\n")) == (2, 1)
    # Both options apply to one command only.
    assert call(capsys, "propagate", *TINY, "-o", "run.json")[2]


# Several runs


def test_comma_separated_or_repeated_values_give_several_runs(capsys):
    found = stacks(capsys, "propagate", *TINY, "-a", "relu,selu", "--weight-gain", "1,1.5")
    assert [(stack["activation"], stack["weight_gain"]) for stack in found] == [
        ("relu", 1.0),
        ("relu", 1.5),
        ("selu", 1.0),
        ("selu", 1.5),
    ]
    repeated = ["--init", "he_normal", "--init", "he_uniform,kaiming_normal"]
    found = stacks(capsys, "propagate", *TINY, *repeated)
    assert [stack["init"] for stack in found] == ["he_normal", "he_uniform"]


def test_all_runs_are_validated_before_the_first_starts(capsys, monkeypatch):
    monkeypatch.setattr("snstat.experiment.plan.Plan.run", None)
    code, _, err = call(capsys, "propagate", "-d", "2", "--width", "8,0", "-t", "2")
    assert code == 2
    assert "--width is 0" in err
    code, _, err = call(capsys, "propagate", "--seed", ",".join(map(str, range(1001))))
    assert code == 2
    assert "at most 1,000" in err


def test_a_file_name_may_contain_a_comma(capsys):
    rows = np.random.default_rng(0).standard_normal((6, 8))
    for name in ("a,b.npy", "a", "b.npy"):
        with Path(name).open("wb") as file:
            np.save(file, rows)
    for given, names in (("a,b.npy", ["a,b.npy"]), ("a,./b.npy", ["a", "./b.npy"])):
        _, out, _ = call(capsys, "propagate", "-d", "2", "-w", "8", "--inputs", given, "-f", "json")
        seen = [entry["simulation"]["inputs"] for entry in json.loads(out)["runs"]]
        assert seen == names


def test_several_values_give_several_checks(capsys):
    code, out, _ = call(
        capsys, "check", *TINY, "--weight-gain", "1,20", "--select", "SN102", "-f", "json"
    )
    form = json.loads(out)
    assert code == 1
    assert [check["name"] for check in form["checks"]] == ["weight-gain 1", "weight-gain 20"]
    assert [check["passed"] for check in form["checks"]] == [True, False]
    # Several values of a bound give several checks too.
    _, out, _ = call(capsys, "check", *TINY, "--second-moment-max", "1e9,1.0001", "-f", "json")
    assert len(json.loads(out)["checks"]) == 2


def test_several_checks_are_compared_with_a_baseline_of_one_run(capsys):
    call(capsys, "check", *TINY[:-1], "8", "-q", "--write-baseline", "base.json")
    options = ["--baseline", "base.json", "--weight-gain", "1,3", "--select", "SN701"]
    _, out, _ = call(capsys, "check", *options, "-f", "json")
    assert [check["passed"] for check in json.loads(out)["checks"]] == [True, False]


CONFIG = """[check]
depth = 2
width = 8
batch = 4
trials = 2
select = ["SN1"]
[check.first]
activation = "relu"
[check.second]
weight-gain = 50.0
"""


def test_only_runs_the_named_checks(capsys):
    Path("snstat.toml").write_text(CONFIG, encoding="utf-8")
    assert call(capsys, "check")[0] == 1
    code, out, _ = call(capsys, "check", "--only", "First", "-f", "json")
    assert code == 0
    assert [check["name"] for check in json.loads(out)["checks"]] == ["first"]
    code, _, err = call(capsys, "check", "--only", "secnd")
    assert code == 2
    assert "did you mean 'second'" in err


def test_the_report_has_time_file_and_line(capsys):
    Path("snstat.toml").write_text(CONFIG, encoding="utf-8")
    call(capsys, "check", "-o", "report.xml")
    cases = ET.parse("report.xml").findall(".//testcase")  # noqa: S314  # our own report
    assert [case.get("file") for case in cases] == ["snstat.toml"] * 2
    assert [case.get("line") for case in cases] == ["7", "9"]
    assert all(0 < float(case.get("time")) < 600 for case in cases)


@pytest.mark.parametrize("kind", ["trajectory", "correlation"])
def test_several_files_make_one_picture(capsys, kind):
    for name, gain in (("a", "1"), ("b", "1.5")):
        call(capsys, "propagate", *TINY, "--weight-gain", gain, "-o", f"{name}.json")
    code, _, err = call(capsys, "plot", "a.json", "b.json", "--kind", kind, "-o", "both.svg")
    assert (code, err) == (0, f"snstat: wrote both.svg: {kind}, svg\n")


@pytest.mark.parametrize("columns", ["0", "-3", "x"])
def test_a_terminal_of_unknown_width_shows_everything(monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert run(["propagate", *TINY]) == 0
    assert "Verdict" in capsys.readouterr().out
    assert "Verdict" in repr(snstat.propagate(depth=2, width=8, batch=4))


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--inputs", "norml"], "did you mean 'normal'?"),
        (["--layers", "lats"], "did you mean 'last'?"),
        (["--columns", "dead"], "did you mean 'dead_fraction'?"),
        (["--init", "he_norm"], "did you mean 'he_normal'?"),
        (["-a", "leaky"], "did you mean 'leaky_relu'?"),
        # No other number of bits is meant.
        (["--dtype", "float16"], "must be one of float32, float64\n"),
    ],
)
def test_the_nearest_name_is_suggested(capsys, arguments, hint):
    code, _, err = call(capsys, "propagate", *TINY, *arguments)
    assert code == 2
    assert err.endswith(f"{hint}\n" if hint[-1] == "?" else hint)


def test_names_of_inputs_match_in_any_case(capsys):
    assert call(capsys, "propagate", *TINY, "--inputs", "Normal")[0] == 0
    Path("norml").write_bytes(b"")
    assert "norml: " in call(capsys, "propagate", *TINY, "--inputs", "norml")[2]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--kind", "histogram", "-a", "relu,tanh", "-o", "h.png"], "1 with --kind histogram"),
        (["--kind", "heatmap", "-a", "relu,tanh", "-o", "h.png"], "1 with --kind heatmap"),
        (["--dpi", "100", "-o", "x.svg"], "--dpi cannot be used with svg"),
        (["-f", "pdf", "-o", "x.svg"], "pdf"),
        (["--kind", "map", "--residuals", "-o", "m.png"], "--residuals cannot be used"),
    ],
)
def test_pictures_refuse_what_they_would_ignore(capsys, arguments, told):
    tiny = [] if "map" in arguments else TINY
    code, _, err = call(capsys, "plot", *tiny, *arguments)
    assert code == 2
    assert told in err
    assert [path for path in Path().iterdir() if path.suffix] == []


def test_what_is_switched_off_already_may_be_switched_off(capsys):
    assert call(capsys, "plot", "--kind", "map", "--no-caption", "-f", "svg", "-o", "m")[0] == 0
    assert "svg" in Path("m").read_text(encoding="utf-8")


def test_a_name_of_an_unwritten_format_lists_the_written_ones(capsys):
    code, _, err = call(capsys, "propagate", *TINY, "-o", "p.xml")
    assert code == 2
    assert "must be named .json, .csv, .md or .markdown; or choose the format with -f" in err


def test_gradients_of_constant_networks_become_0(capsys):
    words = ["-a", "softplus", "--weight-gain", "0", *TINY, "--select", "SN201"]
    out = " ".join(call(capsys, "check", *words)[1].split())
    assert "squared gradients become 0 from layer" in out
    assert "×0" not in out


# Help


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_on_80_columns_and_breaks_no_flag(capsys, monkeypatch, name, flag):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = call(capsys, name, flag)
    assert code == 0
    lines = out.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert [line for line in lines if line.endswith("-")] == []
    # What keeps flags whole stays within.
    assert "\u2011" not in out


def test_help_is_ascii_where_output_is(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, "ascii"))
    assert run(["propagate", "--help"]) == 0
    assert raw.getvalue().isascii()
    assert b"--weight-gain G" in raw.getvalue()
