"""Cells on the workers of a running Dask scheduler.

Tasks hold cells worth about half a second, so that what Dask takes for a task is little beside
them. Only this process writes: workers need no disk in common.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import islice
from typing import Any

from snstat import __version__
from snstat.engine.simulate import one_blas_thread
from snstat.errors import SnstatError, printable
from snstat.sweeps.cell import Cell, Outcome
from snstat.sweeps.room import Room
from snstat.sweeps.running import MOST_OF_AN_ERROR, run_cell
from snstat.sweeps.subject import MODULE
from snstat.sweeps.theories import Shared
from snstat.sweeps.threads import TICK_SECONDS

# Tasks in flight for each thread of a worker, and the seconds and cells of a task.
WINDOW, TASK_SECONDS, MOST_CELLS = 4, 0.5, 256
CONNECT_SECONDS = 10
PAIR = "an activation that is a pair of functions is no name that Dask workers know; leave dask out"
LOST = "lost the scheduler; what is done is kept, and the same command goes on"
DIED = "its worker died, several times: it may need more memory than the worker has"
# Seconds after which the scheduler is asked again for its workers.
ASK_SECONDS = 2.0
# Of the process of a worker.
_SHARED, _MODULES = Shared(), threading.Lock()


class LostSchedulerError(SnstatError):
    """The scheduler is gone; cells that were not done are not failed."""


def run_dask(address: str, cells: Iterator[Cell]) -> Iterator[Outcome | None]:
    """Yield the outcome of each of the `cells`, run by the workers of the scheduler at `address`,
    in the order in which they end, and None now and then.

    Raises SnstatError without distributed, without a scheduler there, and for workers with other
    versions of snstat, numpy or numba; LostSchedulerError where the scheduler is gone.
    """
    distributed = load_distributed()
    with _without_log():
        try:
            client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            words = " ".join(str(error).split())
            raise SnstatError(f"no Dask scheduler answers at {address} ({words})") from None
        try:
            _require_versions(client)
            yield from _Window(client, cells).outcomes()
        finally:
            client.close(timeout=1)


@contextlib.contextmanager
def _without_log() -> Iterator[None]:
    """Silence the loggers of distributed, each of which has a level of its own. What happens to
    workers is in the outcomes, and the scheduler's end is an error of one line."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    levels = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


class _Window:
    """The tasks in flight: as many as keep all workers busy."""

    def __init__(self, client: Any, cells: Iterator[Cell]) -> None:
        self.client, self.cells = client, cells
        # Cells of tasks whose worker died: each runs by itself when all others are done, because a
        # death counts for whatever else the worker was about to do.
        self.suspects: deque[Cell] = deque()
        self.alone = False
        self.tasks: dict[Any, Sequence[Cell]] = {}
        self.results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.seconds, self.done = 0.0, 0
        self.threads, self.asked = 1, -ASK_SECONDS

    def outcomes(self) -> Iterator[Outcome | None]:
        """Yield outcomes until none is left."""
        try:
            while True:
                self._fill()
                if not self.tasks:
                    return
                try:
                    future = self.results.get(timeout=TICK_SECONDS)
                except queue.Empty:
                    if self.client.status != "running":
                        raise LostSchedulerError(LOST) from None
                    yield None
                    continue
                yield from self._outcomes_of(future)
        except OSError:  # of a connection
            raise LostSchedulerError(LOST) from None
        finally:
            if self.tasks and self.client.status == "running":
                self.client.cancel([*self.tasks])

    def _fill(self) -> None:
        """Submit tasks until the window is full, or no cell is left."""
        while len(self.tasks) < WINDOW * self._threads():
            chosen = [*islice(self.cells, self._size())]
            if not chosen:
                break
            self._submit(chosen)
        if not self.tasks and self.suspects:
            self.alone = True
            self._submit([self.suspects.popleft()])

    def _submit(self, chosen: Sequence[Cell]) -> None:
        for cell in chosen:
            cell.key  # noqa: B018  # found here: workers may not have the files
            if not cell.portable:
                raise SnstatError(PAIR)
        # Keys of their own: a scheduler that is shared keeps what others have run.
        future = self.client.submit(run_cells, chosen, pure=False, retries=0)
        self.tasks[future] = chosen
        future.add_done_callback(self.results.put)

    def _threads(self) -> int:
        """Return how many threads the workers have; the scheduler is asked now and then."""
        if time.monotonic() - self.asked > ASK_SECONDS:
            self.threads = sum(self.client.nthreads().values()) or 1
            self.asked = time.monotonic()
        return self.threads

    def _size(self) -> int:
        """Return how many cells take about `TASK_SECONDS`; one, until some have ended."""
        if not self.done:
            return 1
        mean = max(self.seconds / self.done, 1e-6)
        return max(1, min(int(TASK_SECONDS / mean), MOST_CELLS))

    def _outcomes_of(self, future: Any) -> Iterator[Outcome]:
        """Yield the outcomes of a task that has ended, whatever way."""
        cells = self.tasks.pop(future)
        if future.status in ("cancelled", "lost"):
            raise LostSchedulerError(LOST)
        if future.status == "finished":
            for outcome in future.result():
                self.seconds, self.done = self.seconds + outcome.seconds, self.done + 1
                yield outcome
            return
        # Its worker died, or what it returned could not be sent.
        if not self.alone:
            self.suspects.extend(cells)
            return
        error = future.exception()
        died = type(error).__name__ == "KilledWorker"
        words = DIED if died else printable(f"{type(error).__name__}: {error}", MOST_OF_AN_ERROR)
        yield Outcome(cells[0].key, cells[0].values(), error=words)


def run_cells(cells: Sequence[Cell]) -> list[Outcome]:
    """Run some cells in a worker."""
    room = Room()
    # Frameworks have random generators and threads of their own: one module at a time.
    alone = _MODULES if cells[0].subject.kind == MODULE else contextlib.nullcontext()
    with one_blas_thread(), alone:
        return [run_cell(cell, _SHARED, room) for cell in cells]


def versions() -> dict[str, str]:
    """Return the versions of what results depend on, here."""
    return {"snstat": __version__, "numpy": version("numpy"), "numba": version("numba")}


def _require_versions(client: Any) -> None:
    """Raise SnstatError for a worker with other versions, on which results would differ."""
    own, found = versions(), _versions_of_workers(client)
    if not found:
        raise SnstatError("the Dask scheduler has no workers; start some")
    for worker, theirs in found.items():
        if not isinstance(theirs, dict):
            raise SnstatError(f"the Dask worker {worker} cannot run snstat ({theirs})")
        for name, mine in own.items():
            if theirs.get(name) != mine:
                raise SnstatError(
                    f"the Dask worker {worker} has {name} {theirs.get(name)}, and this is"
                    f" {mine}; install the same there"
                )


def _versions_of_workers(client: Any) -> dict[str, Any]:
    """Return what `versions` says on each worker, an error where it says nothing. Workers that
    start with this command, or again after a death, have a moment to come."""
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            found: dict[str, Any] = client.run(versions, on_error="return")
        except Exception as error:  # noqa: BLE001  # whatever a cluster raises
            raise SnstatError(f"the Dask workers do not answer ({error})") from None
        lost = [theirs for theirs in found.values() if isinstance(theirs, OSError)]
        if (found and not lost) or time.monotonic() > deadline:
            return found
        time.sleep(TICK_SECONDS)


def load_distributed() -> Any:
    """Return distributed. Raises SnstatError without it."""
    try:
        import distributed
    except ImportError:
        raise SnstatError("--dask needs distributed: pip install 'snstat[dask]'") from None
    return distributed
