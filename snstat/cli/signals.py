"""What signals and streams that break do to the program: no half file, no traceback, its code."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType

from snstat.disk.atomic import remove_unfinished

# Sent by kill, by job schedulers, and when a terminal is closed.
ENDING = ("SIGTERM", "SIGHUP")


def end_cleanly() -> None:
    """Let a signal that ends the program take the temporary files with it.

    One that the caller of the program ignores (nohup) stays ignored.
    """
    for name in ENDING:
        number = getattr(signal, name, None)  # SIGHUP is not everywhere
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    """Clean up, then die by the signal, as who sent it expects."""
    remove_unfinished()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def discard_stdout() -> None:
    """Send what is still to be flushed to standard output nowhere: it cannot take any more."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
