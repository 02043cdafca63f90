"""Cells on the workers of a running Dask scheduler.

Tasks hold cells worth about half a second, so that what Dask takes for a task is little beside
them. Only this process writes: workers need no disk in common.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from snstat import __version__
from snstat.engine.simulate import one_blas_thread
from snstat.errors import SnstatError
from snstat.sweeps.cell import Cell, Outcome
from snstat.sweeps.room import Room
from snstat.sweeps.running import run_cell
from snstat.sweeps.theories import Shared
from snstat.sweeps.threads import TICK_SECONDS

# Tasks in flight for each thread of a worker, and the seconds and cells of a task.
WINDOW, TASK_SECONDS, MOST_CELLS = 4, 0.5, 256
CONNECT_SECONDS = 10
LOST = "lost the scheduler; what is done is kept, and the same command goes on"
DIED = "its worker died, several times: it may need more memory than the worker has"
# Of the process of a worker.
_SHARED = Shared()


class LostSchedulerError(SnstatError):
    """The scheduler is gone; cells that were not done are not failed."""


def run_dask(address: str, cells: Iterator[Cell]) -> Iterator[Outcome | None]:
    """Yield the outcome of each of the `cells`, run by the workers of the scheduler at `address`,
    in the order in which they end, and None now and then.

    Raises SnstatError without distributed, without a scheduler there, and for workers with other
    versions of snstat, numpy or numba; LostSchedulerError where the scheduler is gone.
    """
    distributed = load_distributed()
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        words = " ".join(str(error).split())
        raise SnstatError(f"no Dask scheduler answers at {address} ({words})") from None
    try:
        _require_versions(client)
        yield from _Window(distributed, client, cells).outcomes()
    finally:
        client.close(timeout=1)


class _Window:
    """The tasks in flight: as many as keep all workers busy."""

    def __init__(self, distributed: Any, client: Any, cells: Iterator[Cell]) -> None:
        self.distributed, self.client, self.cells = distributed, client, cells
        self.again: deque[Cell] = deque()  # alone in their task
        self.tasks: dict[Any, Sequence[Cell]] = {}
        self.seconds, self.done = 0.0, 0
        self.completed = distributed.as_completed(loop=client.loop)

    def outcomes(self) -> Iterator[Outcome | None]:
        """Yield outcomes until none is left."""
        try:
            while True:
                self._fill()
                if not self.tasks:
                    return
                try:
                    future = self.completed.queue.get(timeout=TICK_SECONDS)
                except Exception:  # noqa: BLE001  # queue.Empty, whatever the queue is
                    if self.client.status != "running":
                        raise LostSchedulerError(LOST) from None
                    yield None
                    continue
                yield from self._outcomes_of(future)
        finally:
            self.client.cancel([*self.tasks])
