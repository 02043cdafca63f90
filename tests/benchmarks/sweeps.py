"""Measure sweeps, theory alone and maps: `sweeps.py PAGE`.

Ratios are medians of five rounds, in which the programs alternate. Overhead is the time of the
sweep that no cell was running, by cell or as a share. On Dask that is with a scheduler and a worker
of one thread on this machine, and it includes the first tasks, which hold single cells. Theory
alone keeps the last layer.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import snstat
from snstat.sweeps import embedded
from snstat.sweeps.cell import Outcome
from snstat.sweeps.running import run_cell
from snstat.sweeps.sweep import asked_for
from snstat.sweeps.theories import Shared
from snstat.sweeps.threads import run_threads
from tests.benchmarks.side_by_side import ROUNDS, alternating
from tests.benchmarks.table import MISSED, NONE, head, line, middle, number, ratio, seconds

# Cells of about 20 ms, most of it in kernels.
CELL = {"depth": 16, "width": 512, "batch": 64, "trials": 4}
SMALL = {"depth": 3, "width": 4, "batch": 2, "trials": 1}
CELLS_OF_THEORY, MILLION, SIDE, GAINS = 200, 1_000_000, 1000, 300
MAPPED = "relu", "tanh", "gelu"


def on(threads, dask=None, **axes):
    """Return what runs a sweep in memory on so many threads, or on Dask."""

    def run():
        asked = asked_for("relu", axes, threads=threads, dask=dask, **CELL)
        with asked.opened(None) as store:
            asked.run(store)

    return run


def of_threads():
    """Yield the rows of two threads beside one: cells that share their theory, and others."""
    for words, axes in (
        ("48 seeds", {"seed": range(48)}),
        ("24 gains", {"weight_gain": [1.0 + 0.01 * step for step in range(24)]}),
    ):
        both, one = alternating(on(2, **axes), on(1, **axes))
        count = len(asked_for("relu", axes, **CELL).grid)
        cell = seconds(statistics.median(one) / count)
        missed = MISSED * (middle(one, both) < 1.8)
        name = f"two threads beside one, {words}, cells of {cell}"
        own, alone = (seconds(statistics.median(times)) for times in (both, one))
        yield line(name, own, alone, ratio(one, both), f"≥ 1.8{missed}")


def of_processes():
    """Return the row of two processes beside one thread, of a sweep that is long enough."""
    axes = {"weight_gain": [1.0 + 0.001 * step for step in range(GAINS)]}
    first, embedded.FIRST_SECONDS = embedded.FIRST_SECONDS, 0.0
    both, one = alternating(on(2, **axes), on(1, **axes))
    embedded.FIRST_SECONDS = first
    missed = MISSED * (middle(one, both) < 1.8)
    own, alone = (seconds(statistics.median(times)) for times in (both, one))
    name = f"two processes beside one thread, {GAINS} gains, their start included"
    return line(name, own, alone, ratio(one, both), f"≥ 1.8{missed}")


def of_engine():
    """Return the row of what engine and file add to a cell of 17 rows."""
    axes, options = {"seed": range(200)}, {"depth": 16, "width": 64, "trials": 1}
    asked, shared, found = asked_for("relu", axes, threads=1, **options), Shared(), []
    ready = {cell.key: run_cell(cell, shared) for cell in asked.cells()}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder, asked.opened(f"{folder}/o.csv") as store:
            began = time.perf_counter()
            asked.run(store, engine=lambda cells: run_threads(cells, lambda c: [ready[c.key]], 1))
            found.append((time.perf_counter() - began) / len(ready))
    own = statistics.median(found)
    words = "overhead of a cell, threads and CSV"
    return line(words, seconds(own), NONE, NONE, f"≤ 1 ms{MISSED * (own > 1e-3)}")


def of_dask():
    """Return the row of the overhead on Dask."""
    from distributed import LocalCluster

    from snstat.sweeps.dask_engine import run_dask

    asked, found = asked_for("relu", {"seed": range(400)}, **CELL), []
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        on(1, dask=cluster.scheduler_address, seed=range(8))()
        for _ in range(ROUNDS):
            began = time.perf_counter()
            outcomes = [*filter(None, run_dask(cluster.scheduler_address, asked.cells()))]
            wall = time.perf_counter() - began
            found.append(1.0 - sum(outcome.seconds for outcome in outcomes) / wall)
    own = statistics.median(found)
    words = "overhead on Dask, 400 cells, share of the time"
    return line(words, f"{own:.2%}", NONE, NONE, f"≤ 1 %{MISSED * (own > 0.01)}")


def of_resumption(cells):
    """Return the row of the time to the first new cell of a sweep of which so many are done."""
    asked, more = (asked_for("relu", {"seed": range(n)}, **SMALL) for n in (cells, cells + 1))
    first, began, at = run_cell(next(asked.cells())), [0.0], []

    def engine(cells):
        next(cells)
        at.append(time.perf_counter() - began[0])
        return iter(())

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "o.csv"
        with asked.opened(path) as store:
            store.write([Outcome(c.key, first.values, first.rows, "stable") for c in asked.cells()])
        done = path.read_bytes()
        for _ in range(ROUNDS):
            path.write_bytes(done)
            began[0] = time.perf_counter()
            with more.opened(path) as store:
                more.run(store, engine=engine)
    own = statistics.median(at)
    words = f"{cells:,} cells are there: to the first new one"
    return line(words, seconds(own), NONE, NONE, f"≤ 2 s{MISSED * (own > 2.0)}")


def of_theory(depth):
    """Return the row of a million cells of theory alone, from the time of a few."""
    axes = {"weight_gain": {"from": 0.8, "to": 2.0, "steps": CELLS_OF_THEORY}}
    asked = asked_for("tanh", axes, theory=True, depth=depth, layers="last", threads=1)

    def run():
        with asked.opened(None) as store:
            asked.run(store)

    (times,) = alternating(run)
    cell = statistics.median(times) / CELLS_OF_THEORY
    words = f"theory alone, {depth} layers: a cell; {MILLION:,} of them"
    reach = f"≤ 60 s{MISSED * (cell * MILLION > 60)}"
    return line(words, seconds(cell), f"{number(cell * MILLION)} s", NONE, reach)


def of_maps(name):
    """Return the row of a million fixed points, on one core, beside the time of a single one."""
    gains, biases = np.linspace(0.5, 3.0, SIDE), np.linspace(0.0, 1.0, SIDE)
    every, single = alternating(
        lambda: snstat.phase(name, weight_gain=gains, bias_std=biases),
        lambda: snstat.fixed_points(name, weight_gain=1.05, bias_std=0.3),
        clock=time.process_time,
    )
    own, alone = statistics.median(every), statistics.median(single)
    words = f"map of {MILLION:,} fixed points, {name}; one by `fixed_points`"
    return line(words, seconds(own), seconds(alone), NONE, f"≤ 1 s{MISSED * (own > 1.0)}")


def main(page):
    columns = ("what", "time", "beside", "ratio", "target")
    parts = ["# Benchmarks of sweeps and maps", "", "Written by `make bench`.", "", *head(columns)]
    parts += [*of_threads(), of_processes(), of_engine()]
    parts += [of_dask()] if find_spec("distributed") else []
    parts += [of_resumption(10_000), *(of_theory(depth) for depth in (8, 64))]
    parts += [*(of_maps(name) for name in MAPPED), ""]
    parts += [__doc__.partition("\n\n")[2].strip(), ""]
    page.write_text("\n".join(parts), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
