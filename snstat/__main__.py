"""`python -m snstat` is the same program as `snstat`."""

from __future__ import annotations

import _thread
import signal
import sys
import time
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs
    from types import FrameType

INTERRUPTED = 130  # the value in snstat.cli, which may not be imported yet


class Interrupts:
    """Whether an interrupt (Ctrl-C) has arrived."""

    seen = False


def main() -> NoReturn:
    """Run the program and exit. An interrupt prints no traceback, even during the first imports."""
    try:
        sys.unraisablehook = report_unraisable
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _interrupt)
        from snstat.cli import main as program

        program()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except RuntimeError as error:
        # What Python before 3.12 makes of an interrupt while a class is created.
        if isinstance(error.__cause__, KeyboardInterrupt):
            sys.exit(INTERRUPTED)
        raise


def report_unraisable(lost: UnraisableHookArgs) -> None:
    """Handle an exception that Python cannot raise, because a callback or a finaliser raised it.

    A KeyboardInterrupt is raised again a moment later, in the main thread. After an interrupt,
    errors of finalisers are ignored: their objects may be half built.
    """
    if issubclass(lost.exc_type, KeyboardInterrupt):
        _thread.start_new_thread(_interrupt_soon, ())
    elif not Interrupts.seen:
        sys.__unraisablehook__(lost)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    Interrupts.seen = True
    raise KeyboardInterrupt


def _interrupt_soon() -> None:
    time.sleep(0.01)
    _thread.interrupt_main()


if __name__ == "__main__":
    main()
