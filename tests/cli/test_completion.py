"""Shell completion and the layout of help."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from snstat.checks.rules import CODES
from snstat.cli import group, run

FILE = "(a file)"


def offered(*words):
    *before, incomplete = words
    found = ShellComplete(group, {}, "snstat", "_SNSTAT_COMPLETE").get_completions(
        before, incomplete
    )
    return [FILE if item.type == "file" else item.value for item in found]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["prop"], ["propagate"]),
        (["propagate", "-a", "se"], ["selu"]),
        (["propagate", "-a", "SE"], ["selu"]),
        (["propagate", "--activation", "relu,softp"], ["relu,softplus"]),
        (["propagate", "--init", "he_n"], ["he_normal"]),
        (["propagate", "--format", "c"], ["csv"]),
        (["propagate", "--inputs", "uni"], ["uniform"]),
        (["propagate", "--inputs", "data"], [FILE]),
        (["propagate", "--inputs", ""], [FILE]),
        (["propagate", "-o", ""], [FILE]),
        (["propagate", "--layers", ""], ["log", "all", "last", "0,"]),
        (["propagate", "--layers", "0,4,l"], ["0,4,last"]),
        (["propagate", "--weight-ga"], ["--weight-gain"]),
        (["check", "ru"], [FILE]),
        (["check", "--explain", "SN2"], [code for code in CODES if code.startswith("SN2")]),
        (["check", "--select", "SN101,sn2"],
         [f"SN101,{code}" for code in CODES if code.startswith("SN2")]),
        (["check", "--baseline", "b"], [FILE]),
        (["check", "--config", ""], [FILE]),
        (["plot", "a.json", "b"], [FILE]),
        (["plot", "--kind", "h"], ["histogram", "heatmap"]),
        (["fixedpoint", "--map", ""], ["ensemble", "unit"]),
        (["show", "mod"], [FILE]),
        (["show", "--layers", "0,l"], ["0,last"]),
        (["show", "-a", "se"], ["selu"]),
        (["layers", "den"], ["dense"]),
    ],
)  # fmt: skip
def test_valid_values_are_offered(words, values):
    assert set(values) <= set(offered(*words))
    if values != [FILE] and words[-1]:
        assert len(offered(*words)) == len(values)


def test_checks_of_the_configuration_are_offered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    assert offered("check", "--only", "") == []
    Path("snstat.toml").write_text("[check.encoder]\n[check.head]\n", encoding="utf-8")
    assert offered("check", "--only", "") == ["encoder", "head"]
    assert offered("check", "--only", "h") == ["head"]
    # Completion does not report errors in a damaged configuration.
    Path("snstat.toml").write_text("[check", encoding="utf-8")
    assert offered("check", "--only", "") == []


def test_bash_gets_completions():
    environment = os.environ | {
        "_SNSTAT_COMPLETE": "bash_complete",
        "COMP_WORDS": "snstat check --explain SN20",
        "COMP_CWORD": "3",
    }
    result = subprocess.run(
        [sys.executable, "-m", "snstat"], env=environment, capture_output=True, text=True
    )
    assert result.stderr == ""
    assert result.stdout.split() == [f"plain,{code}" for code in CODES if code.startswith("SN20")]


def shown(capsys, *arguments):
    assert run([*arguments]) == 0
    return capsys.readouterr().out


def test_help_is_grouped(capsys):
    text = shown(capsys, "check", "--help")
    places = [text.index(f"\n{name}:\n") for name in ("Network", "Sampling", "Bounds", "Output")]
    assert places == sorted(places)
    network, sampling, bounds, output = places
    assert network < text.index("--weight-gain G") < sampling
    assert sampling < text.index("--seed") < bounds
    assert bounds < text.index("--cosine-max") < output
    assert output < text.index("--quiet")


def test_short_help_is_short(capsys):
    for command in ("propagate", "check", "plot", "fixedpoint"):
        short, whole = shown(capsys, command, "-h"), shown(capsys, command, "--help")
        assert short.count("\n") < 45
        assert 2 * short.count("\n") < whole.count("\n") or command == "fixedpoint"
        assert short.startswith(f"Usage: snstat {command}")
        assert f"snstat {command} --help" in short


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_help_is_as_wide_as_the_terminal(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    for flag in ("-h", "--help"):
        text = shown(capsys, "propagate", flag)
        # Examples are not wrapped.
        lines = [line for line in text.splitlines() if not line.startswith("    snstat")]
        assert columns - 20 < max(map(len, lines)) <= columns
