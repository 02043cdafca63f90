"""Run the program in a separate process, under conditions that the tests set."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from numba import config

from snstat.cli import run

# CAP_DAC_OVERRIDE lets root write without permission; PR_CAPBSET_DROP removes it.
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1

SMALL = ("-d", "3", "-w", "8", "-b", "4", "-t", "2")
# Networks as small as these vary more than a check allows by default.
CALM = ("--ignore", "SN502")
# One command of each kind, because all formats of a result share their writing code.
WRITERS = {
    "help": ("--help",),
    "schema": ("schema",),
    "rules": ("check", "--list-rules"),
    "show table": ("show", "--layers", "all"),
    "show csv": ("show", "-f", "csv"),
    "layers": ("layers", "dense"),
    "propagate json": ("propagate", *SMALL, "-f", "json"),
    "fixedpoint table": ("fixedpoint", "-f", "table"),
    "spectrum csv": ("spectrum", "-d", "2", "-w", "6", "-t", "2", "-f", "csv"),
    "check table": ("check", *SMALL, *CALM),
    "sweep table": ("sweep", *SMALL),
    "sweep csv": ("sweep", *SMALL, "-f", "csv"),
    "plot png": ("plot", *SMALL, "-o", "-", "--format", "png"),
    "plot svg": ("plot", *SMALL, "-o", "-", "--format", "svg"),
    # These need PyTorch and a file of weights; they write as the others do.
    "trace help": ("trace", "--help"),
    "weights help": ("weights", "--help"),
}
# Commands that write a file, whose name is appended.
FILE_WRITERS = {
    "propagate json": ("propagate", *SMALL, "-f", "json", "-o"),
    "fixedpoint table": ("fixedpoint", "-f", "table", "-o"),
    "spectrum json": ("spectrum", "-d", "2", "-w", "6", "-t", "2", "-f", "json", "-o"),
    "show json": ("show", "-f", "json", "-o"),
    "layers": ("layers", "-o"),
    "plot png": ("plot", *SMALL, "--format", "png", "-o"),
    "plot svg": ("plot", *SMALL, "--format", "svg", "-o"),
    "check table": ("check", *SMALL, *CALM, "-o"),
    "baseline": ("check", *SMALL, *CALM, "--write-baseline"),
}
compiled = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="slow without compiled kernels")


def start(
    *arguments: str,
    prepare: Callable[[], None] | None = None,
    program: tuple[str, ...] = ("-m", "snstat"),
    **options: Any,
) -> Any:
    """Start the program; `prepare` runs first in the child process."""

    def before() -> None:
        # A suite in the background, or under nohup, inherits orders to ignore these signals.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        if prepare is not None:
            prepare()

    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        preexec_fn=before,  # noqa: PLW1509  # no threads
        **options,
    )


def finish(*arguments: str, **options: Any) -> tuple[int, bytes, str]:
    """Run the program to its end.

    Return its exit code, its output, and standard error without the notice of compiling.
    """
    with start(*arguments, **options) as process:
        out, err = process.communicate(timeout=240)
    return process.returncode, out or b"", lines_of(err or b"")


def call(capsysbinary: Any, *arguments: str) -> tuple[int, bytes, str]:
    """Run the program in this process, much faster; return the same as `finish`."""
    code = run(arguments)
    out, err = capsysbinary.readouterr()
    return code, out, lines_of(err)


def lines_of(err: bytes) -> str:
    """Return standard error without the notice that kernels are being compiled."""
    lines = err.decode().splitlines(keepends=True)
    return "".join(line for line in lines if "compiling the" not in line)


def one_complaint(err: str) -> str:
    """Return the only line of standard error."""
    assert err.startswith("snstat: error: ")
    assert err.count("\n") == 1
    assert "internal error" not in err
    return err


def obey_permissions() -> None:
    """Remove root's right to write anywhere from this process and its successors."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def limit_files(size: int) -> Callable[[], None]:
    """Return a function that limits every file of a process to `size` bytes, like a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@contextlib.contextmanager
def limited_files(size: int) -> Iterator[None]:
    """Limit every file of this process to `size` bytes meanwhile."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def limit_memory(size: int) -> Callable[[], None]:
    """Return a function that limits the data of a process to `size` bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files in a folder, hidden ones too."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
