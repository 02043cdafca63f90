"""`snstat plot` and `snstat schema` as commands."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from snstat.cli import run
from snstat.cli.picture import KINDS

SMALL = ["-d", "4", "-w", "16", "-b", "4", "-t", "2"]
# Maps involve no network, and correlations no sampling.
SMALL_OF = {
    kind: [] if kind in {"map", "correlation", "phase", "depth-scale"} else SMALL for kind in KINDS
}
# A spectrum is of one sample.
SMALL_OF["spectrum"] = ["-d", "9", "-w", "16", "-t", "2"]
# Stacks have no positions and a difference is of two. A spectrum and depth scales are of no saved
# run, phases have them as dots, and gradients are measured where a saved run may lack them.
OF_STACKS = [kind for kind in KINDS if kind not in {"positions", "difference"}]
SAVED = [kind for kind in OF_STACKS if kind not in {"spectrum", "phase", "depth-scale", "gradient"}]
MAGIC = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


def call(capsys, *arguments):
    code = run([*arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("kind", OF_STACKS)
@pytest.mark.parametrize("form", MAGIC)
def test_every_kind_in_every_format(capsys, tmp_path, kind, form):
    path = tmp_path / f"picture.{form}"
    told = call(capsys, "plot", "--kind", kind, *SMALL_OF[kind], "-o", str(path))
    assert told == (0, "", f"snstat: wrote {path}: {kind}, {form}\n")
    assert path.read_bytes().startswith(MAGIC[form])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", OF_STACKS)
def test_the_caption_of_every_kind_can_be_left_out(capsys, tmp_path, kind):
    path, bare = tmp_path / "picture.svg", tmp_path / "bare.svg"
    for words in (["-o", str(path)], ["--no-caption", "-o", str(bare)]):
        assert call(capsys, "plot", "--kind", kind, *SMALL_OF[kind], *words)[0] == 0
    assert "trials" in picture(path)
    assert "trials" not in picture(bare)


def picture(path):
    """Return an SVG without the command in its metadata."""
    return re.sub(r"<dc:description>.*?</dc:description>", "", path.read_text(), flags=re.DOTALL)


@pytest.fixture
def saved(capsys, tmp_path):
    path = tmp_path / "run.json"
    assert call(capsys, "propagate", *SMALL, "-f", "json", "-o", str(path))[0] == 0
    return path


@pytest.mark.parametrize("kind", SAVED)
def test_a_saved_run_gives_the_same_picture_as_a_fresh_one(capsys, tmp_path, saved, kind):
    fresh, again = tmp_path / "fresh.svg", tmp_path / "again.svg"
    assert call(capsys, "plot", "--kind", kind, *SMALL_OF[kind], "-o", str(fresh))[0] == 0
    assert call(capsys, "plot", str(saved), "--kind", kind, "-o", str(again))[0] == 0
    assert picture(fresh) == picture(again)


def test_positions_are_drawn_of_a_network_file_and_of_its_run(capsys, tmp_path):
    path, run_file = tmp_path / "net.toml", tmp_path / "run.json"
    layers = '[{ kind = "conv", channels = 4, kernel = 3 }]'
    path.write_text(f"input = {{ channels = 4, grid = [5] }}\nlayers = {layers}\n")
    assert call(capsys, "propagate", str(path), "-b", "4", "-t", "2", "-o", str(run_file))[0] == 0
    for form, magic in MAGIC.items():
        pictures = [tmp_path / f"{name}.{form}" for name in ("fresh", "again")]
        for source, out in zip((path, run_file), pictures, strict=True):
            batch = ["-b", "4"] if source is path else []
            words = ["--kind", "positions", *batch, "-o", str(out)]
            told = call(capsys, "plot", str(source), *words)
            assert told == (0, "", f"snstat: wrote {out}: positions, {form}\n")
            assert out.read_bytes().startswith(magic)
    assert picture(tmp_path / "fresh.svg") == picture(tmp_path / "again.svg")
    assert "no trials" in picture(tmp_path / "fresh.svg")


def test_a_gradient_that_was_not_measured_is_theory_alone(capsys, tmp_path, saved):
    path = tmp_path / "gradient.svg"
    for words in ([str(saved)], [*SMALL, "--no-backward"]):
        assert call(capsys, "plot", *words, "--kind", "gradient", "-o", str(path))[0] == 0
        assert "simulation" not in picture(path)
        assert ">theory<" in picture(path)
    assert call(capsys, "plot", *SMALL, "--kind", "gradient", "-o", str(path))[0] == 0
    assert "simulation ± 1 s.e." in picture(path)


def test_the_cure_of_missing_trials_is_a_flag_of_the_command_that_makes_runs(
    capsys, tmp_path, saved
):
    words = ["--band", "quantile", "-o", str(tmp_path / "p.svg")]
    code, _, err = call(capsys, "plot", str(saved), *words)
    assert (code, "simulate them again with --keep-trials\n" in err) == (2, True)


def test_keys_of_files_are_no_flags(capsys, tmp_path):
    path = tmp_path / "net.toml"
    layer = '[[layers]]\nkind = "dense"\nwidth = 3\nweight_gain = -1\n'
    path.write_text(f"input = {{ channels = 4 }}\n{layer}")
    code, _, err = call(capsys, "show", str(path))
    assert (code, "weight_gain" in err, "--weight-gain" in err) == (2, True, False)


def test_a_spectrum_is_that_of_its_command(capsys, tmp_path, saved):
    """By default in float64, at layers 1, 8 and the last."""
    path, alike = tmp_path / "one.svg", tmp_path / "other.svg"
    words = ["plot", "--kind", "spectrum", *SMALL_OF["spectrum"]]
    assert call(capsys, *words, "-o", str(path))[0] == 0
    same = ["--dtype", "float64", "--layers", "1,8,9"]
    assert call(capsys, *words, *same, "-o", str(alike))[0] == 0
    assert picture(path) == picture(alike)
    assert "float64" in picture(path)
    code, _, err = call(capsys, "plot", str(saved), "--kind", "spectrum", "-o", str(path))
    assert code == 2
    assert "sampled now" in err


def test_a_run_is_read_from_standard_input(capsys, tmp_path, saved, monkeypatch):
    direct, piped = tmp_path / "direct.svg", tmp_path / "piped.svg"
    call(capsys, "plot", str(saved), "-o", str(direct))
    monkeypatch.setattr(sys, "stdin", io.StringIO(saved.read_text()))
    assert call(capsys, "plot", "-", "-o", str(piped))[0] == 0
    assert picture(piped) == picture(direct)


def test_a_picture_can_be_written_to_standard_output(saved):
    command = [sys.executable, "-m", "snstat", "plot", str(saved), "-o", "-", "--format", "svg"]
    result = subprocess.run(command, capture_output=True)
    assert result.returncode == 0
    assert result.stdout.startswith(MAGIC["svg"])
    assert result.stdout.rstrip().endswith(b"</svg>")


def test_without_bokeh_html_is_refused(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh", None)
    told = call(capsys, "plot", *SMALL, "-o", str(tmp_path / "run.html"))
    remedy = "pip install 'snstat[html]'; or use -o FILE.svg"
    assert told == (2, "", f"snstat: error: HTML needs bokeh: {remedy}\n")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "-o FILE.png"),
        (["-o", "-"], "--format"),
        (["-o", "picture"], ".png, .svg, .pdf or .html"),
        (["-o", "picture.jpg"], "picture.jpg"),
        (["-o", "p.html", "--kind", "map"], "html is for --kind trajectory"),
        (["-o", "p.html", "--size", "6x4"], "--size cannot be used with html"),
        (["-o", "p.html", "--residuals"], "--residuals cannot be used with html"),
        (["-o", "p.html", "--dpi", "100"], "--dpi cannot be used with html"),
        (["-o", "p.html", "-f", "png"], "html, as the name p.html says"),
        (["-o", "picture.png", "--format", "svg"], "svg"),
        (["missing.json", "-o", "picture.png"], "missing.json"),
        ([".", "-o", "picture.png"], "directory"),
        (["-a", "relu", "-a", "selu", "--kind", "map", "-o", "picture.png"], "number of runs is 2"),
        (["-o", "picture.png", "--weight-sum", "1"], "--weight-sum"),
        (["-o", "p.png", "--kind", "map", "--weight-gain", "2"], "--weight-gain cannot be used"),
        (["-o", "p.png", "--kind", "map", "--inputs", "none.npy"], "--weight-square-sum"),
        (["-o", "p.png", "--kind", "map", "--depth", "64"], "--depth"),
        (["-o", "p.png", "--kind", "map", "--no-backward"], "--backward"),
        (["--kind", "histogram", "--layers", "0,99", "-d", "3", "-o", "p.png"], "99"),
        (["--kind", "histogram", "--layers", "all", "-d", "101", "-o", "p.png"], "at most 101"),
        (["-o", "p.png", "--kind", "correlation", "--depth", "9"], "--depth"),
        (["-o", "p.png", "--kind", "correlation", "--residuals"], "--residuals"),
        (["-o", "p.png", "--kind", "histogram", "--backward"], "--backward"),
        (
            ["-o", "p.png", "--kind", "positions", "--seed", "1"],
            "--seed cannot be used with --kind",
        ),
        (["-o", "p.png", "--kind", "positions", "-a", "relu", "-a", "tanh"], "number of runs is 2"),
        (["-o", "p.png", "--kind", "positions"], "without a grid has no positions"),
        (["-o", "p.png", "--kind", "spectrum", "--batch", "4"], "--batch"),
        (["-o", "p.png", "--kind", "spectrum", "-d", "3", "--layers", "4"], "the depth, 3"),
        (["-o", "p.png", "--kind", "spectrum", "-d", "9", "-w", "4", "--layers", "all"], "7"),
        (["-o", "p.png", "--kind", "spectrum", "-a", "relu,tanh", "-d", "1"], "runs is 2"),
        (["-o", "p.png", "--layers", "0,1"], "--layers"),
        (["-o", "p.png", "--map", "ensemble"], "--map"),
        (
            ["-o", "p.png", "--kind", "map", "--map", "ensemble", "--weight-sum", "1"],
            "--weight-sum",
        ),
        (["-o", "p.png", "--size", "6"], "6.8x4"),
        *(
            (["-o", "p.png", "--size", typed], f"--size is '{typed}', but must be WIDTHxHEIGHT")
            for typed in ("5x", "x", "5xhigh", "5x4x3", "")
        ),
        (["-o", "p.png", "--size", "0x4"], "1 to 100 inches"),
        (["-o", "p.png", "--dpi", "0"], "20 to 2400"),
        (["-o", "p.png", "--size", "100x100", "--dpi", "2400"], "400,000,000 pixels"),
        (["-o", "no/such/picture.png"], "no/such/picture.png"),
        (["-o", "picture.png", "--depth", "0"], "depth"),
    ],
)
def test_bad_usage_gives_one_line_and_no_file(capsys, tmp_path, monkeypatch, arguments, words):
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


def test_size_resolution_and_command_are_as_requested(capsys, tmp_path):
    path = tmp_path / "small.png"
    words = ["plot", *SMALL, "--residuals", "--no-caption", "--size", "5x5", "--dpi", "60"]
    assert call(capsys, *words, "-o", str(path))[0] == 0
    data = path.read_bytes()
    assert (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) == (300, 300)
    command = (
        b"snstat plot --residuals --no-caption --size 5x5 --dpi 60.0 --depth 4 --width 16"
        b" --batch 4 --trials 2"
    )
    assert command in data
    again = tmp_path / "again.png"
    assert call(capsys, *words, "-o", str(again))[0] == 0
    assert again.read_bytes() == data


def test_the_ensemble_map_has_a_picture_too(capsys, tmp_path):
    path = tmp_path / "map.svg"
    words = ["--kind", "map", "--map", "ensemble", "-a", "tanh", "--weight-gain", "1.5"]
    assert call(capsys, "plot", *words, "--bias-std", "0.1", "-o", str(path))[0] == 0
    assert "tanh ensemble map, weight gain 1.5, bias std 0.1" in path.read_text()


def test_schemas_are_printed(capsys):
    for name in ("propagation", "fixedpoint", "check"):
        code, out, _ = call(capsys, "schema", name)
        assert code == 0
        assert json.loads(out)["title"] == f"snstat.{name}/{2 if name == 'propagation' else 1}"


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


def test_weights_are_no_saved_run(capsys, tmp_path, monkeypatch):
    """A picture of them is not drawn, and the command that looks at them is named."""
    monkeypatch.chdir(tmp_path)
    np.savez("w.npz", w=np.ones((2, 3)) * 1.7)
    code, _, errors = call(capsys, "plot", "w.npz", "-o", "w.svg")
    (line,) = errors.splitlines()
    assert code == 2
    assert "w.npz: is not JSON, and no text" in line
    assert line.endswith("see weights with: snstat weights FILE")
