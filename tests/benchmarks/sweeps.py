"""Measure sweeps: threads, overhead, resumption, theory alone. `python -m tests.benchmarks.sweeps`.

Ratios are medians of pairs that alternate, because other programs run on the machine too.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from snstat.sweeps.cell import Outcome
from snstat.sweeps.running import run_cell
from snstat.sweeps.sweep import asked_for
from snstat.sweeps.theories import Shared
from snstat.sweeps.threads import run_threads

PAIRS = 5
# Cells of about 20 ms, most of it in kernels.
CELL: dict[str, Any] = {"depth": 16, "width": 512, "batch": 64, "trials": 4}


def seconds(run: Callable[[], Any]) -> float:
    """Return how long `run` takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def on(threads: int, **axes: Any) -> Callable[[], None]:
    """Return what runs a sweep in memory on so many threads."""

    def run() -> None:
        asked = asked_for("relu", axes, threads=threads, **CELL)
        with asked.opened(None) as store:
            asked.run(store)

    return run


def speed_up(**axes: Any) -> tuple[float, float]:
    """Return how much faster two threads are than one, and milliseconds of a cell on one."""
    pairs = [(seconds(on(1, **axes)), seconds(on(2, **axes))) for _ in range(PAIRS)]
    cells = len(asked_for("relu", axes, **CELL).grid)
    one = statistics.median(alone for alone, _ in pairs)
    return statistics.median(alone / both for alone, both in pairs), 1e3 * one / cells


def overhead() -> float:
    """Return the milliseconds that engine and file add to a cell."""
    axes, options = {"seed": list(range(200))}, {"depth": 16, "width": 64, "trials": 1}
    asked = asked_for("relu", axes, threads=1, **options)
    found = []
    shared = Shared()
    ready = {cell.key: run_cell(cell, shared) for cell in asked.cells()}

    def engine(cells: Any) -> Any:
        return run_threads(cells, lambda cell: ready[cell.key], 1)

    for _ in range(PAIRS):
        with tempfile.TemporaryDirectory() as folder, asked.opened(f"{folder}/o.csv") as store:
            began = time.perf_counter()
            asked.run(store, engine=engine)
            found.append((time.perf_counter() - began) / len(ready))
    return 1e3 * statistics.median(found)


def resumption(cells: int) -> float:
    """Return the seconds until the first new cell of a sweep of which so many are done."""
    axes = {"seed": list(range(cells))}
    asked = asked_for("relu", axes, depth=3, width=4, batch=2, trials=1)
    first = run_cell(next(asked.cells()))
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/o.csv"
        with asked.opened(path) as store:
            store.write(
                [Outcome(cell.key, first.values, first.rows, "stable") for cell in asked.cells()]
            )
        size = Path(path).stat().st_size / 2**20
        print(f"  {size:.0f} MiB of CSV")
        more = asked_for(
            "relu", {"seed": list(range(cells + 1))}, depth=3, width=4, batch=2, trials=1
        )
        began = time.perf_counter()
        at: list[float] = []

        def engine(cells: Any) -> Any:
            next(cells)
            at.append(time.perf_counter() - began)
            return iter(())

        with more.opened(path) as store:
            more.run(store, engine=engine)
    return at[0]


def theory(cells: int, depth: int) -> float:
    """Return cells of theory alone in a second."""
    axes = {"weight_gain": {"from": 0.8, "to": 2.0, "steps": cells}}
    asked = asked_for("tanh", axes, theory=True, depth=depth, layers="last")

    def run() -> None:
        with asked.opened(None) as store:
            asked.run(store)

    return cells / seconds(run)


if __name__ == "__main__":
    on(1, seed=[0, 1])()
    wanted = sys.argv[1:] or ["threads", "overhead", "resumption", "theory"]
    if "threads" in wanted:
        ratio, cell = speed_up(seed=list(range(48)))
        print(f"two threads over one, 48 seeds of {cell:.1f} ms: x{ratio:.2f}")
        ratio, cell = speed_up(weight_gain=[1.0 + 0.01 * step for step in range(24)])
        print(f"two threads over one, 24 gains of {cell:.1f} ms: x{ratio:.2f}")
    if "overhead" in wanted:
        print(f"overhead of engine and file: {overhead():.2f} ms a cell of 17 rows")
    if "resumption" in wanted:
        print(f"to the first new cell after 10,000: {resumption(10_000):.2f} s")
    if "theory" in wanted:
        for depth in (8, 64):
            print(f"theory alone, depth {depth}: {theory(200, depth):.0f} cells a second")
