"""Processes for cells that would wait for each other as threads of one process: theory and verdicts
are Python, of which one thread of a process runs at a time.

Each thread of this process has a process of its own, which runs one cell at a time. Memory is taken
here, so all cells together have no more of it than is free.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

from snstat.errors import SnstatError
from snstat.sweeps.cell import Cell, Outcome
from snstat.sweeps.room import Room
from snstat.sweeps.running import run_cell
from snstat.sweeps.theories import Shared
from snstat.sweeps.worker import READY

DIED = "its process died, twice: it may need more memory than the machine has"
# What reading from a process that has died, or writing to it, raises.
LOST = EOFError, OSError, pickle.UnpicklingError
# What a process runs. It finds snstat, and what cells name, where this one does.
PROGRAM = "import sys; sys.path[:] = {path!r}; from snstat.sweeps.worker import serve; serve()"


class Pool:
    """What runs cells for threads: this process, or where they are `apart`, a process for each
    thread. A cell whose process dies runs again in another one, and fails at the second death."""

    def __init__(self, room: Room) -> None:
        self.apart = False
        self._room, self._shared, self._own = room, Shared(), threading.local()
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._running: set[Process] = set()
        # Whether a process was ever ready, or none will be.
        self._served, self._alone = False, False

    def run(self, cells: Sequence[Cell]) -> Iterator[Outcome]:
        """Run some cells, and yield their outcomes."""
        left, died = [*cells], None
        while left and not self._closed.is_set():
            there = [*takewhile(lambda cell: cell.portable, left)] if self.apart else []
            process = self._process() if there else None
            if process is None:
                yield run_cell(left.pop(0), self._shared, self._room)
                continue
            try:
                for outcome in process.run(there, self._room):
                    yield outcome
                    del left[0]
            except LOST:
                self._end(process)
                if left[0] is died and not self._closed.is_set():
                    yield Outcome(died.key, died.values(), error=DIED)
                    del left[0]
                died = left[0] if left else None

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            self._closed.set()
        for process in [*self._running]:
            self._end(process)

    def _process(self) -> Process | None:
        """Return the process of this thread, a new one where it has none; None where Python does
        not start again, as in a program that holds it."""
        found: Process | None = getattr(self._own, "process", None)
        if found in self._running:
            return found
        with self._lock:
            if self._alone or self._closed.is_set():
                return None
            try:
                found = Process()
            except (OSError, ValueError):
                self._alone = True
                return None
            self._running.add(found)
        if not found.ready():
            self._end(found)
            self._alone = not self._served
            return None
        self._own.process, self._served = found, True
        return found

    def _end(self, process: Process) -> None:
        self._running.discard(process)
        process.end()


class Process:
    """A process that runs cells: see `worker.serve`."""

    def __init__(self) -> None:
        # A group of its own: an interrupt from the keyboard is for the process that writes.
        self._process = subprocess.Popen(  # noqa: S603  # this Python, with our own program
            [sys.executable, "-c", PROGRAM.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    def ready(self) -> bool:
        """Return, once that is known, whether it can run cells."""
        try:
            return bool(self._receive() == READY)
        except LOST:
            return False

    def run(self, cells: Sequence[Cell], room: Room) -> Iterator[Outcome]:
        """Yield the outcomes of the `cells`, in their order, with memory of `room`.

        Raises EOFError or OSError where the process has died.
        """
        self._send([*cells])
        for _ in range(len(cells)):
            with contextlib.ExitStack() as held:
                while not isinstance(found := self._receive(), Outcome):
                    self._send(_taken(held, room, found))
            yield found

    def end(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]  # both are pipes

    def _send(self, what: Any) -> None:
        assert self._process.stdin is not None  # noqa: S101  # for the type checker
        pickle.dump(what, self._process.stdin)
        self._process.stdin.flush()

    def _receive(self) -> Any:
        assert self._process.stdout is not None  # noqa: S101  # for the type checker
        return pickle.load(self._process.stdout)  # noqa: S301  # our own process


def _taken(held: contextlib.ExitStack, room: Room, needed: float) -> str:
    """Take the memory that a cell needs; return why not if it is more than there will be."""
    try:
        held.enter_context(room.take(needed))
    except SnstatError as error:
        return str(error)
    return ""
