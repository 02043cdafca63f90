"""The largest tensor that is read, by what a file declares and before anything is read."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import snstat
from snstat import cli, limits
from snstat.errors import InputFileError, InvalidValueError
from snstat.sources.weights import most, opening
from tests.sources.files import npz, safetensors

WIDE = {"small": np.ones((2, 2), np.float32), "wide": np.ones((8, 16), np.float32)}
SIZE = 8 * 16 * 4


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


FILES = {
    "w.npz": npz(WIDE),
    "packed.npz": npz(WIDE, packed=True),
    "w.npy": npy(WIDE["wide"]),
    "w.safetensors": safetensors(WIDE),
}


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("words", [["weights"], ["check"], ["propagate", "--weights"]])
def test_the_bound_is_in_the_message(file, words, capsys):
    assert cli.run([*words, file, "--max-bytes", str(SIZE - 1)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    name = "w" if file == "w.npy" else "wide"
    assert line.startswith(
        f"snstat: error: {file}: declares '{name}' with {SIZE} bytes, but at most {SIZE - 1} are"
        " read; use a larger --max-bytes"
    )


@pytest.mark.parametrize("file", FILES)
def test_a_tensor_of_the_bound_is_read(file):
    assert snstat.weights(file, max_bytes=SIZE).tensors
    with pytest.raises(InputFileError, match="use a larger max_bytes, or split it"):
        snstat.weights(file, max_bytes=SIZE - 1)


def test_types_that_are_not_read_have_no_bound():
    data = {"counts": np.ones((100, 100), np.int64), "w": np.ones((2, 2), np.float32)}
    (shown,) = snstat.weights(_written(npz(data)), max_bytes=16).tensors
    assert shown.name == "w"


def _written(data):
    Path("other.npz").write_bytes(data)
    return "other.npz"


def test_half_of_the_free_memory_is_the_default(monkeypatch):
    monkeypatch.setattr(most, "free_memory", lambda: 2.0 * SIZE)
    assert snstat.weights("w.npz").tensors
    monkeypatch.setattr(most, "free_memory", lambda: 2.0 * SIZE - 2)
    with pytest.raises(InputFileError, match=f"at most {SIZE - 1} are read"):
        snstat.weights("w.npz")
    with pytest.raises(InputFileError, match=f"at most {SIZE - 1} are read"):
        snstat.propagate("selu", weights="w.npz", only="wide")


def test_an_array_is_refused_before_it_is_unpacked():
    """Sixteen million zeros in a few KiB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.npy", npy(np.zeros((2000, 2000), np.float32)))
    path = _written(file.getvalue())
    tracemalloc.start()
    with pytest.raises(InputFileError, match="16,000,000 bytes"):
        snstat.weights(path, max_bytes=10**7)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10**6


def test_formats_that_are_read_as_a_whole(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"\x08" * 100)
    with pytest.raises(InputFileError, match=f"{opening.WHOLE} 100 bytes, but at most 99"):
        snstat.weights("model.onnx", max_bytes=99)


@pytest.mark.parametrize("value", [0, -1, 1.5, "many"])
def test_other_bounds_are_refused(value):
    with pytest.raises(InvalidValueError, match="max_bytes"):
        snstat.weights("w.npz", max_bytes=value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["propagate", "--max-bytes", "5"], "--max-bytes cannot be used without --weights"),
        (
            ["check", "--max-bytes", "5"],
            "must be left out without weights; it is about the file that is judged: snstat check",
        ),
        (["weights", "w.npz", "--max-bytes", "0"], "--max-bytes is 0, but must be a whole number"),
    ],
)
def test_it_is_about_a_file(words, said, capsys):
    assert cli.run(words) == 2
    assert said in capsys.readouterr().err
    with pytest.raises(InvalidValueError, match="left out without weights"):
        snstat.propagate("selu", depth=2, width=8, max_bytes=5)


def test_free_memory_is_no_more_than_there_is(monkeypatch):
    assert 2**20 < limits.free_memory() <= limits.physical_memory()
    monkeypatch.setattr(limits, "physical_memory", lambda: 1024.0)
    assert limits.free_memory() == 1024.0
    monkeypatch.setattr(limits.Path, "read_text", lambda *_a, **_n: "nothing")
    assert limits.free_memory() == 1024.0
