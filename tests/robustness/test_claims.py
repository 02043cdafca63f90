"""Claims of a file are checked against its content: sizes, shapes, whole stacks."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

import snstat
from snstat.cli import run
from snstat.errors import InputFileError
from snstat.experiment.plan import Plan
from snstat.files import saved
from snstat.files.saved import load_all, runs_to_json
from snstat.limits import physical_memory
from tests.robustness.numpy_mutations import npy
from tests.robustness.processes import compiled, finish, limit_memory, one_complaint


def packed(array_bytes: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("x.npy", array_bytes)
    return file.getvalue()


def header(shape: tuple[int, ...], descr: str = "<f8") -> str:
    return repr({"descr": descr, "fortran_order": False, "shape": shape}) + "\n"


def liars(folder: Path) -> dict[str, str]:
    """Write files that claim more than they contain: name → part of the error message."""
    huge = npy(header((10**6, 10**6)), bytes(64))
    zeros = npy(header((2**14, 2**14), "|u1"), bytes(2**28))
    (folder / "huge.npy").write_bytes(huge)
    (folder / "overflow.npy").write_bytes(npy(header((2**40, 2**40)), bytes(64)))
    (folder / "huge.npz").write_bytes(packed(huge))
    (folder / "bomb.npz").write_bytes(packed(zeros))
    with (folder / "sparse.npy").open("wb") as file:
        file.write(npy(header((2**40, 1), "|u1"), b""))
        file.truncate(2**40 + 200)
    with (folder / "sparse.json").open("wb") as file:
        file.write(b'{"schema": "snstat.propagation/2"')
        file.truncate(2**40)
    with (folder / "empty.json").open("wb") as file:
        file.truncate(2**40)
    (folder / "objects.json").write_bytes(b"{" + b"[{}," * 10**6)
    return {
        "huge.npy": "but holds only 64 bytes",
        "overflow.npy": "but holds only 64 bytes",
        "huge.npz": "but holds only 64 bytes",
        "bomb.npz": "unpacks to 256 MiB",
        "sparse.npy": "memory needed",
        "sparse.json": "larger than",
        "empty.json": "is not JSON",
        "objects.json": "is not JSON",
        "/dev/zero": "is not JSON",
    }


@compiled
def test_false_headers_cost_neither_memory_nor_time(tmp_path):
    """Memory is limited to 1 GiB, and to 3 GiB for a JSON file that is really large."""
    for name, words in liars(tmp_path).items():
        path = str(tmp_path / name)
        if name.endswith((".json", "zero")):
            arguments = ("plot", path, "-o", str(tmp_path / "x.png"))
        else:
            arguments = ("propagate", "-d", "1", "-w", "4", "--inputs", path)
        memory = 3 * 2**30 if name == "sparse.json" else 2**30
        began = time.monotonic()
        code, out, err = finish(*arguments, prepare=limit_memory(memory))
        assert (code, out) == (2, b"")
        assert words in one_complaint(err), name
        assert time.monotonic() - began < 20, name
    for device in ("/dev/zero", "/dev/stdin"):
        code, _, err = finish("propagate", "--inputs", device, stdin=subprocess.DEVNULL)
        assert code == 2
        assert "not a regular file" in one_complaint(err)


def test_a_pipe_for_inputs_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputFileError, match="not a regular file"):
        snstat.propagate(inputs=tmp_path / "pipe")


def test_valid_compressed_arrays_are_read(tmp_path):
    """Digits compress some ten-fold, which is not taken for a zip bomb."""
    digits = np.random.default_rng(0).integers(0, 2, (20_000, 1000), np.uint8)
    assert digits.nbytes > 2**24
    np.savez_compressed(tmp_path / "digits.npz", digits)
    assert digits.nbytes > 4 * (tmp_path / "digits.npz").stat().st_size
    plan = Plan.build("relu", 1, width=2, batch=2, inputs=tmp_path / "digits.npz")
    np.testing.assert_array_equal(plan.inputs.data, digits)


def test_json_beyond_memory_is_not_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(saved, "physical_memory", lambda: 2.0**20)
    (tmp_path / "run.json").write_bytes(b'{"a": [' + b"{}," * 10_000 + b"{}]}")
    with pytest.raises(InputFileError, match="may need"):
        load_all(tmp_path / "run.json")
    assert physical_memory() > 2**20


@pytest.fixture
def run_form():
    run = snstat.propagate("selu", 2, width=4, batch=3, trials=2)
    return json.loads("".join(runs_to_json([run])))


@pytest.mark.parametrize(
    ("place", "changes", "words"),
    [
        ("stack", {"depth": 10**8}, "layers 0 to 2"),
        ("stack", {"depth": 1}, "layers 0 to 2"),
        ("stack", {"width": 10**8}, "again"),
        ("stack", {"width": 10**12}, "width is 1000000000000"),
        ("stack", {"activation": "x" * 10**7}, "activation is 'xxx"),
        ("stack", {"activation": "\x1b[2J"}, r"\x1b[2J"),
        ("stack", {"weight_gain": -1}, "weight_gain is -1"),
        ("simulation", {"batch": 2**27}, "again"),
        ("simulation", {"batch": 2**40}, "batch is 1099511627776"),
        ("simulation", {"trials": 10**7}, "must be at most"),
        ("simulation", {"inputs": "/dev/zero", "input_mean": None, "input_std": None}, "regular"),
        ("simulation", {"inputs": "a\0b"}, "must be text of 1 to"),
    ],
)
def test_an_impossible_saved_run_is_not_simulated_again(
    capsys, tmp_path, run_form, place, changes, words
):
    run_form["runs"][0][place] |= changes
    for layer in run_form["runs"][0]["layers"]:
        layer["cosine"]["estimate"] = 0.5  # possible for any batch
    path = tmp_path / "run.json"
    path.write_text(json.dumps(run_form))
    began = time.monotonic()
    code = run(["plot", str(path), "--kind", "histogram", "-o", str(tmp_path / "x.png")])
    assert code == 2
    complaint = one_complaint(capsys.readouterr().err)
    assert words in complaint
    assert complaint[:-1].isprintable()
    assert time.monotonic() - began < 5


def test_a_partial_run_is_simulated_again_up_to_its_last_layer(capsys, tmp_path, run_form):
    run_form["runs"][0]["stack"]["depth"] = 10**6
    run_form["runs"][0]["partial"] = True
    path = tmp_path / "run.json"
    path.write_text(json.dumps(run_form))
    code = run(["plot", str(path), "--kind", "histogram", "-o", str(tmp_path / "x.png")])
    assert code == 0
    assert capsys.readouterr().err.startswith("snstat: wrote ")


def test_this_system_has_no_limit_of_its_own():
    """With a limit of its own the system could make the tests above pass."""
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY
