"""A process that runs cells for another one: see `processes`."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import sys
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

from snstat.engine.simulate import one_blas_thread
from snstat.errors import SnstatError
from snstat.sweeps.running import run_cell
from snstat.sweeps.theories import Shared

# The first thing that is sent.
READY = "ready"


class Served:
    """The streams of this process as it serves: what comes in by `source`, and what goes out by
    `sink`."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source, self._sink = source, sink
        self._received: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run(self) -> None:
        """Run lists of cells until the last one."""
        shared = Shared()
        self._send(READY)
        with one_blas_thread():
            while (cells := self._received.get()) is not None:
                for cell in cells:
                    self._send(run_cell(cell, shared, self))

    def listen(self) -> None:
        """Receive, also while a cell runs, until the other process closes its end."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._received.put(pickle.load(self._source))  # noqa: S301  # from who started this
        self._received.put(None)

    @contextlib.contextmanager
    def take(self, needed: float) -> Iterator[None]:
        """Have the other process take memory, as `Room` does; it gives it back with the outcome."""
        self._send(needed)
        refused: str = self._received.get()
        if refused:
            raise SnstatError(refused)
        yield

    def _send(self, what: Any) -> None:
        pickle.dump(what, self._sink)
        self._sink.flush()


def serve() -> None:
    """Run the cells that come in by standard input, and write their outcomes to standard output.

    The process ends with its standard input, in the middle of a cell too: whoever started it is
    gone.
    """
    served = Served(sys.stdin.buffer, os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # what anything prints is no outcome

    def listen() -> None:
        served.listen()
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    with contextlib.suppress(OSError):
        served.run()
