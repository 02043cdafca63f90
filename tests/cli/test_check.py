"""`snstat check` as a command: verdicts, exit codes and files."""

from __future__ import annotations

import io
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from numba import config

from snstat import cli
from snstat.checks.rules import CODES, pages

LONG = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="slow without compiled kernels")
SMALL = ["check", "--depth", "8", "--width", "32", "--batch", "4", "--trials", "4"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    # The checkout may contain a configuration of its own.
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)


def listing():
    return sorted(path.name for path in Path().iterdir())


def call(capsys, *arguments):
    code = cli.run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def document(capsys, *arguments, expected=(0, 1)):
    code, out, _ = call(capsys, *arguments, "-f", "json")
    assert code in expected
    form = json.loads(out)
    assert code == (0 if form["passed"] else 1)
    return form


def codes(form, number=0):
    return {finding["code"] for finding in form["checks"][number]["findings"]}


def test_a_sound_stack_passes(capsys):
    code, out, _ = call(capsys, *SMALL)
    assert code == 0
    assert out.splitlines()[0].startswith("passed default: self-normalizing")


@LONG
def test_a_deep_selu_stack_fails_for_its_gradients(capsys):
    form = document(capsys, "check", "-d", "512", "-w", "64", "-b", "4", "-t", "4")
    check = form["checks"][0]
    assert (check["verdict"], check["passed"]) == ("gradient-exploding", False)
    finding = next(entry for entry in check["findings"] if entry["code"] == "SN202")
    assert finding["layer"] == 0
    assert finding["value"] == pytest.approx(2.35e15, rel=0.01)
    assert finding["bound"] == pytest.approx(1e6)
    assert finding["message"].endswith(finding["remedy"])


def test_several_activations_are_several_checks(capsys):
    form = document(capsys, *SMALL, "-a", "selu", "-a", "relu", "-a", "sigmoid")
    assert [check["name"] for check in form["checks"]] == ["selu", "relu", "sigmoid"]
    assert form["checks"][2]["verdict"] == "collapsed"


def test_selecting_and_ignoring_rules_does_not_change_the_verdict(capsys):
    bad = [*SMALL, "-a", "gelu", "--fluctuation-max", "2"]
    assert codes(document(capsys, *bad)) == {"SN101"}
    ignored = document(capsys, *bad, "--ignore", "SN1")
    assert ignored["checks"][0]["verdict"] == "vanishing"
    assert ignored["passed"]
    assert document(capsys, *bad, "--select", "SN202")["passed"]


def test_bounds_are_options(capsys):
    assert document(capsys, *SMALL)["passed"]
    strict = document(capsys, *SMALL, "--gradient-decades", "0.1")
    assert codes(strict) == {"SN202"}
    assert codes(document(capsys, *SMALL, "--target-mean", 1, "--target-variance", 3)) == {"SN104"}


def test_a_saved_run_is_judged_without_simulating(capsys, monkeypatch):
    call(capsys, "propagate", *SMALL[1:], "-a", "gelu", "-f", "json", "-o", "run.json")
    direct = document(capsys, *SMALL, "-a", "gelu")
    monkeypatch.setattr("snstat.engine.simulate.simulate", None)
    saved = document(capsys, "check", "run.json")
    assert saved["checks"][0]["findings"] == direct["checks"][0]["findings"]
    code, _, err = call(capsys, "check", "run.json", "--depth", "3")
    assert code == 2
    assert "--depth" in err


def test_a_partial_saved_run_is_refused(capsys):
    call(capsys, "propagate", *SMALL[1:], "-f", "json", "-o", "run.json")
    text = Path("run.json").read_text(encoding="utf-8")
    Path("run.json").write_text(text.replace('"partial": false', '"partial": true'), "utf-8")
    code, out, err = call(capsys, "check", "run.json")
    assert (code, out) == (2, "")
    assert "partial" in err


def test_a_file_with_several_runs_gives_several_checks(capsys):
    call(
        capsys, "propagate", *SMALL[1:], "-a", "gelu", "-a", "selu", "-f", "json", "-o", "two.json"
    )
    form = document(capsys, "check", "two.json")
    assert [(check["name"], check["passed"]) for check in form["checks"]] == [
        ("gelu", False),
        ("selu", True),
    ]


def test_only_a_changed_stack_differs_from_its_baseline(capsys):
    assert call(capsys, *SMALL, "--write-baseline", "base.json")[0] == 0
    # Options left out are taken from the baseline: the same stack with another seed.
    form = document(capsys, "check", "--baseline", "base.json")
    assert form["passed"]
    assert form["checks"][0]["stack"]["width"] == 32
    assert form["checks"][0]["simulation"]["seed"] != 0
    assert form["checks"][0]["baseline"] == "base.json"
    changed = document(capsys, "check", "--baseline", "base.json", "--weight-gain", "1.5")
    assert "SN701" in codes(changed)
    assert any("weight gain is 1.5, was 1.0" in note for note in changed["checks"][0]["notes"])


def test_with_the_same_seed_results_must_be_identical(capsys):
    call(capsys, *SMALL, "--write-baseline", "base.json")
    form = document(capsys, "check", "--baseline", "base.json", "--same-seed")
    assert form["passed"]
    assert form["checks"][0]["simulation"]["seed"] == 0
    changed = ["--weight-gain", "1.0000001"]
    form = document(capsys, "check", "--baseline", "base.json", "--same-seed", *changed)
    assert codes(form) == {"SN701"}
    code, _, err = call(capsys, *SMALL, "--same-seed")
    assert (code, "baseline" in err) == (2, True)
    code, _, err = call(capsys, "check", "--baseline", "base.json", "--same-seed", "-s", "3")
    assert (code, "0, as in the baseline" in err) == (2, True)


def test_two_saved_runs_are_compared(capsys):
    for seed, gain, name in ((1, 1.0, "a"), (2, 1.0, "b"), (3, 1.5, "c")):
        call(capsys, "propagate", *SMALL[1:], "-s", seed, "--weight-gain", gain, "-f", "json",
             "-o", f"{name}.json")  # fmt: skip
    assert "SN701" not in codes(document(capsys, "check", "a.json", "--baseline", "b.json"))
    assert "SN701" in codes(document(capsys, "check", "c.json", "--baseline", "b.json"))


def test_a_check_without_a_name_uses_the_baseline_of_its_activation(capsys, monkeypatch):
    call(capsys, *SMALL, "-a", "selu", "-a", "relu", "--write-baseline", "two.json")
    select = ["--select", "SN7"]
    assert document(capsys, "check", "-a", "relu", "--baseline", "two.json", *select)["passed"]
    call(capsys, "propagate", *SMALL[1:], "-a", "relu", "-s", 5, "-f", "json", "-o", "relu.json")
    assert document(capsys, "check", "relu.json", "--baseline", "two.json", *select)["passed"]
    code, _, err = call(capsys, "check", "-d", 3, "--baseline", "two.json")
    assert (code, "choose one with --activation" in err) == (2, True)
    # Standard input is read once, for all checks.
    both = ["check", "-a", "selu", "-a", "relu", "--baseline", "-"]
    file = io.TextIOWrapper(io.BytesIO(Path("two.json").read_bytes()))
    monkeypatch.setattr("sys.stdin", file)
    assert document(capsys, *both, *select)["passed"]


def test_saved_runs_of_one_activation_are_all_judged(capsys):
    for gain in ("1.0", "1.5"):
        call(capsys, "propagate", *SMALL[1:], "--weight-gain", gain, "-f", "json",
             "-o", f"{gain}.json")  # fmt: skip
    first, second = (json.loads(Path(f"{gain}.json").read_text()) for gain in ("1.0", "1.5"))
    first["runs"] += second["runs"]
    Path("both.json").write_text(json.dumps(first), encoding="utf-8")
    form = document(capsys, "check", "both.json")
    assert [(check["name"], check["passed"]) for check in form["checks"]] == [
        ("selu", True),
        ("selu 2", False),
    ]


def test_a_baseline_to_be_replaced_is_not_compared(capsys):
    call(capsys, *SMALL, "--write-baseline", "base.json")
    same = ["--baseline", "base.json", "--write-baseline", "./base.json"]
    assert "SN701" not in codes(document(capsys, "check", *same, "--weight-gain", "1.5"))
    saved = json.loads(Path("base.json").read_text(encoding="utf-8"))["runs"][0]
    assert (saved["stack"]["weight_gain"], saved["stack"]["width"]) == (1.5, 32)


@pytest.mark.parametrize("content", [None, "", "{", '{"schema": "other"}', "\x00\xff"])
def test_a_missing_or_damaged_baseline_is_bad_input(capsys, content):
    if content is not None:
        Path("base.json").write_text(content, encoding="utf-8")
    code, out, err = call(capsys, *SMALL, "--baseline", "base.json")
    assert (code, out) == (2, "")
    assert err.startswith("snstat: error: base.json: ")
    assert len(err.splitlines()) == 1


CONFIG = """\
[tool.snstat.check]
depth = 8
width = 32
batch = 4
trials = 4

[tool.snstat.check.sound]
activation = "selu"

[tool.snstat.check.broken]
activation = "gelu"
ignore = ["SN2"]
"""


def test_all_checks_of_the_nearest_configuration_are_run(capsys, monkeypatch):
    Path("pyproject.toml").write_text(CONFIG, encoding="utf-8")
    Path("below").mkdir()
    monkeypatch.chdir("below")
    form = document(capsys, "check")
    assert [check["name"] for check in form["checks"]] == ["sound", "broken"]
    assert [check["verdict"] for check in form["checks"]] == ["self-normalizing", "vanishing"]
    assert form["checks"][1]["source"]["line"] == 10
    _, out, _ = call(capsys, "check", "-f", "github")
    assert re.search(r"^::error file=[^,]*pyproject.toml,line=10,title=SN101", out, re.MULTILINE)
    # Options that describe a stack make one check and ignore the configuration.
    assert len(document(capsys, *SMALL)["checks"]) == 1
    code, _, err = call(capsys, *SMALL, "--config", "../pyproject.toml")
    assert (code, "--depth" in err) == (2, True)


def test_annotations_name_the_file_relative_to_the_repository(capsys, monkeypatch, tmp_path):
    Path("sub").mkdir()
    monkeypatch.chdir("sub")
    Path("pyproject.toml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    _, out, _ = call(capsys, "check", "-f", "github")
    assert "::error file=sub/pyproject.toml,line=10," in out
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "elsewhere"))
    _, out, _ = call(capsys, "check", "-f", "github")
    assert "::error file=pyproject.toml,line=10," in out


def test_errors_on_the_command_line_do_not_name_the_file(capsys):
    Path("snstat.toml").write_text("[check.a]\ndepth = 4\nwidth = 32\n", encoding="utf-8")
    for arguments, value in ((["--select", "SN9"], "'SN9'"), (["--depth-limit", "0"], "0")):
        code, _, err = call(capsys, "check", *arguments)
        assert code == 2
        assert value in err
        assert "snstat.toml" not in err
    Path("snstat.toml").write_text("[check.a]\ndepth = 0\n", encoding="utf-8")
    assert "snstat.toml:1: [check.a]: depth is 0" in call(capsys, "check", "-t", "3")[2]


def test_checks_of_a_configuration_have_baselines_by_name(capsys):
    Path("pyproject.toml").write_text(CONFIG, encoding="utf-8")
    call(capsys, "check", "--write-baseline", "base.json")
    base = json.loads(Path("base.json").read_text())
    assert set(base["names"]) == {"sound", "broken"}
    schema = json.loads(call(capsys, "schema", "propagation")[1])
    Draft202012Validator(schema).validate(base)
    form = document(capsys, "check", "--baseline", "base.json", "--select", "SN701")
    assert form["passed"]
    text = CONFIG.replace("sound", "renamed")
    Path("pyproject.toml").write_text(text, encoding="utf-8")
    code, _, err = call(capsys, "check", "--baseline", "base.json")
    assert code == 2
    assert "'renamed'" in err
    assert "sound, broken" in err


def test_a_mistake_in_a_configuration_names_its_line(capsys):
    Path("pyproject.toml").write_text(CONFIG + "depht = 3\n", encoding="utf-8")
    code, out, err = call(capsys, "check")
    assert (code, out) == (2, "")
    assert "depht" in err
    assert "depth" in err
    Path("pyproject.toml").write_text(CONFIG + "width = 0\n", encoding="utf-8")
    code, _, err = call(capsys, "check")
    assert code == 2
    assert "pyproject.toml" in err
    assert "broken" in err
    assert "width is 0" in err


def test_an_error_while_running_a_declared_check_names_its_line(capsys):
    data = np.ones((4, 32))
    data[1, 2] = math.nan
    np.save("holes.npy", data)
    Path("pyproject.toml").write_text(CONFIG + 'inputs = "holes.npy"\n', encoding="utf-8")
    code, out, err = call(capsys, "check")
    assert (code, out) == (2, "")
    assert re.search(r"pyproject.toml:\d+", err)
    assert "inputs[1, 2] is nan" in err


def test_rules_are_listed_and_explained(capsys):
    code, out, _ = call(capsys, "check", "--list-rules")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if line.startswith("SN")] == list(pages())
    for rule in CODES:
        code, out, _ = call(capsys, "check", "--explain", rule)
        assert (code, rule in out) == (0, True)
    for others in (["--list-rules"], ["-f", "json"], ["--depth", "3"], ["run.json"]):
        code, out, err = call(capsys, "check", "--explain", "SN101", *others)
        assert (code, out, "cannot be used beside --" in err) == (2, "", True)
        assert len(err.splitlines()) == 1
    code, _, err = call(capsys, "check", "--explain", "SN999")
    assert (code, "SN999" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--gradient-decades", "nan"], ["--gradient-decades", "nan", "0 to 300"]),
        (["--target-mean", "0"], ["--target-variance", "pair"]),
        (["--select", "SN9"], ["select", "SN9", "SN101"]),
        (["--number-format", "float8"], ["float16"]),
        (["--trials", "1", "--baseline", "base.json"], ["trials", "at least 2"]),
        (["--depth", "0"], ["depth", "0"]),
        (["--depth-limit", "0"], ["--depth-limit", "0"]),
        (["--depth-limit", "7"], ["--depth-limit", "7", "at least 8"]),
        (["--target-layer", "9"], ["--target-layer", "9", "at most 8"]),
        (["--write-baseline", "-"], ["--write-baseline", "name of a file"]),
        (["-o", "new.txt", "--write-baseline", "./new.txt"], ["another file"]),
        (["--config", "nothing.toml"], ["--config"]),
        (["--output", "missing/file"], ["missing/file"]),
        (["--write-baseline", "missing/file"], ["missing/file"]),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(capsys, arguments, words):
    call(capsys, *SMALL, "--write-baseline", "base.json")
    before = listing()
    code, out, err = call(capsys, *SMALL, *arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    for word in words:
        assert word in err
    assert listing() == before


def test_circular_links_are_overwritten(capsys):
    Path("one").symlink_to("two")
    Path("two").symlink_to("one")
    assert call(capsys, *SMALL, "--write-baseline", "one", "-o", "out.txt")[0] == 0
    assert json.loads(Path("one").read_text(encoding="utf-8"))["runs"]


def test_files_are_written_atomically(capsys):
    Path("out.xml").write_text("before", encoding="utf-8")
    code, out, _ = call(capsys, *SMALL, "-f", "junit", "-o", "out.xml")
    assert (code, out) == (0, "")
    assert Path("out.xml").read_text(encoding="utf-8").startswith("<?xml")
    assert not [name for name in listing() if name.endswith(".part")]


def test_concurrent_checks_may_write_the_same_baseline():
    arguments = [*SMALL, "--write-baseline", "base.json"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "snstat", *arguments, "--seed", str(seed)],
            stdout=subprocess.DEVNULL,
        )
        for seed in range(4)
    ]
    assert [process.wait(timeout=240) for process in processes] == [0] * 4
    document = json.loads(Path("base.json").read_text(encoding="utf-8"))
    assert document["runs"][0]["simulation"]["seed"] in range(4)
    assert listing() == [".git", "base.json"]


def test_a_baseline_does_not_change_the_configured_stack(capsys):
    text = CONFIG + 'weight-gain = 4.0\ntrials = 16\nbaseline = "base.json"\n'
    Path("pyproject.toml").write_text(text, encoding="utf-8")
    # A file that is about to be written need not exist.
    call(capsys, "check", "--write-baseline", "base.json")
    assert document(capsys, "check", "--select", "SN7")["passed"]
    Path("pyproject.toml").write_text(text.replace("weight-gain = 4.0\n", ""), encoding="utf-8")
    form = document(capsys, "check", "--select", "SN7")
    assert form["checks"][1]["stack"]["weight_gain"] == 1.0
    assert codes(form, 1) == {"SN701"}
    # The change can be accepted by writing a new baseline.
    assert call(capsys, "check", "--select", "SN7", "--write-baseline", "base.json")[0] == 0
    assert document(capsys, "check", "--select", "SN7")["passed"]


def test_bounds_and_sampling_on_the_command_line_apply_to_all_declared_checks(capsys):
    Path("pyproject.toml").write_text(CONFIG, encoding="utf-8")
    form = document(capsys, "check", "--gradient-decades", "0.1", "-t", "3", "--seed", "5")
    assert [check["simulation"]["trials"] for check in form["checks"]] == [3, 3]
    assert [check["simulation"]["seed"] for check in form["checks"]] == [5, 5]
    assert "SN202" in codes(form, 0)


def test_the_same_seed_needs_the_same_sampling(capsys):
    for seed in ("0", "9"):
        call(capsys, "propagate", *SMALL[1:], "-s", seed, "-f", "json", "-o", f"{seed}.json")
    code, _, err = call(capsys, "check", "9.json", "--baseline", "0.json", "--same-seed")
    assert (code, "seed is 9, but must be 0" in err) == (2, True)
    form = document(capsys, "check", "0.json", "--baseline", "0.json")
    assert any("not independent" in note for note in form["checks"][0]["notes"])


@LONG
def test_data_are_judged_by_the_norm_of_each_sample(capsys):
    """5 % of the rows are 60 times as large: few units are saturated, and gradients do not
    vanish."""
    random = np.random.default_rng(0)
    heavy = random.normal(size=(1000, 30))
    heavy[::20] *= 60.0
    np.save("heavy.npy", heavy)
    options = ["check", "-a", "tanh", "-d", "4", "--inputs", "heavy.npy", "-b", "1000", "-t", "4"]
    form = document(capsys, *options, "--select", "SN401", "--saturated-max", "0.01")
    finding = form["checks"][0]["findings"][0]
    # Saturated are 0.28 % with q = 1, beyond arcosh 10, and 96 % with q = 3600: 0.95·0.0028 +
    # 0.05·0.96 = 5.1 %.
    assert finding["value"] == pytest.approx(0.0517, abs=0.002)
    assert document(capsys, *options, "--select", "SN401")["checks"][0]["findings"] == []
    assert not any("norm" in note for note in form["checks"][0]["notes"])
    form = document(capsys, *options, "--select", "SN201", "--gradient-decades", "0.1")
    assert 0.15 < form["checks"][0]["findings"][0]["value"] < 0.3


@LONG
def test_overflow_is_judged_by_the_largest_sample(capsys):
    outlier = np.ones((100, 64))
    outlier[3] = 50_000.0
    np.save("outlier.npy", outlier)
    options = ["check", "-a", "relu", "-d", "1", "--inputs", "outlier.npy", "-t", "2"]
    code, out, _ = call(capsys, *options, "--number-format", "float16")
    assert code == 1
    assert "float16 overflows at layer 1" in out


def test_collapse_is_not_judged_with_one_sample_or_identical_inputs(capsys):
    for name, data in (("one", np.ones((1, 32))), ("alike", np.ones((4, 32)))):
        np.save(f"{name}.npy", data)
        options = ["check", "-d", "4", "-t", "2", "-w", "32", "--inputs", f"{name}.npy"]
        notes = document(capsys, *options)["checks"][0]["notes"]
        assert any(note.startswith("SN301 not judged") for note in notes)


@pytest.mark.parametrize(("zeros", "share"), [(0, None), (1, "1.56%"), (63, "98.44%")])
def test_samples_of_zeros_are_told_and_counted(capsys, zeros, share):
    data = np.random.default_rng(5).normal(size=(64, 32))
    np.save("whole.npy", data)
    data[:zeros] = 0.0
    np.save("some.npy", data)
    options = ["-a", "relu", "-d", "4", "-w", "32", "-t", "4", "--inputs"]
    _, out, _ = call(capsys, "check", *options, "some.npy")
    assert ("samples are all zeros" in out) == bool(zeros)
    notes = document(capsys, "check", *options, "some.npy")["checks"][0]["notes"]
    told = [note for note in notes if "zero" in note]
    if share:
        assert told[0] == f"{share} of the samples are all zeros; the cosine leaves them out"
    # One sample has no pair.
    why = "SN301 not judged: fewer than two samples of a batch are not zero"
    assert told[1:] == ([why] if zeros == 63 else [])
    call(capsys, "check", *options, "whole.npy", "--write-baseline", "whole.json")
    found = document(
        capsys, "check", "--baseline", "whole.json", "--inputs", "some.npy", "--select", "SN701"
    )["checks"][0]["findings"]
    if zeros:
        assert "at layer 0: zero samples " in found[0]["message"]
    else:
        assert not found


def test_a_reader_that_closes_the_pipe_does_not_change_the_verdict():
    arguments = [*SMALL, "-a", "gelu", "--write-baseline", "base.json"]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        process = subprocess.run([sys.executable, "-m", "snstat", *arguments], stdout=closed)
    assert process.returncode == 1
    assert json.loads(Path("base.json").read_text(encoding="utf-8"))["names"] == ["default"]


def test_every_run_of_several_saved_files_is_a_check(capsys):
    for name, gain in (("a", "1"), ("b", "1.5")):
        call(
            capsys,
            *("propagate", *SMALL[1:], "--weight-gain", gain, "-a", "tanh", "-o", f"{name}.json"),
        )
    alone = [json.loads(call(capsys, "check", f"{n}.json", "-f", "json")[1]) for n in "ab"]
    code, out, _ = call(capsys, "check", "a.json", "b.json", "-f", "json")
    checks = json.loads(out)["checks"]
    # Called by what differs, as runs in tables and legends are.
    assert [check["name"] for check in checks] == ["gain 1", "gain 1.5"]
    for found, own in zip(checks, alone, strict=True):
        assert (found["verdict"], found["findings"]) == (
            own["checks"][0]["verdict"],
            own["checks"][0]["findings"],
        )
    assert code == int(not all(check["passed"] for check in checks))
    only = call(capsys, "check", "a.json", "b.json", "-f", "json", "--only", "gain 1.5")[1]
    assert [check["name"] for check in json.loads(only)["checks"]] == ["gain 1.5"]
    # Each is compared with the one run of a baseline.
    compared = json.loads(
        call(capsys, "check", "a.json", "b.json", "--baseline", "a.json", "-f", "json")[1]
    )["checks"]
    codes = [{finding["code"] for finding in check["findings"]} for check in compared]
    assert ["SN701" in found for found in codes] == [False, True]


def test_the_schema_is_written_to_a_file(capsys):
    printed = call(capsys, "schema", "check")[1]
    code, out, err = call(capsys, "schema", "check", "-o", "s.json")
    assert (code, out) == (0, "")
    assert "wrote s.json" in err
    assert Path("s.json").read_text(encoding="utf-8") == printed
    assert call(capsys, "schema", "-o", "s.csv")[0] == 2
    assert "s.csv" not in listing()
