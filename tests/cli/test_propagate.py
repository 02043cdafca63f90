"""`snstat propagate` as a command: valid use, errors and interrupts."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numba import config

import snstat
from snstat.__main__ import main
from snstat.cli import run
from snstat.engine import simulate
from snstat.results import MEASURED, STATISTICS

SMALL = ["propagate", "--depth", "3", "--width", "12", "--batch", "4", "--trials", "2"]


def call(capsys, *arguments):
    code = run([*arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def fails(capsys, *arguments):
    """Run a command that must fail; return its one line of error message."""
    code, out, err = call(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("snstat: error: ")
    assert err.count("\n") == 1
    return err


def test_json_follows_the_contract(capsys):
    code, out, err = call(capsys, *SMALL, "-a", "relu", "-a", "tanh", "--format", "json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["schema"] == "snstat.propagation/2"
    assert document["version"] == snstat.__version__
    assert [entry["stack"]["activation"] for entry in document["runs"]] == ["relu", "tanh"]
    assert [entry["stack"]["init"] for entry in document["runs"]] == ["he_normal", "lecun_normal"]
    first = document["runs"][0]
    assert first["stack"]["weight_gain"] == pytest.approx(2**0.5, rel=1e-15)
    assert first["simulation"] == {
        "batch": 4,
        "trials": 2,
        "seed": 0,
        "dtype": "float32",
        "sampler": "matrix-free",
        "inputs": "normal",
        "input_mean": 0.0,
        "input_std": 1.0,
        "standardize": False,
        "flatten": False,
        "inputs_digest": None,
        "train": True,
        "infinite_width": None,
    }
    assert [layer["layer"] for layer in first["layers"]] == [0, 1, 2, 3]
    for layer in first["layers"]:
        assert set(layer) == {"layer", "name", "kind", "shape", "sampler", "finite", *MEASURED}
        for name in STATISTICS:
            assert set(layer[name]) == {
                "estimate",
                "stderr",
                "theory",
                "expected",
                "neglected",
                "z",
            }
    early, last = (first["layers"][layer]["variance"] for layer in (1, 3))
    assert early["z"] == pytest.approx((early["estimate"] - early["expected"]) / early["stderr"])
    # Three layers of twelve ReLUs are too narrow for first-order theory.
    assert last["expected"] is None
    assert last["z"] == pytest.approx((last["estimate"] - last["theory"]) / last["stderr"])


def test_the_table_is_the_default_and_states_a_verdict(capsys):
    code, out, _ = call(capsys, *SMALL, "--layers", "all")
    assert code == 0
    assert "SELU" in out
    assert "Squared gradients grow" in out
    assert max(map(len, out.splitlines())) <= 80


def test_csv_has_every_layer_and_markdown_is_a_table(capsys):
    _, out, _ = call(capsys, *SMALL, "-f", "csv")
    rows = list(csv.DictReader(out.splitlines()))
    assert [row["layer"] for row in rows] == ["0", "1", "2", "3"]
    assert float(rows[3]["variance_theory"]) == pytest.approx(1.0, abs=1e-12)
    _, out, _ = call(capsys, *SMALL, "-f", "markdown", "--layers", "0,3")
    assert sum(line.startswith("|") for line in out.splitlines()) == 4


def test_an_output_file_is_complete(capsys, tmp_path):
    path = tmp_path / "run.json"
    code, out, _ = call(capsys, *SMALL, "-f", "json", "-o", str(path))
    assert (code, out) == (0, "")
    loaded = snstat.load(path)
    direct = snstat.propagate("selu", 3, width=12, batch=4, trials=2)
    for name in STATISTICS:
        for key in ("estimate", "stderr", "theory", "expected", "neglected", "z"):
            np.testing.assert_array_equal(
                loaded.statistics[name][key] if key != "z" else loaded.statistics[name].z,
                direct.statistics[name][key] if key != "z" else direct.statistics[name].z,
            )
    assert loaded.stack == direct.stack
    assert loaded.simulation == direct.simulation
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--depth", "0"], ["depth", "0", "from 1"]),
        (["--depth", "-1"], ["depth", "-1"]),
        (["--depth", "1000000000000"], ["depth", "1000000000000"]),
        (["--width", "0"], ["width", "0"]),
        (["--batch", "0"], ["batch", "0"]),
        (["--trials", "0"], ["trials", "0"]),
        (["--seed", "-1"], ["seed", "-1"]),
        (["--weight-gain", "nan"], ["--weight-gain", "nan", "finite"]),
        (["--weight-gain", "-1"], ["--weight-gain", "-1.0", "from 0"]),
        (["--bias-std", "inf"], ["--bias-std", "inf"]),
        (["--input-std", "-2"], ["--input-std", "-2.0"]),
        (["--activation", "swsh"], ["--activation", "swsh", "'swish'"]),
        (["--init", "xavier"], ["xavier"]),
        (["--layers", "0,99"], ["99", "3"]),
        (["--layers", "few"], ["few"]),
        (["--inputs", "missing.npy"], ["missing.npy", "no such file"]),
        (["--depth", "ten"], ["ten"]),
        (["--frobnicate"], ["--frobnicate"]),
        (["-o", "no/such/folder/file"], ["no/such/folder/file"]),
        (["-o", "."], ["directory"]),
    ],
)
def test_bad_usage_gives_one_line_and_exit_code_2(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    complaint = fails(capsys, *SMALL, *arguments)
    for word in words:
        assert word in complaint
    assert list(tmp_path.iterdir()) == []


def bad_files(folder):
    """Write files that are invalid as inputs; return name → part of the error message."""
    np.save(folder / "vector.npy", np.zeros(3))
    np.save(folder / "cube.npy", np.zeros((2, 2, 2)))
    np.save(folder / "none.npy", np.zeros((0, 4)))
    np.save(folder / "nan.npy", np.array([[1.0, 2.0], [3.0, np.nan]]))
    np.save(folder / "complex.npy", np.zeros((2, 2), complex))
    np.save(folder / "text.npy", np.array([["a", "b"]]))
    np.save(folder / "object.npy", np.array([[None, 1]], dtype=object), allow_pickle=True)
    np.savez(folder / "two.npz", a=np.zeros((2, 2)), b=np.zeros((2, 2)))
    np.savez(folder / "object.npz", np.array([[None, 1]], dtype=object))
    (folder / "empty.npy").touch()
    (folder / "folder.npy").mkdir()
    (folder / "junk.npy").write_bytes(b"not numpy at all")
    (folder / "short.npy").write_bytes((folder / "cube.npy").read_bytes()[:-9])
    (folder / "short.npz").write_bytes((folder / "two.npz").read_bytes()[:60])
    return {
        "vector.npy": "(samples, width)",
        "cube.npy": "(samples, width)",
        "none.npy": "at least one sample",
        "nan.npy": "inputs[1, 1]",
        "complex.npy": "real number",
        "text.npy": "real number",
        "object.npy": "never unpickled",
        "two.npz": "a, b",
        "object.npz": "never unpickled",
        "empty.npy": "empty",
        "folder.npy": "directory",
        "junk.npy": "numpy",
        "short.npy": "numpy",
        "short.npz": "numpy",
    }


def test_errors_on_invalid_input_files_state_the_reason(capsys, tmp_path):
    for name, words in bad_files(tmp_path).items():
        complaint = fails(capsys, *SMALL[:-4], "--inputs", str(tmp_path / name))
        assert words in complaint, name
    np.save(tmp_path / "fine.npy", np.ones((3, 5)))
    assert "at most 3" in fails(
        capsys, *SMALL, "--batch", "4", "--inputs", str(tmp_path / "fine.npy")
    )
    assert "--input-mean" in fails(
        capsys, *SMALL[:-4], "--input-mean", "1", "--inputs", str(tmp_path / "fine.npy")
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint16", "bool"])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_data_file_is_the_input_layer(capsys, tmp_path, dtype, suffix):
    data = np.random.default_rng(1).integers(0, 2, (6, 5)).astype(dtype)
    data[:, 0] = 1
    path = tmp_path / f"data.{suffix}"
    (np.save if suffix == "npy" else np.savez)(path, data)
    code, out, _ = call(capsys, *SMALL[:5], "--trials", "2", "--inputs", str(path), "-f", "json")
    assert code == 0
    document = json.loads(out)["runs"][0]
    assert document["stack"]["input_width"] == 5
    assert document["simulation"]["inputs"] == str(path)
    assert document["simulation"]["batch"] == 6
    assert document["simulation"]["input_mean"] is None
    layer = document["layers"][0]
    assert layer["mean"]["estimate"] == pytest.approx(data.astype(float).mean())
    assert layer["mean"]["theory"] == pytest.approx(data.astype(float).mean())
    assert layer["mean"]["z"] is None


def test_nothing_non_finite_is_written_as_a_number(capsys):
    code, out, _ = call(capsys, *SMALL, "-a", "identity", "--weight-gain", "1e30", "-f", "json")
    assert code == 0
    layers = json.loads(out, parse_constant=pytest.fail)["runs"][0]["layers"]
    assert [layer["finite"] for layer in layers] == [True, True, False, False]
    assert layers[2]["mean"]["estimate"] is None
    code, out, _ = call(capsys, *SMALL, "-a", "identity", "--weight-gain", "1e30")
    assert "layer 2" in out


def test_one_trial_has_no_standard_error(capsys):
    _, out, _ = call(capsys, *SMALL[:-1], "1", "-f", "json")
    layer = json.loads(out)["runs"][0]["layers"][2]
    assert layer["mean"]["stderr"] is None
    assert layer["mean"]["z"] is None


def test_the_same_seed_gives_the_same_bytes(capsys):
    first = call(capsys, *SMALL, "-f", "json")
    assert first == call(capsys, *SMALL, "-f", "json")
    assert first != call(capsys, *SMALL, "-f", "json", "--seed", "1")


def program(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "snstat", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"NUMBA_DISABLE_JIT": "0"},
        # A suite in the background inherits a shell's order to ignore Ctrl-C and passes it on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # no threads
        **options,
    )


def complaints(err):
    """Return the lines of standard error without the notice that kernels are being compiled."""
    return [line for line in err.splitlines() if "compiling the" not in line]


compiled = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")


@compiled
def test_a_long_compilation_is_announced_once(capsys, monkeypatch):
    monkeypatch.setattr("snstat.experiment.warmup.NOTICE_AFTER_SECONDS", 0.0)
    code, _, err = call(capsys, *SMALL, "-a", "selu")
    assert code == 0
    assert err.count("compiling the float32 kernels") == 1


@compiled
def test_an_interrupt_while_compiling_is_not_lost(capsys, monkeypatch):
    real = simulate.simulate

    def interrupted(*arguments, **options):
        return replace(real(*arguments, **options), interrupted=True)

    monkeypatch.setattr(simulate, "simulate", interrupted)
    code, out, _ = call(capsys, *SMALL)
    assert (code, out) == (130, "")


def test_ctrl_c_prints_the_finished_layers_and_exits_with_130():
    # Layers are slow, so that the output is short.
    arguments = ["--width", "1024", "--sampler", "dense", "-t", "2", "-f", "json"]
    with program("propagate", "--depth", "1", *arguments) as compiled:
        compiled.communicate(timeout=240)
    # On a busy machine it may take long until the first layer starts.
    for patience in (2, 6, 20, 60):
        with program("propagate", "--depth", "1000000", *arguments) as process:
            time.sleep(patience)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        if out:
            break
    document = json.loads(out)["runs"][0]
    assert document["partial"] is True
    assert 1 < len(document["layers"]) < 1_000_001


def test_a_closed_pipe_is_not_an_error():
    with program("propagate", "--depth", "3000", "--width", "4", "-f", "csv") as process:
        process.stdout.readline()
        process.stdout.close()
        assert complaints(process.stderr.read()) == []
        assert process.wait(timeout=60) == 0


def test_a_full_device_gives_one_line_and_exit_code_two():
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "snstat", *SMALL], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert result.returncode == 2
    (complaint,) = complaints(result.stderr)
    assert complaint.startswith("snstat: error: standard output: No space left")


def test_excessive_sizes_are_refused_before_allocation(capsys):
    for size in (["-w", "200000000", "-b", "200000000"], ["-d", "1000000000", "-t", "1"]):
        assert "GiB" in fails(capsys, "propagate", *size)
    assert "no file name" in fails(capsys, *SMALL, "--inputs", "")


def test_theory_follows_each_sample_of_unequal_norm(capsys, tmp_path):
    rows = np.random.default_rng(0).normal(size=(20, 400))
    rows[0] *= 60.0
    np.save(tmp_path / "x.npy", rows)
    options = ["-a", "tanh", "-d", "2", "-w", "64", "-t", "4", "--inputs", str(tmp_path / "x.npy")]
    _, out, err = call(capsys, "propagate", *options, "-f", "json")
    assert "length" not in err
    layer = json.loads(out)["runs"][0]["layers"][1]["second_moment"]
    # With one common norm, q = 181 gives E[tanh²] = 0.88. Sample by sample it is 0.95·0.39 +
    # 0.05·0.98.
    assert layer["theory"] == pytest.approx(0.4233, abs=0.01)
    # With 64 units and 4 trials the relative standard error of the estimate is some 3 %.
    assert layer["estimate"] == pytest.approx(layer["theory"], rel=0.15)


def test_a_sample_of_zeros_gets_a_warning(capsys, tmp_path):
    rows = np.random.default_rng(0).choice([-1.0, 1.0], size=(4, 32))
    for zeros in (0, 1):
        rows[:zeros] = 0.0
        np.save(tmp_path / "x.npy", rows)
        _, _, err = call(capsys, *SMALL[:5], "--inputs", str(tmp_path / "x.npy"), "-f", "csv")
        assert ("all zeros" in err) == bool(zeros)


@pytest.mark.parametrize("closed", [1, 2])
def test_closed_streams_cause_no_traceback(closed):
    command = f"{sys.executable} -m snstat {' '.join(SMALL)} {closed}>&-"
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in result.stderr
    if closed == 1:
        assert result.returncode == 2
        assert "standard output: is closed" in result.stderr
    else:
        assert result.returncode == 0
        assert "SELU" in result.stdout


def test_every_command_has_version(capsys):
    for command in ([], ["propagate"], ["fixedpoint"], ["plot"], ["schema"]):
        code, out, _ = call(capsys, *command, "--version")
        assert code == 0
        assert out == f"snstat, version {snstat.__version__}\n"


class Interrupted:
    """Raises an interrupt where a class that has it is created: Python before 3.12 turns that into
    a RuntimeError."""

    def __set_name__(self, *_of):
        raise KeyboardInterrupt


def create(*_arguments, **_options):
    type("Created", (), {"field": Interrupted()})


def test_an_interrupt_while_a_class_is_created_is_an_interrupt(capsys, monkeypatch):
    monkeypatch.setattr("snstat.experiment.plan.Plan.run", create)
    assert call(capsys, *SMALL) == (130, "", "")
    monkeypatch.setattr("snstat.cli.main", create)
    # As they are in the process of the tests.
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match="130"):
        main()


def test_an_internal_error_gives_one_line(capsys, monkeypatch):
    def broken(*_arguments, **_options):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("snstat.experiment.plan.Plan.run", broken)
    assert "internal error (ZeroDivisionError: oops)" in fails(capsys, *SMALL)
    for off in ("", "0", "false", "No"):
        monkeypatch.setenv("SNSTAT_DEBUG", off)
        assert "Traceback" not in call(capsys, *SMALL)[2]
    monkeypatch.setenv("SNSTAT_DEBUG", "1")
    code, _, errors = call(capsys, *SMALL)
    assert code == 2
    lines = errors.splitlines()
    assert (lines[0], lines[-2]) == (
        "Traceback (most recent call last):",
        "ZeroDivisionError: oops",
    )
    assert lines[-1].startswith("snstat: error: internal error (ZeroDivisionError: oops)")
