"""Cells in processes of their own: the same bits as here, whatever a process dies of."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from snstat.sweeps import embedded, processes
from snstat.sweeps.room import Room
from snstat.sweeps.running import needed_by, run_cell
from snstat.sweeps.sweep import asked_for
from snstat.sweeps.threads import run_threads
from snstat.sweeps.worker import READY, Served
from tests.sweeps.grids import SMALL

# Dies at the cell with seed 3: always, or if it is the first to do so.
POISON = """
import os, pathlib, signal
from snstat.sweeps.running import Running

def outcome(self, plain=Running.outcome):
    flag = {flag!r}
    if self.cell.options["seed"] == 3 and not (flag and os.path.exists(flag)):
        flag and pathlib.Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(self)

Running.outcome = outcome
"""
SERVE = "from snstat.sweeps.worker import serve; serve()"


@pytest.fixture(scope="module")
def cells():
    return [*asked_for("relu", {"seed": range(6)}, width=16, **SMALL).cells()]


@pytest.fixture(scope="module")
def known(cells):
    return {cell.key: bits(run_cell(cell)) for cell in cells}


def bits(outcome):
    """Return all of an outcome but its time, so that NaN is equal to itself."""
    return repr(replace(outcome, seconds=0.0))


def poisoned(monkeypatch, flag=""):
    path, serve = processes.PROGRAM.split("; from")
    code = f"{path}\n{POISON.format(flag=flag)}\nfrom{serve}"
    # The path is filled in later, and the braces of the code are its own.
    monkeypatch.setattr(processes, "PROGRAM", code)


def ran(cells, workers=1, room=None):
    pool = processes.Pool(room or Room())
    pool.apart = True
    tasks = iter([cells[:2], cells[2:]])
    outcomes = [outcome for outcome in run_threads(tasks, pool.run, workers) if outcome is not None]
    pool.close()
    assert len(outcomes) == len({outcome.key for outcome in outcomes}) == len(cells)
    return outcomes


def told(outcomes):
    return {outcome.key: bits(outcome) for outcome in outcomes}


def test_processes_return_the_same_bits(cells, known):
    assert told(ran(cells, workers=2)) == known


def test_a_cell_that_kills_its_process_is_named_and_the_others_are_done(monkeypatch, cells, known):
    poisoned(monkeypatch)
    found = ran(cells)
    (dead,) = (outcome for outcome in found if outcome.error)
    assert dead.error == processes.DIED
    assert (dead.key, dead.values["seed"]) == (cells[3].key, 3)
    assert told(found) == known | {dead.key: bits(dead)}


def test_a_process_that_dies_once_costs_no_cell(monkeypatch, tmp_path, cells, known):
    flag = tmp_path / "died"
    poisoned(monkeypatch, str(flag))
    assert told(ran(cells)) == known
    assert flag.exists()


def test_a_pair_of_functions_stays_in_this_process(cells):
    own = np.tanh, lambda x: 1.0 - np.tanh(x) ** 2
    own = [*asked_for(None, {"seed": [0, 1]}, activation=own, width=16, **SMALL).cells()]
    assert [cell.portable for cell in (*cells, *own)] == [True] * 6 + [False] * 2
    found = ran([cells[0], own[0], cells[1], own[1]])
    assert not any(outcome.error for outcome in found)
    assert {one.key for one in found} == {one.key for one in (*cells[:2], *own)}


def test_memory_is_that_of_all_processes(cells, known):
    room = Room()
    room.free = 0.5 * needed_by(cells[0].plan())
    assert all("memory needed is" in outcome.error for outcome in ran(cells, room=room))
    # As much as one of them needs: they take turns.
    room.free = 1.5 * needed_by(cells[0].plan())
    assert told(ran(cells, workers=2, room=room)) == known


@pytest.mark.parametrize("program", ["raise SystemExit(1)", "print('hello')"])
def test_where_python_does_not_start_again_cells_run_here(monkeypatch, cells, known, program):
    monkeypatch.setattr(processes, "PROGRAM", program)
    assert told(ran(cells)) == known


def always_apart(monkeypatch):
    for name, value in (("FIRST_SECONDS", 0.0), ("WORTH_SECONDS", 0.0), ("BUSY", 100.0)):
        monkeypatch.setattr(embedded, name, value)


def test_modules_stay_in_this_process(monkeypatch, cells, known):
    always_apart(monkeypatch)
    monkeypatch.setattr(processes, "Process", None)
    found = [*embedded.run_cells(iter(cells), 2, lambda: 9, may_part=False)]
    assert told(one for one in found if one is not None) == known


def test_a_closed_sweep_leaves_no_process(monkeypatch, cells):
    made = []

    class Watched(processes.Process):
        def __init__(self):
            super().__init__()
            made.append(self)

    monkeypatch.setattr(processes, "Process", Watched)
    always_apart(monkeypatch)
    running = embedded.run_cells(iter(cells), 2, lambda: 9)
    while not made:
        next(running)
    running.close()
    assert all(process._process.returncode is not None for process in made)


def test_a_process_ends_with_the_one_that_started_it(cells):
    """In the middle of a cell too."""
    slow = "import time; from snstat.sweeps import worker\n"
    slow += "worker.run_cell = lambda *_: time.sleep(600)"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{slow}\n{SERVE}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert pickle.load(process.stdout) == READY  # noqa: S301  # our own program
        pickle.dump(cells, process.stdin)
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_a_process_asks_for_memory_and_reports_outcomes(cells, known):
    source, sink = io.BytesIO(), io.BytesIO()
    for sent in (cells[:2], "", "too much"):
        pickle.dump(sent, source)
    source.seek(0)
    served = Served(source, sink)
    served.listen()
    served.run()
    sink.seek(0)
    needed = needed_by(cells[0].plan())
    ready, first, one, second, other = (pickle.load(sink) for _ in range(5))  # noqa: S301
    assert (ready, first, second) == (READY, needed, needed)
    assert bits(one) == known[cells[0].key]
    assert (other.key, other.error) == (cells[1].key, "too much")
    assert sink.read() == b""


@pytest.mark.parametrize(
    ("worth", "busy", "apart"), [(0.0, 100.0, True), (0.0, 0.0, False), (1e9, 100.0, False)]
)
def test_processes_run_what_is_left_where_threads_wait(
    monkeypatch, cells, known, worth, busy, apart
):
    monkeypatch.setattr(embedded, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(embedded, "WORTH_SECONDS", worth)
    monkeypatch.setattr(embedded, "BUSY", busy)
    pools = []

    class Watched(processes.Pool):
        def __init__(self, room):
            super().__init__(room)
            pools.append(self)

    monkeypatch.setattr(embedded, "Pool", Watched)
    found = [one for one in embedded.run_cells(iter(cells), 2, lambda: 9) if one is not None]
    assert told(found) == known
    assert [pool.apart for pool in pools] == [apart]
