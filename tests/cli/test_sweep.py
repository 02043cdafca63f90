"""The command line of sweeps: grids, files, formats, exit codes."""

from __future__ import annotations

import csv
import io
import itertools
import sys

import pytest

import snstat
from tests.robustness.processes import call, one_complaint
from tests.sweeps.grids import times

SMALL = ("-d", "3", "-b", "4", "-t", "2")
AXES = ("--over", "width=8,16", "--over", "weight-gain=1:2:3", "--seeds", "2")


@pytest.fixture
def sweep(capsysbinary):
    def run(*arguments):
        code, out, err = call(capsysbinary, "sweep", *arguments)
        return code, out.decode(), err

    return run


def table(text):
    return [*csv.DictReader(io.StringIO(text))]


def test_a_table_has_a_line_for_each_combination(sweep):
    code, out, err = sweep("-a", "relu", *SMALL, *AXES, "--backward")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["width", "weight", "gain", "verdict"]
    found = [tuple(line.split()[:2]) for line in lines[1:7]]
    assert found == [*itertools.product(["8", "16"], ["1", "1.5", "2"])]
    # That of the last layer is 1.
    assert not any(line.split()[-1].startswith("1.000") for line in lines[1:7])
    words = " ".join(out.split())
    assert "12 cells: " in words
    assert "gradient is that of the first row" in words


@pytest.mark.parametrize("theory", [False, True])
def test_a_gradient_of_last_rows_is_not_shown(sweep, tmp_path, theory):
    """It is 1 by definition. Cells that kept other rows still have theirs."""
    pytest.importorskip("pyarrow")
    alone = ("--theory",) if theory else ("--backward",)
    asked = "-a", "relu", *SMALL, *alone, "--layers", "last"
    for name in ("out.csv", "out.parquet", None):
        target = () if name is None else ("-o", str(tmp_path / name))
        code, out, _ = sweep(*asked, "--over", "width=8,16", *target)
        assert code == 0
        assert "cosine" in out
        assert "gradient" not in out
        if target:
            kept = [word for word in asked if word not in ("--layers", "last")]
            _, out, _ = sweep(*kept, "--over", "width=8,16,32", *target)
            lines = out.splitlines()
            assert lines[0].split()[-1] == "gradient"
            column = lines[0].index("gradient") - 2
            assert [bool(line[column:].strip()) for line in lines[1:4]] == [False, False, True]


def test_csv_goes_to_standard_output(sweep):
    code, out, _ = sweep("-a", "relu", *SMALL, *AXES, "-f", "csv", "--layers", "last")
    rows = table(out)
    assert code == 0
    assert [(row["width"], row["weight_gain"], row["seed"]) for row in rows] == [
        *itertools.product(["8", "16"], ["1.0", "1.5", "2.0"], ["0", "1"])
    ]
    assert {row["layer"] for row in rows} == {"3"}
    assert sweep("-a", "relu", *SMALL, *AXES, "-o", "-", "--layers", "last")[1] == out


def test_several_values_of_an_option_are_an_axis(sweep):
    typed = sweep("-a", "relu,tanh", "-w", "8", "-w", "16", *SMALL, "-f", "csv")[1]
    over = sweep("--over", "activation=relu,tanh", "--over", "width=8,16", *SMALL, "-f", "csv")[1]
    assert typed == over
    assert len({row["cell"] for row in table(typed)}) == 4


def test_zipped_options(sweep):
    out = sweep("--over", "width=8,16", "--over", "batch=2,4", "--zip", "width,batch", "-d", "2",
                "-t", "2", "-f", "csv", "--layers", "last")[1]  # fmt: skip
    assert [(row["width"], row["batch"]) for row in table(out)] == [("8", "2"), ("16", "4")]


def test_a_sweep_file_is_the_same_as_its_command_line(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "widths.toml").write_text("""
[sweep]
output = "file.csv"
zip = [["width", "batch"]]
seeds = 2
[run]
activation = "relu"
depth = 3
trials = 2
backward = true
[grid]
width = [8, 16]
batch = [2, 4]
weight_gain = { from = 1.0, to = 2.0, steps = 3 }
""")
    code, _, err = sweep("widths.toml")
    assert (code, err) == (0, "snstat: wrote file.csv: 48 rows, 12 cells\n")
    typed = ("-a", "relu", "-d", "3", "-t", "2", "--backward", "--over", "width=8,16")
    typed += ("--over", "batch=2,4", "--zip", "width,batch", "--over", "weight-gain=1:2:3")
    assert sweep(*typed, "--seeds", "2", "-o", "typed.csv", "-q")[0] == 0
    assert (tmp_path / "typed.csv").read_bytes() == (tmp_path / "file.csv").read_bytes()
    # What is typed beside a file comes before what it says.
    code, out, _ = sweep("widths.toml", "--seeds", "1", "-o", "-")
    assert (code, len({row["cell"] for row in table(out)})) == (0, 6)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[grid]\nwidht = [1]", "did you mean 'width'?"),
        ("[sweep]\noutptu = 'a.csv'", "did you mean 'output'?"),
        ("[run]\nwidth = 'x'", "width is 'x', but must be"),
        ("[grid]\nwidth = 3", "a list of values"),
        ("[grid]\nwidth = [8]\n[more]\na = 1", "table is 'more'"),
        ("grid = 3", "must be a table"),
        ("[sweep]\noutput = 3", "output is 3, but must be a file name"),
        ("[sweep]\nzip = 3", "zip is 3, but must be a list of lists of names"),
        ("[sweep]\nzip = ['width']", "must be a list of lists of names"),
        ("[sweep]\nzip = [[1]]", "must be a list of strings"),
        ("[sweep]\ntheory = 'no'", "theory is 'no', but must be true or false"),
        ("[sweep]\nseeds = true", "seeds is True, but must be a whole number"),
        ("[sweep]\nthreads = 0", "threads is 0, but must be a whole number from 1"),
        ("[sweep]\nlayers = 'some'", "layers is 'some', but must be one of all,"),
        ("[run]\nset = 3", "set is 3, but must be a table"),
        ("[run]\nwidht = 3", "key of [run] is 'widht'"),
        ("[grid]\nwidht = [64]", "wrong.toml: key of [grid] is 'widht', but must be one of"),
        ("[grid]\nwidth = '64'", "wrong.toml: width in [grid] is '64', but must be a list of"),
        ("[run]\nset = { a = 1 }", "wrong.toml: key of set in [run] is 'a', but must be one of"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(sweep, tmp_path, text, complaint):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    code, out, err = sweep(str(path))
    assert (code, out) == (2, "")
    assert complaint in one_complaint(err)
    assert [*tmp_path.iterdir()] == [path]


def test_values_of_parameters_are_plain(sweep, tmp_path):
    (tmp_path / "net.toml").write_text("""
input = { channels = 8 }
parameters = { scale = 1 }
layers = [{ kind = "dense", width = 8 }]
""")
    path = tmp_path / "wrong.toml"
    path.write_text("[run]\nnetwork = 'net.toml'\n[grid]\nscale = [[1, 2]]")
    code, out, err = sweep(str(path))
    assert (code, out) == (2, "")
    words = f"{path}: scale in [grid] is [1, 2], but must be a number, a text, true or false"
    assert words in one_complaint(err)


def test_parameters_of_a_network_file(sweep, tmp_path):
    path = tmp_path / "net.toml"
    path.write_text("""
input = { channels = "=width" }
parameters = { width = 8, scale = 1 }
[[layers]]
kind = "residual"
scale = "=scale"
layers = [{ kind = "dense", width = "=width", activation = "relu" }]
""")
    code, out, _ = sweep(str(path), "--over", "width=8,16", "--set", "scale=0.5", "-t", "2", "-b",
                         "4", "-f", "csv", "--layers", "last")  # fmt: skip
    assert code == 0
    assert [(row["width"], row["scale"]) for row in table(out)] == [("8", "0.5"), ("16", "0.5")]
    # The first cell need not be possible.
    code, _, err = sweep(str(path), "--over", "width=0,8", "-t", "2", "-b", "4")
    assert code == 1
    assert err.startswith("snstat: failed: width 0: ")
    _, _, err = sweep(str(path), "--over", "widht=8")
    assert "did you mean 'width'?" in one_complaint(err)
    _, _, err = sweep(str(path), "--depth", "3")
    assert "--depth cannot be used beside a network file" in one_complaint(err)


def test_parameters_may_have_the_names_of_columns(sweep, tmp_path):
    path = tmp_path / "net.toml"
    path.write_text("""
input = { channels = 8 }
parameters = { layers = 1, error = 0.5 }
[[layers]]
kind = "block"
times = "=layers"
layers = [{ kind = "dense", width = 8, activation = "relu" }]
""")
    words = (str(path), "--over", "layers=2,3", "--over", "error=1,2", *SMALL[2:])
    code, out, _ = sweep(*words)
    assert code == 0
    assert out.splitlines()[0].split()[:3] == ["layers", "error", "verdict"]
    found = [tuple(line.split()[:2]) for line in out.splitlines()[1:5]]
    assert found == [*itertools.product("23", "12")]
    _, out, _ = sweep(*words, "--zip", "layers, error")
    assert [line.split()[:2] for line in out.splitlines()[1:3]] == [["2", "1"], ["3", "2"]]
    swept = snstat.sweep(path, {"layers": [2, 3]}, batch=4, trials=2)
    assert swept.over == ("set.layers",)
    assert swept.cells["set.layers"].tolist() == [2.0, 3.0]
    _, _, err = sweep(str(path), "--over", f"layers=1,{2**40}", *SMALL[2:])
    assert f"failed: layers {2**40}: " in err


def test_an_overflow_is_no_theory(sweep):
    code, out, _ = sweep("-a", "relu", "-d", "10", "-w", "16", *SMALL[2:], "--over",
                         "weight-gain=1,1e5")  # fmt: skip
    assert code == 0
    assert out.splitlines()[2].split()[:4] == ["1e+05", "non-finite", "not", "finite"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--over", "width"), "NAME=VALUES"),
        (("--over", "width=0"), "from 1 to"),
        (("--over", "width=8", "--over", "width=9"), "given once"),
        (("--over", "width=8", "-w", "9"), "left out where the sweep is over it"),
        (("--over", "weight-gian=1,2"), "--over is 'weight-gian', but must be one of activation,"),
        (("--over", "weight-gian=1,2"), "weight_gain, "),
        (("--over", "width=1,2", "--zip", "width,dept"), "--zip is 'dept', but must be one of"),
        (
            ("--over", "width=1,2", "--over", "weight-gain=1:2:3", "--zip", "width,weight-gain"),
            "must be names of equally many values; width has 2, --weight-gain has 3",
        ),
        (("--set", "x=1"), "--set is 'x', but must be one of"),
        (("--over", "width=1:8:2.5"), "steps of width"),
        (("--over", "seed=1,2", "--seeds", "2"), "left out where the sweep is over seeds"),
        (("--seeds", "0"), "from 1 to"),
        (("--over", "depth=2,3", "--widths", "4,4"), "left out with --widths"),
        (("--over", "width=8", "-o", "a.json"), "named .csv"),
        (("--over", "width=8", "-o", "a.csv", "-f", "csv"), "table or markdown"),
        (("--input", "Bx3"), "--input is about a traced module"),
        (("none.toml",), "no such file"),
        (("some text",), "a network file"),
    ],
)
def test_wrong_usage_is_one_line(sweep, tmp_path, monkeypatch, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    code, out, err = sweep(*arguments)
    assert (code, out) == (2, "")
    assert complaint in one_complaint(err)
    assert [*tmp_path.iterdir()] == []


def test_without_pyarrow_parquet_is_refused(sweep, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, out, err = sweep("--over", "width=8", "-o", str(tmp_path / "out.parquet"))
    assert (code, out) == (2, "")
    assert "pip install 'snstat[parquet]'" in one_complaint(err)
    assert [*tmp_path.iterdir()] == []


def test_without_its_framework_no_cell_of_a_module_runs(sweep, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, out, err = sweep("model.onnx", "--over", "seed=0,1")
    assert (code, out) == (2, "")
    assert "pip install 'snstat[onnx]'" in one_complaint(err)


def test_failed_cells_are_named_and_the_exit_code_is_1(sweep, tmp_path):
    path = str(tmp_path / "out.csv")
    command = ("-a", "relu", *SMALL, "--over", f"width=8,{2**28}", "--sampler", "dense", "-o", path)
    code, out, err = sweep(*command)
    assert code == 1
    assert "1 failed" in out
    assert f"failed: width {2**28}: memory needed is" in err
    assert "snstat: wrote" in err
    rows = table((tmp_path / "out.csv").read_text())
    assert [row["error"] != "" for row in rows] == [False] * 4 + [True]
    code, _, err = sweep(*command)
    assert code == 1
    assert "has 1 cell; the sweep goes on" in err
    assert "of other options" not in err
    _, _, err = sweep("-a", "relu", *SMALL, "--over", "width=16", "-o", path)
    assert "goes on" not in err
    assert f"{path} has 1 cell of other options; it is kept" in err


def test_two_networks_in_one_file_stay_apart(sweep, tmp_path):
    path = tmp_path / "out.csv"
    for name, width in (("one", 4), ("two", 8)):
        file = tmp_path / f"{name}.toml"
        file.write_text(
            f'input = {{ channels = 4 }}\nlayers = [{{ kind = "dense", width = {width} }}]\n'
        )
        code, _, err = sweep(str(file), "--theory", "--over", "batch=2,4", "-o", str(path))
        assert code == 0
    assert f"{path} has 2 cells of another network, or other options; they are kept" in err
    found = snstat.load_sweep(path)
    assert sorted(set(found["subject"])) == ["one", "two"]
    assert {"subject", "batch"} <= set(found.over)


def test_a_dry_run_runs_nothing(sweep, tmp_path):
    path = str(tmp_path / "out.csv")
    code, out, _ = sweep("-a", "relu", *SMALL, *AXES, "-o", path, "--dry-run")
    assert code == 0
    assert out.splitlines()[0] == "12 cells: 2 width × 3 weight_gain × 2 seed"
    assert "thread" in out
    assert "MiB of memory" in out
    assert [*tmp_path.iterdir()] == []
    assert sweep("-a", "relu", *SMALL, *AXES, "-o", path, "-q")[0] == 0
    before = (tmp_path / "out.csv").read_bytes()
    out = sweep("-a", "relu", *SMALL, *AXES, "-o", path, "--dry-run")[1]
    assert out == "12 cells, 12 of them done: 2 width × 3 weight_gain × 2 seed\n"
    # A last line that is not whole is left to the sweep that goes on.
    (tmp_path / "out.csv").write_bytes(before[:-2])
    seen = times(tmp_path)
    out = sweep("-a", "relu", *SMALL, *AXES, "-o", path, "--dry-run")[1]
    assert out.startswith("12 cells, 11 of them done: ")
    assert times(tmp_path) == seen
    assert (tmp_path / "out.csv").read_bytes() == before[:-2]


def test_a_dry_run_tells_of_other_files(sweep, tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("a,b\n")
    code, out, err = sweep("--over", "width=8", "-o", str(path), "--dry-run")
    assert (code, out) == (2, "")
    assert "exists and is not a table of a sweep" in one_complaint(err)
    path.unlink()
    path.mkdir()
    assert "cannot be read" in one_complaint(sweep("-o", str(path), "--dry-run")[2])


def test_what_the_users_code_prints_in_a_dry_run_is_no_result(sweep, monkeypatch):
    def run(_cell):
        sys.stdout.write("loaded\n")

    monkeypatch.setattr("snstat.sweeps.estimate.run_cell", run)
    code, out, err = sweep("-a", "relu", *SMALL, "--over", "width=8,16", "--dry-run")
    assert (code, out.splitlines()[0]) == (0, "2 cells: 2 width")
    assert "loaded" not in out
    assert "loaded" in err


def test_progress_without_a_terminal(sweep, monkeypatch, tmp_path):
    monkeypatch.setattr("snstat.cli.sweep_progress.LONG_SECONDS", 0.0)
    path = str(tmp_path / "out.csv")
    code, _, err = sweep("-a", "relu", *SMALL, *AXES, "-o", path)
    assert code == 0
    *told, last = err.splitlines()
    assert told[0].startswith("snstat: 1 of 12 cells, 0 failed, 11 left, about ")
    assert last == f"snstat: wrote {path}: 48 rows, 12 cells"
    assert sweep("-a", "relu", *SMALL, *AXES, "-o", path, "-q")[2] == ""


def test_markdown(sweep):
    code, out, _ = sweep("-a", "relu", *SMALL, *AXES, "-f", "markdown")
    assert code == 0
    assert out.splitlines()[0].startswith("| width | weight gain | verdict |")


def test_theory_alone_finds_the_edge_of_chaos(sweep):
    """tanh without biases is ordered up to a gain of 1 and chaotic beyond."""
    _, out, _ = sweep("--theory", "-a", "tanh", "-d", "100", "--over", "weight-gain=0.5,2", "-f",
                      "csv", "--layers", "last")  # fmt: skip
    assert [row["verdict"] for row in table(out)] == ["vanishing", "chaotic"]
    assert {row["mean_estimate"] for row in table(out)} == {""}
