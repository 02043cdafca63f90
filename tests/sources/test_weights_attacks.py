"""Files that were made to do harm: one line, exit code 2, nothing run, little memory and time.

PyTorch is not needed here: its files are refused before it is asked. tests/peers does the rest.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

import snstat
from snstat.cli import run
from snstat.errors import SnstatError
from tests.sources.attacked import assert_cheap
from tests.sources.files import npz, safetensors, torch_zip

CANARY = "PWNED"
ONE = {"a": np.ones((2, 2), np.float32)}
MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)


class Evil:
    """Makes a file when it is unpickled."""

    def __reduce__(self):
        return (open, (CANARY, "w"))


def entry(**changes):
    """Return the header of one 2×2 float32 with some of its entries changed."""
    whole = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]} | changes
    return json.dumps({"a": whole}).encode()


def tensors(header, data=b"\0" * 16):
    return safetensors({}, header=header, tail=data)


def npy(shape, dtype="<f4", data=b""):
    """Return an .npy that claims a shape."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return file.getvalue() + data


def npz_of(name, data, how=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        archive.writestr(name, data)
    return file.getvalue()


def objects():
    file = io.BytesIO()
    np.savez(file, a=np.array([Evil()], dtype=object))
    return file.getvalue()


def npy_objects():
    file = io.BytesIO()
    np.save(file, np.array([Evil()], dtype=object), allow_pickle=True)
    return file.getvalue()


# Name → (bytes, words of the message).
ATTACKS = {
    "length of 2⁶³": (struct.pack("<Q", 2**63) + b"{}", "claims a header"),
    "length beyond the file": (struct.pack("<Q", 999) + b"{}", "claims a header"),
    "long header": (struct.pack("<Q", 2**23 + 1) + b"{" + b" " * 2**23, "header of"),
    "no JSON": (tensors(b"{nope"), "no JSON"),
    "deep JSON": (tensors(b'{"a":' * 10**5 + b"1" + b"}" * 10**5), "nested too deeply"),
    "deep lists": (tensors(b'{"a":' + b"[" * 10**6 + b"]" * 10**6 + b"}"), "nested too deeply"),
    "JSON of another kind": (tensors(b'{"a": [1]}'), "no place"),
    "a list": (tensors(b"{}")[:8] + b"[]", "no JSON object"),
    "duplicate key": (tensors(entry()[:-1] + b"," + entry()[1:]), "given twice"),
    "unknown type": (tensors(entry(dtype="Q77")), "type 'Q77'"),
    "no type": (tensors(entry(dtype=[1])), "type"),
    "negative side": (tensors(entry(shape=[-2, -2])), "shape"),
    "fraction": (tensors(entry(shape=[2.0, 2])), "shape"),
    "huge shape": (tensors(entry(shape=[2**62, 2**62])), "claims"),
    "truncated": (tensors(entry(), b"\0" * 15), "truncated"),
    "bytes left over": (tensors(entry(), b"\0" * 17), "truncated or damaged"),
    "offsets beyond": (tensors(entry(data_offsets=[2**40, 2**40 + 16])), "unused"),
    "offsets reversed": (tensors(entry(data_offsets=[16, 0])), "no place"),
    "overlap": (
        tensors(entry()[:-1] + b', "b": ' + entry()[6:-1] + b"}"),
        "overlap",
    ),
    "npy of objects": (npy_objects(), "Python objects"),
    "npz of objects": (objects(), "Python objects"),
    "npy of 36 TiB": (npy((10**7, 10**6)), "truncated"),
    "npy of negative sides": (npy((-1, -4), data=b"\0" * 16), "shape"),
    "npz of 36 TiB": (npz_of("a.npy", npy((10**7, 10**6))), "truncated"),
    "npz bomb": (npz_of("a.npy", npy((2**21, 8), data=bytes(2**26))), "unpacks to"),
    "npz of a pickle": (npz_of("a.pkl", pickle.dumps(Evil())), "no array"),
    "npz of text": (npz_of("a.npy", b"hello"), "is not a readable numpy file"),
    "zip of nothing": (npz_of("x", b"")[:30], "is not a readable file of weights"),
    "pickle": (pickle.dumps(Evil()), "never loaded"),
    "pickle of protocol 2": (pickle.dumps(Evil(), protocol=2), "never loaded"),
    "pickle of protocol 0": (pickle.dumps(Evil(), protocol=0), "none of the formats"),
    "torch zip": (torch_zip(pickle.dumps(Evil(), protocol=2)), "more than weights (io.open)"),
    "torch zip, new pickle": (torch_zip(pickle.dumps(Evil(), protocol=4)), "more than weights"),
    "torch zip, INST": (torch_zip(b"(S'x'\nios\nsystem\n."), "more than weights"),
    "torch zip, packed": (torch_zip(pickle.dumps({}, protocol=2) * 99, packed=True), "packed"),
    "torch zip, damaged": (torch_zip(b"\x80\x02garbage"), "is not a readable PyTorch file"),
    "torch before 1.6": (
        MAGIC + pickle.dumps(1001, 2) + pickle.dumps({}, 2) + pickle.dumps(Evil(), 2) * 2,
        "more than weights (io.open)",
    ),
    "keras": (npz_of("model.weights.h5", b"\x89HDF\r\n\x1a\n"), "Keras"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
    "gguf": (b"GGUF" + bytes(99), "GGUF"),
    "empty": (b"", "empty"),
    "text": (b"hello, world, this is no file of weights", "none of the formats"),
}  # fmt: skip
NAMES = ("w.safetensors", "model.pt", "w.npz")


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refused(path, capsys, words=""):
    """Assert that a command refuses a file in one line, without output, and runs nothing."""
    tracemalloc.start()
    code = run(["weights", str(path)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("snstat: ")
    assert line.isprintable()
    assert len(line) < 700
    assert words in line
    assert not os.path.exists(CANARY)  # noqa: PTH110
    assert peak < 300e6


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_refused_in_one_line(attack, tmp_path, capsys):
    data, words = ATTACKS[attack]
    # Content decides, whatever the name says.
    path = tmp_path / NAMES[len(attack) % 3]
    path.write_bytes(data)
    refused(path, capsys, words)
    with pytest.raises(SnstatError):
        snstat.weights(path)


def test_attacks_take_little_time_and_memory(tmp_path):
    """All of them in one process, which the operating system measures, not Python alone."""
    files = {f"{number}.{NAMES[0]}": data for number, (data, _) in enumerate(ATTACKS.values())}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    assert_cheap(tmp_path, files)


@pytest.mark.parametrize(
    ("shard", "words"),
    [
        ("../secret.safetensors", "not beside it"),
        ("/etc/passwd.safetensors", "not beside it"),
        ("a\\b.safetensors", "not beside it"),
        ("..", "no .safetensors file"),
        ("model.pt", "no .safetensors file"),
        (7, "no .safetensors file"),
        ("missing.safetensors", "no such file"),
        ("pipe.safetensors", "not a regular file"),
        ("1.safetensors", "lacks"),
    ],
)
def test_an_index_names_files_beside_it_only(shard, words, tmp_path, capsys):
    (tmp_path / "1.safetensors").write_bytes(safetensors({"b": ONE["a"]}))
    (tmp_path.parent / "secret.safetensors").write_bytes(safetensors(ONE))
    os.mkfifo(tmp_path / "pipe.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shard}}), "utf-8")
    refused(index, capsys, words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "has no weight_map"),
        ('{"weight_map": {}}', "has no weight_map"),
        ('{"weight_map": 3}', "has no weight_map"),
        ("{", "no JSON"),
        ('{"a": 1', "no JSON"),
    ],
)
def test_an_index_without_places_is_refused(text, words, tmp_path, capsys):
    (tmp_path / "model.safetensors.index.json").write_text(text, "utf-8")
    refused(tmp_path / "model.safetensors.index.json", capsys, words)


def test_a_long_index_is_refused(tmp_path, capsys):
    path = tmp_path / "model.safetensors.index.json"
    path.write_bytes(b'{"weight_map": {' + b" " * 2**23 + b"}}")
    refused(path, capsys, "is larger than 8 MiB")


@pytest.mark.parametrize(
    ("name", "words"),
    [("missing.npz", "no such file"), (".", "a directory"), ("pipe", "not a regular file")],
)
def test_what_is_no_file_is_refused(name, words, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / name, capsys, words)


def test_names_with_control_characters_are_escaped(tmp_path, capsys):
    path = tmp_path / "w.npz"
    evil = "\x1b[31mred\x07"
    path.write_bytes(safetensors({evil: np.zeros((3, 4)), evil + "q": np.ones((2, 2), np.int8)}))
    for form in ("table", "csv", "markdown", "json"):
        assert run(["weights", str(path), "-f", form]) == 0
        out, _ = capsys.readouterr()
        assert "\x1b" not in out
        assert "\x07" not in out
    assert json.loads(out)["tensors"][0]["name"] == evil


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path):
    from snstat.sources.weights.opening import open_weights

    path = tmp_path / "w.safetensors"
    path.write_bytes(safetensors(ONE))
    (tensor,) = open_weights(path)
    path.write_bytes(b"")
    with pytest.raises(SnstatError, match=r"w\.safetensors"):
        tensor.read()


@pytest.mark.parametrize("release", ["2.9.1", "1.13", "unknown"])
def test_releases_of_pytorch_with_known_holes_are_not_used(release, tmp_path, capsys, monkeypatch):
    from importlib import metadata

    path = tmp_path / "model.pt"
    path.write_bytes(torch_zip(pickle.dumps({}, protocol=2)))
    monkeypatch.setattr(metadata, "version", lambda _: release)
    refused(path, capsys, f"torch 2.10 or later only, and this is torch {release}")


def test_pytorch_is_asked_for_where_it_is_missing(tmp_path, capsys, monkeypatch):
    from importlib import metadata

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    path = tmp_path / "model.pt"
    path.write_bytes(torch_zip(pickle.dumps({}, protocol=2)))
    monkeypatch.setattr(metadata, "version", missing)
    refused(path, capsys, "pip install 'snstat[torch]'")


def test_an_honest_archive_passes_the_look(tmp_path):
    """What numpy packs by itself, 1 to 10-fold, is read."""
    values = np.random.default_rng(0).standard_normal((300, 300)).round(2)
    path = tmp_path / "w.npz"
    path.write_bytes(npz({"a": values}, packed=True))
    assert snstat.weights(path).tensors[0].shape == (300, 300)
