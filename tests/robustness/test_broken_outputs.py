"""Results that cannot be written: closed pipes, full disks, folders without permission."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from snstat.cli import COMMANDS
from tests.robustness.processes import (
    FILE_WRITERS,
    SMALL,
    WRITERS,
    call,
    compiled,
    contents,
    finish,
    limit_files,
    limited_files,
    obey_permissions,
    one_complaint,
)

pytestmark = compiled
WITH_FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")


def test_every_command_is_tested():
    missing = COMMANDS.keys() - {first for first, *_ in WRITERS.values()}
    assert not missing, f"add {missing} to WRITERS of tests/robustness/processes.py"


@pytest.mark.parametrize("name", WRITERS)
def test_a_closed_pipe_is_not_an_error(name):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        code, _, err = finish(*WRITERS[name], stdout=writer)
    finally:
        os.close(writer)
    assert (code, err) == (0, "")


@WITH_FULL
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_device_gives_one_line(name):
    with Path("/dev/full").open("wb") as full:
        code, _, err = finish(*WRITERS[name], stdout=full)
    assert code == 2
    assert "No space left" in one_complaint(err)


@WITH_FULL
def test_a_closed_or_full_standard_error_keeps_the_exit_code():
    """The exit code and standard output are the same as with a working standard error."""
    reader, writer = os.pipe()
    os.close(reader)
    with Path("/dev/full").open("wb") as full:
        for stream in (writer, full):
            assert finish("propagate", "-d", "0", stderr=stream)[0] == 2
            assert finish("--frobnicate", stderr=stream)[0] == 2
            code, out, _ = finish("propagate", *SMALL, "-f", "csv", stderr=stream)
            assert code == 0
            assert out.startswith(b"run,activation")
    os.close(writer)


# Python itself would leave the beginning of a file of bytecode, which others then read.
NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.parametrize("name", FILE_WRITERS)
@pytest.mark.parametrize("before", [None, b"of before"], ids=["new", "there"])
def test_a_full_disk_leaves_no_partial_file(capsysbinary, monkeypatch, tmp_path, name, before):
    """Files are limited to 100 bytes, as on a disk with little space left; once for a process."""
    path = tmp_path / "out"
    if before is not None:
        path.write_bytes(before)
    arguments = *FILE_WRITERS[name], str(path)
    if name == "propagate json":
        ended = finish(*arguments, prepare=limit_files(100), env=os.environ | NO_BYTECODE)
    else:
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        with limited_files(100):
            ended = call(capsysbinary, *arguments)
    code, out, err = ended
    assert (code, out) == (2, b"")
    assert f"{path}: File too large" in one_complaint(err)
    assert contents(tmp_path) == ({} if before is None else {"out": before})


def test_a_full_disk_loses_the_cache_but_not_the_result(tmp_path):
    """Kernels are compiled and run, although they cannot be cached. Those of a network are the
    fewest."""
    cache, network = tmp_path / "cache", tmp_path / "network.toml"
    network.write_text('input = { channels = 2 }\nlayers = [{ kind = "scale" }]\n')
    environment = os.environ | NO_BYTECODE | {"NUMBA_CACHE_DIR": str(cache)}
    arguments = ("propagate", str(network), "-b", "2", "-t", "1", "-f", "csv")
    code, out, err = finish(*arguments, prepare=limit_files(100), env=environment)
    assert (code, err) == (0, "")
    assert out.count(b"\n") == 3
    assert list(cache.rglob("*")) != []
    assert [path for path in cache.rglob("*") if path.is_file()] == []


@pytest.mark.skipif(
    sys.platform != "linux" and os.geteuid() == 0, reason="root can write to every folder"
)
@pytest.mark.parametrize("name", FILE_WRITERS)
def test_a_folder_without_permission_gives_one_line(tmp_path, name):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "there").write_bytes(b"of before")
    folder.chmod(0o555)
    try:
        for file in ("new", "there"):
            path = folder / file
            code, out, err = finish(*FILE_WRITERS[name], str(path), prepare=obey_permissions)
            assert (code, out) == (2, b"")
            assert "Permission denied" in one_complaint(err)
            assert contents(folder) == {"there": b"of before"}
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (".", "is a directory"),
        ("no/such/folder/out", "its folder does not exist"),
        ("file/out", "Not a dir"),
    ],
)
@pytest.mark.parametrize("name", FILE_WRITERS)
def test_an_impossible_path_gives_one_line(capsysbinary, monkeypatch, tmp_path, name, place, words):
    monkeypatch.chdir(tmp_path)
    Path("file").write_bytes(b"of before")
    code, _, err = call(capsysbinary, *FILE_WRITERS[name], place)
    assert code == 2
    assert words in one_complaint(err)
    assert contents(tmp_path) == {"file": b"of before"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("propagate", *SMALL, "--inputs", "missing.npy"),
        ("propagate", *SMALL, "--weight-gain", "nan"),
        ("fixedpoint", "--target-variance", "-1"),
        ("plot", "missing.json", "--format", "png"),
        ("plot", *SMALL, "--kind", "histogram", "--layers", "99", "--format", "png"),
    ],
    ids=lambda arguments: arguments[-2] if arguments else None,
)
def test_a_failed_run_leaves_the_old_file(capsysbinary, monkeypatch, tmp_path, arguments):
    monkeypatch.chdir(tmp_path)
    Path("out").write_bytes(b"of before")
    code, out, err = call(capsysbinary, *arguments, "-o", "out")
    assert (code, out) == (2, b"")
    one_complaint(err)
    assert contents(tmp_path) == {"out": b"of before"}


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown"])
def test_file_names_that_are_not_text_are_escaped(capsysbinary, monkeypatch, tmp_path, form):
    """File names are bytes; these are not UTF-8 and contain terminal control characters."""
    name = os.fsdecode(b"\xff\x1b[31m\n.npy")
    monkeypatch.chdir(tmp_path)
    with open(name, "wb") as file:  # noqa: PTH123
        np.save(file, np.ones((2, 3), np.float32))
    arguments = ("propagate", "-d", "1", "-w", "3", "-t", "1", "--inputs", name, "-f", form)
    code, out, err = call(capsysbinary, *arguments)
    assert (code, err) == (0, "")
    assert b"\x1b" not in out
    code, _, err = call(capsysbinary, *arguments, "-o", name)
    assert code == 0
    assert err.startswith("snstat: wrote ")
    assert err[:-1].isprintable()
    assert b"\x1b" not in Path(name).read_bytes()
    code, _, err = call(capsysbinary, "propagate", *SMALL, "--inputs", name, "--batch", "9")
    assert code == 2
    assert one_complaint(err)[:-1].isprintable()
