"""The engine that is always there: threads of this process, which hand their cells to processes
where they would wait for each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice

from snstat.sweeps.cell import Cell, Outcome
from snstat.sweeps.processes import Pool
from snstat.sweeps.room import Room
from snstat.sweeps.threads import run_threads

# After so many seconds it is seen how busy threads keep the cores. Processes take about a second to
# start, so more than a few have to be left.
FIRST_SECONDS, WORTH_SECONDS = 1.0, 5.0
# The share of the cores that threads which do not wait for each other keep busy.
BUSY = 0.8
# Seconds and cells of what a process runs at once: cells that share their theory stay together.
TASK_SECONDS, MOST_CELLS = 0.25, 64
# The weight of the last cell in the mean time of a cell.
RECENT = 0.1


def run_cells(
    cells: Iterator[Cell], workers: int, left: Callable[[], int], *, may_part: bool = True
) -> Iterator[Outcome | None]:
    """Yield the outcome of each of the `cells`, of which so many run at once, in the order in which
    they end, and None now and then.

    `left` returns how many have not ended. They run in threads of this process, and if they
    `may_part`, in processes where theory, of which one thread runs at a time, would leave cores
    idle. When the generator is closed, no further cell begins, and processes end.
    """
    pool, seconds, done = Pool(Room()), 0.0, 0
    began, used = time.perf_counter(), time.process_time()

    def next_task() -> list[Cell]:
        size = int(TASK_SECONDS / max(seconds, 1e-6)) if pool.apart else 1
        return [*islice(cells, max(1, min(size, MOST_CELLS)))]

    undecided = may_part and workers > 1
    try:
        for outcome in run_threads(iter(next_task, []), pool.run, workers):
            if outcome is not None:
                done += 1
                seconds += max(RECENT, 1.0 / done) * (outcome.seconds - seconds)
            wall = time.perf_counter() - began
            if undecided and done and wall > FIRST_SECONDS:
                undecided = False
                busy = time.process_time() - used > BUSY * wall * workers
                pool.apart = not busy and left() * wall / done > WORTH_SECONDS
            yield outcome
    finally:
        pool.close()
