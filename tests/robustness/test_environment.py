"""Faults of the environment are named in one line."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys

import pytest

from snstat import cli
from snstat.engine.environment import load_numba
from snstat.errors import InvalidValueError
from snstat.limits import LEAST_ADDRESSES, LEAST_DATA, require_room
from tests.robustness.processes import call, finish, one_complaint

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
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (2**30, 2**30))
    assert words in told(capsys, monkeypatch, error)


@pytest.mark.parametrize("megabytes", [100, 400])
@pytest.mark.parametrize(
    "arguments",
    [RUN, ["plot", *RUN[1:], "-o", "x.png"], ["check", "run.json"], ["fixedpoint"]],
    ids=lambda arguments: arguments[0],
)
@pytest.mark.parametrize("kind", ["AS", "DATA"])
def test_too_little_memory_is_refused_before_libraries_load(tmp_path, arguments, megabytes, kind):
    """OpenBLAS would try for ever to allocate its buffers, or end the process."""

    def limit():
        size = megabytes * 10**6
        resource.setrlimit(getattr(resource, f"RLIMIT_{kind}"), (size, size))

    code, out, err = finish(*arguments, cwd=tmp_path, prepare=limit)
    flag = {"AS": "-v", "DATA": "-d"}[kind]
    assert (code, out) == (2, b"")
    complaint = one_complaint(err)
    assert f"memory limit of this process (ulimit {flag}) is '" in complaint
    assert complaint.endswith(f"ulimit {flag} unlimited\n")
    assert list(tmp_path.iterdir()) == []


def test_python_refuses_too_little_memory(monkeypatch):
    limits = {resource.RLIMIT_AS: resource.RLIM_INFINITY, resource.RLIMIT_DATA: LEAST_DATA}
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limits[which],) * 2)
    require_room()
    assert load_numba() in (True, False)
    for which, least in ((resource.RLIMIT_DATA, LEAST_DATA), (resource.RLIMIT_AS, LEAST_ADDRESSES)):
        limits[which] = least - 1
        with pytest.raises(InvalidValueError, match="memory limit of this process"):
            load_numba()
        limits[which] = least


@pytest.mark.parametrize(
    ("command", "output", "place"),
    [
        ("propagate", ["-o", "x.json"], "snstat.experiment.plan.Plan.run"),
        ("plot", ["-o", "x.png"], "snstat.report.figures.save_figure"),
        ("plot", ["-o", "-", "--format", "png"], "snstat.report.figures.save_figure"),
    ],
)
def test_what_fails_beside_the_output_does_not_name_it(
    capsysbinary, monkeypatch, tmp_path, command, output, place
):
    """A file is open, or standard output is watched, when a library fails to load."""
    words = "Could not find/load shared object file 'libllvmlite.so'"

    def fail(*_arguments, **_options):
        raise OSError(words)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(place, fail)
    code, out, err = call(capsysbinary, command, *RUN[1:], *output)
    assert (code, out) == (2, b"")
    assert one_complaint(err) == f"snstat: error: a library cannot be loaded: {words}\n"
    assert list(tmp_path.iterdir()) == []


def test_system_errors_name_their_file_only(capsys, monkeypatch):
    error = OSError(errno.EIO, "Input/output error", "x.npy")
    assert "error: x.npy: Input/output error" in told(capsys, monkeypatch, error)
    error = OSError(errno.EMFILE, "Too many open files")
    assert "the system refused: Too many open files" in told(capsys, monkeypatch, error)
