"""`snstat show` and `snstat layers`."""

from __future__ import annotations

import csv
import io
import json
import re
import time

import pytest
from jsonschema import Draft202012Validator

from snstat.cli import run
from snstat.files.schema import schema
from snstat.layers.registry import KINDS
from snstat.network.network import Network
from snstat.network.stack import Stack
from snstat.values.names import listed

FILE = """\
input = { channels = 8, grid = [5] }
[parameters]
times = 3
[[layers]]
kind = "block"
times = "=times"
name = "body"
layers = [{ kind = "dense", width = 6, activation = "relu" }, { kind = "scale", name = "half" }]
[[layers]]
kind = "dense"
name = "head"
width = 2
"""
HEADER = ["layer", "name", "kind", "shape", "parameters", "sampler"]
# Of that file: weights and biases, by hand. With 64 samples at 5 positions, all weights are drawn.
ROWS = [
    [0, "input", "input", [5, 8], 0, None],
    [1, "body.0.0", "dense", [5, 6], 54, "dense"],
    [2, "body.0.half", "scale", [5, 6], 0, None],
    [3, "body.1.0", "dense", [5, 6], 42, "dense"],
    [4, "body.1.half", "scale", [5, 6], 0, None],
    [5, "body.2.0", "dense", [5, 6], 42, "dense"],
    [6, "body.2.half", "scale", [5, 6], 0, None],
    [7, "head", "dense", [5, 2], 14, "dense"],
]


@pytest.fixture
def show(capsys, tmp_path):
    path = tmp_path / "model.toml"
    path.write_text(FILE)

    def call(*arguments, name="show", of=(str(path),)):
        code = run([name, *of, *arguments])
        found = capsys.readouterr()
        return code, found.out, found.err

    return call


@pytest.mark.parametrize(
    ("width", "hidden"),
    [
        (80, []),
        (70, ["sampler"]),
        (60, ["sampler", "parameters"]),
        (50, ["sampler", "parameters", "kind"]),
    ],
)
def test_columns_leave_a_narrow_terminal_whole(show, monkeypatch, width, hidden):
    monkeypatch.setenv("COLUMNS", str(width))
    _, out, _ = show("--layers", "all", "--positions")
    lines = out.splitlines()
    assert max(map(len, lines)) <= width
    left = [name for name in HEADER if name not in hidden]
    assert lines[2].split() == [*left, "least", "most", "profile"]
    words = " ".join(out.split())
    assert ("Widen the terminal." in words) == bool(hidden)
    assert not hidden or f"Not shown: {listed(hidden)}. Widen the terminal." in words


def refused(answer):
    code, out, err = answer
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    return line


PADDED = """\
input = { channels = 6, grid = [3, 4] }
layers = [{ kind = "conv", channels = 6, kernel = 3 }, { kind = "max_pool", size = 3 }]
"""
# A linear convolution keeps the share of its window that the grid has.
SHARES = [[2 * 2, 2 * 3, 2 * 3, 2 * 2], [3 * 2, 3 * 3, 3 * 3, 3 * 2], [2 * 2, 2 * 3, 2 * 3, 2 * 2]]


def test_positions_are_shown_where_theory_knows_several(show, tmp_path):
    path = tmp_path / "padded.toml"
    path.write_text(PADDED)
    mean = sum(map(sum, SHARES)) / 12
    _, out, _ = show("--positions", "-f", "json", of=(str(path),))
    document = json.loads(out)
    assert not list(Draft202012Validator(schema("network")).iter_errors(document))
    rows = [row["positions"] for row in document["layers"]]
    assert rows[0] == [[1.0] * 4] * 3
    assert rows[1] == [pytest.approx([own / mean for own in row]) for row in SHARES]
    assert rows[2] is None
    _, out, _ = show("--positions", "-f", "csv", of=(str(path),))
    header, first, second, third = csv.reader(io.StringIO(out))
    assert header == [*HEADER, "least", "most"]
    assert [float(cell) for cell in second[-2:]] == pytest.approx([4 / mean, 9 / mean])
    assert (first[-2:], third[-2:]) == (["1.0", "1.0"], ["", ""])
    _, out, _ = show("--positions", of=(str(path),))
    line = next(line for line in out.splitlines() if line.startswith("    1"))
    assert line.split()[-3:] == [f"{4 / mean:.3g}", f"{9 / mean:.3g}", "▂▇▇▂"]
    assert "profile: along the last axis" in " ".join(out.split())
    _, out, _ = show("--positions", "-f", "markdown", of=(str(path),))
    assert "least, most" in out


def test_positions_of_a_saved_run_are_those_of_its_inputs(show, tmp_path):
    path, saved = tmp_path / "biased.toml", tmp_path / "run.json"
    path.write_text(PADDED.replace("kernel = 3 }, {", "kernel = 3, bias_std = 1 }, {"))
    assert run(["propagate", str(path), "--input-std", "3", "-t", "1", "-o", str(saved)]) == 0
    _, out, _ = show("--positions", "-f", "json", of=(str(saved),))
    # A window has 9 positions, each of E[x²] = 9, and a bias of variance 1.
    here = [[1 + own for own in row] for row in SHARES]
    mean = sum(map(sum, here)) / 12
    found = json.loads(out)["layers"][1]["positions"]
    assert found == [pytest.approx([own / mean for own in row]) for row in here]


def test_positions_are_refused_where_no_layer_has_them(show):
    line = refused(show("--positions", of=("--depth", "4")))
    assert "a network without a grid has no positions" in line


def test_every_layer_has_a_row_in_json_and_csv(show, tmp_path):
    code, out, _ = show("-f", "json")
    document = json.loads(out)
    assert code == 0
    assert [list(row.values()) for row in document["layers"]] == ROWS
    assert list(document["layers"][0]) == HEADER
    assert (document["schema"], document["depth"]) == ("snstat.network/1", 7)
    assert document["parameters"] == sum(row[4] for row in ROWS)
    assert Network.read(document["network"]) == Network.load(tmp_path / "model.toml")
    header, *rows = csv.reader(io.StringIO(show("-f", "csv")[1]))
    assert header == HEADER
    assert rows == [
        [*map(str, row[:3]), f"5 {row[3][1]}", str(row[4]), row[5] or ""] for row in ROWS
    ]


def test_the_table_shows_the_layers_chosen(show):
    code, out, err = show("--no-theory")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "model · 7 layers · 152 parameters"
    assert [line.split()[0] for line in out.splitlines()[3:-2]] == list("01247")
    assert out.endswith("\n\n4 of 7 layers shown; --layers all shows all.\n")
    assert re.search(r"^ +1  body\.0\.0 +dense  5 × 6 +54  dense$", out, re.MULTILINE)
    assert "body.1.0" in show("--layers", "3,last")[1]
    table = show("--layers", "all", "--no-theory", "-f", "markdown")[1]
    assert table.count("\n") == 2 + 2 + len(ROWS)  # and no line that some are left out
    assert "at most the depth" in refused(show("--layers", "8"))


def test_parameters_of_the_file_are_set(show):
    assert "model · 11 layers" in show("--set", "times=5")[1]
    assert "model · 17 layers" in show("--set", "times = 2**3")[1]
    assert "unknown parameter 'tims': did you mean 'times'?" in refused(show("--set", "tims=5"))
    assert "times is 'many'" in refused(show("--set", "times=many"))
    assert "--set is 'times'" in refused(show("--set", "times"))
    assert "without a network file" in refused(show("--set", "times=5", of=()))


def test_a_uniform_stack_is_shown_as_options_describe_it(show):
    _, out, _ = show("--widths", "7,5*2,3", "--last", "linear", "-f", "json", of=())
    network = Network.read(json.loads(out)["network"])
    assert network.uniform() == Stack.build("selu", widths="7,5*2,3", last="linear")
    assert json.loads(out)["parameters"] == 8 * 5 + 6 * 5 + 6 * 3
    beside = "--depth cannot be used beside a network file, whose parameters --set changes"
    assert beside in refused(show("--depth", "3"))
    assert "number of networks is 2" in refused(show("-a", "relu,selu", of=()))


POOLED = """\
input = { channels = 4, grid = [6] }
[[layers]]
kind = "conv"
channels = 4
kernel = 1
[[layers]]
kind = "max_pool"
size = 3
[[layers]]
kind = "flatten"
"""
ENDS = [
    {"of": "signal", "layer": 2, "reason": "the law of a maximum is not one of a few moments"},
    {"of": "gradient", "layer": 1, "reason": "theory of the signal ends at layer 2"},
    {"of": "width", "layer": 1, "reason": "first order in 1/width is not derived on grids"},
    {
        "of": "units",
        "layer": 0,
        "reason": "shares of units are not derived for networks, and kurtosis of functions of"
        " Gaussian units only",
    },
]
WORDS = """\
No theory from layer 2 (1, max_pool) on: the law of a maximum is not one of a
few moments.
No theory of gradients up to layer 1 (0, conv): theory of the signal ends at
layer 2.
No theory of finite width: first order in 1/width is not derived on grids.
"""


def test_below_the_layers_stands_where_theory_ends(show, tmp_path, monkeypatch):
    """In every form but CSV; of a saved run too, and of a large network where it is asked for."""
    path, saved = tmp_path / "pooled.toml", tmp_path / "run.json"
    path.write_text(POOLED)
    of = (str(path),)
    _, out, _ = show(of=of)
    assert out.partition("\n\n")[2].partition("\n\n")[2] == WORDS
    _, out, _ = show("-f", "markdown", of=of)
    assert out.count("\nNo theory ") == 3
    _, out, _ = show("-f", "json", of=of)
    found = json.loads(out)
    assert found["theory_ends"] == ENDS
    Draft202012Validator(schema("network")).validate(found)
    assert "theory" not in show("--no-theory", of=of)[1]
    assert "theory_ends" not in json.loads(show("--no-theory", "-f", "json", of=of)[1])
    show("-b", "2", "-t", "2", "-o", str(saved), name="propagate", of=of)
    assert json.loads(saved.read_text())["runs"][0]["theory_ends"] == ENDS
    assert show(of=(str(saved),))[1].endswith(WORDS)
    monkeypatch.setattr("snstat.theory.start.MOST_COUNTED", 2)
    assert "theory" not in show(of=of)[1]
    assert show("--theory", of=of)[1].endswith(WORDS)


def test_a_billion_layers_are_not_unrolled(show):
    began = time.perf_counter()
    _, out, _ = show("-d", "1e9", "-w", "10", of=())
    assert time.perf_counter() - began < 2
    assert out.splitlines()[0] == "1,000,000,000 layers · 110,000,000,000 parameters"
    assert "0.999999999.0" in out
    for arguments in (["--layers", "all"], ["--layers", "5-last"], ["-f", "json"], ["-f", "csv"]):
        assert "must be at most 1,000,000" in refused(show("-d", "1e9", *arguments, of=()))


def test_a_file_that_is_no_network_is_refused_in_one_line(show, tmp_path):
    (tmp_path / "other.toml").write_text("x = 1")
    assert "other.toml: unknown key 'x'" in refused(show(of=(str(tmp_path / "other.toml"),)))
    assert "no such file" in refused(show(of=(str(tmp_path / "none.toml"),)))
    (tmp_path / "run.json").write_text("{}")
    assert "is not a snstat.propagation/2 file" in refused(show(of=(str(tmp_path / "run.json"),)))


def test_kinds_are_listed_with_a_line_each(show):
    code, out, _ = show(name="layers", of=())
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(KINDS)


def test_bounds_and_defaults_are_told(show):
    page = show(name="layers", of=("dense",))[1]
    assert "- `width`: whole number from 1 to 268,435,456, must be given. Units." in page
    assert "- `activation`: name, default none. " in page
    assert "- `weight_gain`: number from 0, default from init. " in page
    assert "- `factor`: number, default 1. " in show(name="layers", of=("scale",))[1]
    assert "did you mean 'dense'?" in refused(show(name="layers", of=("dens",)))


def test_results_may_be_written_to_files(show, tmp_path):
    assert show("-o", str(tmp_path / "rows.csv"))[0] == 0
    assert (tmp_path / "rows.csv").read_text().startswith("layer,name,")
    _, _, err = show("-o", str(tmp_path / "dense.md"), name="layers", of=("dense",))
    assert "page of dense" in err
    assert (tmp_path / "dense.md").read_text().startswith("# dense")


def test_the_network_of_a_saved_run_is_shown(show, tmp_path):
    path = str(tmp_path / "run.json")
    assert (
        run(["propagate", str(tmp_path / "model.toml"), "-t", "2", "-b", "2", "-q", "-o", path])
        == 0
    )
    assert show("-f", "csv", of=(path,))[1] == show("-f", "csv")[1]
    assert "cannot be used beside a saved run" in refused(show("--set", "times=2", of=(path,)))
    assert run(["propagate", "-d", "3", "-w", "4", "-t", "2", "-q", "-o", path]) == 0
    assert "3 layers" in show(of=(path,))[1]
    assert "none.json" in refused(show(of=("none.json",)))


def test_samplers_are_those_of_the_run(show, tmp_path):
    path, network = str(tmp_path / "run.json"), tmp_path / "wide.toml"
    network.write_text(
        'input = {channels = 64}\nlayers = [{kind = "dense", width = 64, init = "he_uniform"},'
        ' {kind = "rms_norm"}, {kind = "dense", width = 64}, {kind = "highway",'
        ' activation = "tanh"}]\n'
    )
    free, drawn = ["dense", "", *["matrix-free"] * 2], ["dense", "", "dense", "dense"]
    for arguments, expected in (
        (("-b", "4", "--sampler", "matrix-free"), free),
        (("-b", "4", "--sampler", "dense"), drawn),
        (("-b", "4"), drawn),  # which takes less work at this width
        (("-b", "5000"), drawn),
    ):
        rows = [*csv.reader(io.StringIO(show(*arguments, "-f", "csv", of=(str(network),))[1]))]
        assert [row[-1] for row in rows[2:]] == expected
        if arguments[:2] == ("-b", "4"):
            sampling = ["-t", "2", "-q", "-o", path, *arguments]
            assert run(["propagate", str(network), *sampling]) == 0
            layers = json.loads((tmp_path / "run.json").read_text())["runs"][0]["layers"]
            assert [layer["sampler"] or "" for layer in layers[1:]] == expected
            assert show("-f", "csv", of=(path,))[1].splitlines()[-1].endswith(expected[-1])
    assert "matrix-free" in show("-f", "csv", "-w", "1024", "-d", "2", "-b", "4", of=())[1]


def test_what_would_be_passed_over_is_refused(show):
    assert "--set is given twice" in refused(show("--set", "times=5", "--set", "times=6"))
    assert "at most the depth" in refused(show("--layers", "99", "-f", "csv"))
