"""The program as a process of its own, in conditions that the tests choose."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numba import config

from snstat.cli import run

# CAP_DAC_OVERRIDE lets root write where permissions forbid it; PR_CAPBSET_DROP takes it away.
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1

SMALL = ("-d", "3", "-w", "8", "-b", "4", "-t", "2")
# Networks as small as these differ more than a check allows by default.
CALM = ("--ignore", "SN502")
# One command of each kind: all forms of a result are written by the same code.
WRITERS = {
    "help": ("--help",),
    "schema": ("schema",),
    "rules": ("check", "--list-rules"),
    "propagate json": ("propagate", *SMALL, "-f", "json"),
    "fixedpoint table": ("fixedpoint", "-f", "table"),
    "check table": ("check", *SMALL, *CALM),
    "plot png": ("plot", *SMALL, "-o", "-", "--format", "png"),
    "plot svg": ("plot", *SMALL, "-o", "-", "--format", "svg"),
}
# Some that write a file, whose name is to follow.
FILE_WRITERS = {
    "propagate json": ("propagate", *SMALL, "-f", "json", "-o"),
    "fixedpoint table": ("fixedpoint", "-f", "table", "-o"),
    "plot png": ("plot", *SMALL, "--format", "png", "-o"),
    "plot svg": ("plot", *SMALL, "--format", "svg", "-o"),
    "check table": ("check", *SMALL, *CALM, "-o"),
    "baseline": ("check", *SMALL, *CALM, "--write-baseline"),
}
compiled = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="takes long uncompiled")


def start(
    *arguments: str,
    prepare: Callable[[], None] | None = None,
    program: tuple[str, ...] = ("-m", "snstat"),
    **options: Any,
) -> Any:
    """Start the program; `prepare` runs in the child before it."""

    def before() -> None:
        # A suite in the background, or under nohup, inherits orders to ignore these.
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
    """Run the program to its end: return code, output, and errors but the notice of compiling."""
    with start(*arguments, **options) as process:
        out, err = process.communicate(timeout=240)
    return process.returncode, out or b"", lines_of(err or b"")


def call(capsysbinary: Any, *arguments: str) -> tuple[int, bytes, str]:
    """Run the program in this process: return what `finish` does, much sooner."""
    code = run(arguments)
    out, err = capsysbinary.readouterr()
    return code, out, lines_of(err)


def lines_of(err: bytes) -> str:
    """Return standard error without the notice that kernels are being compiled."""
    lines = err.decode().splitlines(keepends=True)
    return "".join(line for line in lines if "compiling the" not in line)


def one_complaint(err: str) -> str:
    """Return the one line that is all of standard error."""
    assert err.startswith("snstat: error: ")
    assert err.count("\n") == 1
    assert "internal error" not in err
    return err


def obey_permissions() -> None:
    """Take from root, in this process and what it becomes, the right to write anywhere."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def limit_files(size: int) -> Callable[[], None]:
    """Return what limits every file of a process to `size` bytes, as a full disk would."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def limit_memory(size: int) -> Callable[[], None]:
    """Return what limits the data of a process to `size` bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def contents(folder: Path) -> dict[str, bytes]:
    """Return everything in a folder, hidden files too."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
