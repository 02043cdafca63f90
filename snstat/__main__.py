"""`python -m snstat` is the same program as `snstat`."""

from __future__ import annotations

import _thread
import sys
import time
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

INTERRUPTED = 130  # as snstat.cli has it, which may not be there yet


def main() -> NoReturn:
    """Run the program and exit: an interrupt during the first imports is no traceback either."""
    sys.unraisablehook = interrupt_again
    try:
        from snstat.cli import main as program

        program()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def interrupt_again(lost: UnraisableHookArgs) -> None:
    """Say again, a moment later, an interrupt that Python had nobody to tell: it came while some
    callback ran, such as those of imports."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        _thread.start_new_thread(_interrupt_soon, ())
    else:
        sys.__unraisablehook__(lost)


def _interrupt_soon() -> None:
    time.sleep(0.01)
    _thread.interrupt_main()


if __name__ == "__main__":
    main()
