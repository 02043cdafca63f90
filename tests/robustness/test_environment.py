"""Faults of the environment are named in one line."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys

import pytest

from snstat import cli

RUN = ["propagate", "-d", "1", "-w", "4", "-b", "2", "-t", "2"]


@pytest.mark.parametrize(
    ("name", "value", "arguments"),
    [
        ("NUMBA_NUM_THREADS", "0", RUN),
        ("NUMBA_NUM_THREADS", "-2", RUN),
        ("NUMBA_NUM_THREADS", "abc", RUN),
        ("NUMBA_OPT", "fast", RUN),
        ("MPLBACKEND", "nonsense", ["plot", "--kind", "correlation", "-o", "x.png"]),
    ],
)
def test_an_unusable_setting_is_named(tmp_path, name, value, arguments):
    result = subprocess.run(
        [sys.executable, "-m", "snstat", *arguments],
        env=os.environ | {name: value},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"snstat: error: {name} in the environment is '{value}'")
    assert result.stderr.endswith(f"unset {name}\n")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def told(capsys, monkeypatch, error):
    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr("snstat.experiment.plan.Plan.run", fail)
    assert cli.run([*RUN, "-q"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err


def test_lack_of_memory_is_named(capsys, monkeypatch):
    words = "out of memory"
    assert words in told(capsys, monkeypatch, OSError(errno.ENOMEM, "Cannot allocate memory"))
    assert words in told(capsys, monkeypatch, MemoryError())
    # The loader has many messages for a library that does not fit in memory.
    error = ImportError("libx.so: failed to map segment from shared object")
    assert "a library cannot be loaded: libx.so" in told(capsys, monkeypatch, error)
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (2**28, 2**28))
    assert words in told(capsys, monkeypatch, error)


def test_system_errors_name_their_file_only(capsys, monkeypatch):
    error = OSError(errno.EIO, "Input/output error", "x.npy")
    assert "error: x.npy: Input/output error" in told(capsys, monkeypatch, error)
    error = OSError(errno.EMFILE, "Too many open files")
    assert "the system refused: Too many open files" in told(capsys, monkeypatch, error)
