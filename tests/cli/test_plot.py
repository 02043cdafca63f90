"""`snstat plot` and `snstat schema` as their users call them."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from snstat.cli import run
from snstat.cli.plot import KINDS

SMALL = ["-d", "4", "-w", "16", "-b", "4", "-t", "2"]
# The unit map has no network.
SMALL_OF = {kind: [] if kind == "map" else SMALL for kind in KINDS}
MAGIC = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


def call(capsys, *arguments):
    code = run([*arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", MAGIC)
def test_every_kind_in_every_format(capsys, tmp_path, kind, form):
    path = tmp_path / f"picture.{form}"
    told = call(capsys, "plot", "--kind", kind, *SMALL_OF[kind], "-o", str(path))
    assert told == (0, "", f"snstat: wrote {path}: {kind}, {form}\n")
    assert path.read_bytes().startswith(MAGIC[form])
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def saved(capsys, tmp_path):
    path = tmp_path / "run.json"
    assert call(capsys, "propagate", *SMALL, "-f", "json", "-o", str(path))[0] == 0
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_run_gives_the_bytes_of_a_fresh_one(capsys, tmp_path, saved, kind):
    fresh, again = tmp_path / "fresh.svg", tmp_path / "again.svg"
    assert call(capsys, "plot", "--kind", kind, *SMALL_OF[kind], "-o", str(fresh))[0] == 0
    assert call(capsys, "plot", str(saved), "--kind", kind, "-o", str(again))[0] == 0
    assert fresh.read_bytes() == again.read_bytes()


def test_a_run_is_read_from_standard_input(capsys, tmp_path, saved, monkeypatch):
    direct, piped = tmp_path / "direct.png", tmp_path / "piped.png"
    call(capsys, "plot", str(saved), "-o", str(direct))
    monkeypatch.setattr(sys, "stdin", io.StringIO(saved.read_text()))
    assert call(capsys, "plot", "-", "-o", str(piped))[0] == 0
    assert piped.read_bytes() == direct.read_bytes()


def test_standard_output_takes_the_picture(saved):
    command = [sys.executable, "-m", "snstat", "plot", str(saved), "-o", "-", "--format", "svg"]
    result = subprocess.run(command, capture_output=True)
    assert result.returncode == 0
    assert result.stdout.startswith(MAGIC["svg"])
    assert result.stdout.rstrip().endswith(b"</svg>")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "-o FILE.png"),
        (["-o", "-"], "--format"),
        (["-o", "picture"], ".png, .svg or .pdf"),
        (["-o", "picture.jpg"], "picture.jpg"),
        (["-o", "picture.png", "--format", "svg"], "svg"),
        (["missing.json", "-o", "picture.png"], "missing.json"),
        ([".", "-o", "picture.png"], "directory"),
        (["-a", "relu", "-a", "selu", "--kind", "map", "-o", "picture.png"], "number of runs is 2"),
        (["-o", "picture.png", "--weight-sum", "1"], "--weight-sum"),
        (["-o", "p.png", "--kind", "map", "--weight-gain", "2"], "--weight-gain has no place"),
        (["-o", "p.png", "--kind", "map", "--inputs", "none.npy"], "--weight-square-sum"),
        (["-o", "p.png", "--kind", "map", "--depth", "64"], "--depth"),
        (["-o", "p.png", "--kind", "map", "--no-backward"], "--backward"),
        (["--kind", "histogram", "--layers", "0,99", "-d", "3", "-o", "p.png"], "99"),
        (["--kind", "histogram", "--layers", "all", "-d", "101", "-o", "p.png"], "at most 101"),
        (["-o", "no/such/picture.png"], "no/such/picture.png"),
        (["-o", "picture.png", "--depth", "0"], "depth"),
    ],
)
def test_bad_usage_is_one_line_and_leaves_no_file(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, "plot", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("snstat: error: ")
    assert err.count("\n") == 1
    assert words in err
    assert list(tmp_path.iterdir()) == []


def test_options_beside_a_saved_run_are_refused(capsys, tmp_path, saved):
    out = str(tmp_path / "p.png")
    code, _, err = call(capsys, "plot", str(saved), "--depth", "9", "-o", out)
    assert code == 2
    assert "--depth" in err


def test_schemas_are_printed(capsys):
    for name in ("propagation", "fixedpoint", "check"):
        code, out, _ = call(capsys, "schema", name)
        assert code == 0
        assert json.loads(out)["title"] == f"snstat.{name}/1"


def test_help_everywhere(capsys):
    for arguments in (
        [],
        ["-h"],
        ["--help"],
        *([name, "-h"] for name in ("propagate", "fixedpoint", "plot", "schema")),
    ):
        code, out, _ = call(capsys, *arguments)
        assert code == 0
        assert "Usage: snstat" in out
    code, out, _ = call(capsys, "--version")
    assert code == 0
    assert out.startswith("snstat, version")
    code, _, err = call(capsys, "propagat")
    assert code == 2
    assert err.count("\n") == 1
