"""One writer for an output: a lock on a file beside it, which ends with the process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from snstat.disk.atomic import writing_error
from snstat.errors import OutputFileError

try:
    import fcntl
except ImportError:  # not on this system: two writers are not told apart
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold the lock of the output at `path` within the block.

    Raises OutputFileError if another process holds it. The system frees the lock when the process
    ends, however it ends.
    """
    real = Path(os.path.realpath(path))
    place = real.with_name(f".{real.name[:64]}.lock")
    while True:
        try:
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        except OSError as error:
            raise writing_error(path, error) from None
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            reason = "another sweep writes to it"
            raise OutputFileError(path, reason, "wait for it, or use another -o") from None
        except OSError:  # a file system without locks
            pass
        # Another process may have removed the file before it was locked here.
        with contextlib.suppress(OSError):
            if place.stat().st_ino == os.fstat(descriptor).st_ino:
                break
        os.close(descriptor)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            place.unlink()
        os.close(descriptor)
