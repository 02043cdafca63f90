"""The engine that is always there: threads of this process, or processes where threads would wait
for each other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain, islice

from snstat.sweeps.cell import Cell, Outcome
from snstat.sweeps.processes import run_processes
from snstat.sweeps.room import Room
from snstat.sweeps.running import run_cell
from snstat.sweeps.theories import Shared
from snstat.sweeps.threads import run_threads

# Cells run here for so many seconds, to see how busy they keep the cores. Processes take about a
# second to start, so more than a few have to be left.
FIRST_SECONDS, WORTH_SECONDS = 1.0, 5.0
# The share of the cores that threads which do not wait for each other keep busy.
BUSY = 0.8


def run_cells(cells: Iterator[Cell], workers: int) -> Iterator[Outcome | None]:
    """Yield the outcome of each of the `cells`, of which so many run at once, in the order in which
    they end, and None now and then."""
    shared, room, done = Shared(), Room(), 0
    began, used = time.perf_counter(), time.process_time()
    for outcome in run_here(_until(cells, began + FIRST_SECONDS), workers, shared, room):
        done += outcome is not None
        yield outcome
    wall = time.perf_counter() - began
    each = wall * workers / max(done, 1)
    enough = int(WORTH_SECONDS * workers / each) + 1
    rest = [*islice(cells, enough)]
    left = chain(rest, cells)
    if len(rest) < enough or time.process_time() - used > BUSY * wall * workers:
        yield from run_here(left, workers, shared, room)
    else:
        yield from run_processes(left, workers, room, each)


def run_here(
    cells: Iterator[Cell], workers: int, shared: Shared, room: Room
) -> Iterator[Outcome | None]:
    """Run the cells in threads of this process, of which each runs one cell at a time."""
    return run_threads(cells, lambda cell: [run_cell(cell, shared, room)], workers)


def _until(cells: Iterator[Cell], end: float) -> Iterator[Cell]:
    """Yield cells until some time."""
    while time.perf_counter() < end and (cell := next(cells, None)) is not None:
        yield cell
