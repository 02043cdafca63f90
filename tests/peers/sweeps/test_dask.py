"""Sweeps on Dask: the same bits as on threads, whatever dies meanwhile."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

import snstat
from snstat.errors import SnstatError
from snstat.sweeps.sweep import asked_for
from tests.robustness.processes import finish, start
from tests.sweeps.grids import AXES, SMALL

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

# Long enough to be killed meanwhile.
LONGER = {"depth": 12, "width": 128, "batch": 32, "trials": 4}
POISON = """
import os, signal
from snstat.sweeps.running import Running

def outcome(self, plain=Running.outcome):
    if self.cell.options["seed"] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(self)

Running.outcome = outcome
"""


def cluster(workers, threads, **options):
    return distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=threads,
        processes=True,
        dashboard_address=None,
        memory_limit=0,
        **options,
    )


@pytest.fixture(scope="module")
def one_by_two():
    with cluster(1, 2) as running:
        yield running.scheduler_address


@pytest.fixture(scope="module")
def two_by_one():
    with cluster(2, 1) as running:
        yield running


def test_workers_and_threads_give_the_same_bits(tmp_path, one_by_two, two_by_one):
    files = []
    for name, dask in (
        ("threads", None),
        ("1x2", one_by_two),
        ("2x1", two_by_one.scheduler_address),
    ):
        path = tmp_path / f"{name}.csv"
        snstat.sweep("relu", AXES, output=path, dask=dask, **SMALL)
        files.append(path.read_bytes())
    assert files[0] == files[1] == files[2]


def test_a_worker_that_is_killed_costs_nothing(tmp_path, two_by_one):
    path, other = tmp_path / "dask.csv", tmp_path / "threads.csv"
    axes = {"seed": range(120)}
    snstat.sweep("relu", axes, output=other, layers="last", **LONGER)
    killed = []

    def progress(at):
        if at.done > 20 and not killed:
            worker = next(iter(two_by_one.workers.values()))
            killed.append(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)

    found = snstat.sweep(
        "relu",
        axes,
        output=path,
        layers="last",
        dask=two_by_one.scheduler_address,
        progress=progress,
        **LONGER,
    )
    assert killed
    assert not found.failed.any()
    assert path.read_bytes() == other.read_bytes()


def test_a_cell_that_kills_its_worker_is_named_and_the_others_are_done(tmp_path):
    preload = tmp_path / "poison.py"
    preload.write_text(POISON)
    # A death is enough for the scheduler to give a task up.
    settings = {"distributed.scheduler.allowed-failures": 0}
    with dask.config.set(settings), cluster(2, 1, preload=[str(preload)]) as running:
        found = snstat.sweep(
            "relu", {"seed": range(8)}, dask=running.scheduler_address, layers="last", **SMALL
        )
    assert found["seed"][found.failed].tolist() == [3.0]
    assert "its worker died" in found["error"][found.failed][0]
    assert len(found) == 8


def served(*arguments):
    """Start a process of Dask's command line."""
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_scheduler_that_is_killed_fails_no_cell(tmp_path):
    """The command ends with 1 and goes on with another scheduler, or with threads."""
    port, path = "18786", tmp_path / "out.csv"
    address = f"tcp://127.0.0.1:{port}"
    command = ("sweep", "-a", "relu", "-d", "12", "-w", "128", "-b", "32", "--seeds", "150")
    command += ("--layers", "last", "-q", "-o", str(path))
    scheduler = served("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
    worker = served("worker", address, "--nworkers", "1", "--nthreads", "2", "--no-dashboard")
    try:
        with distributed.Client(address, timeout=60) as client:
            client.wait_for_workers(1, timeout=60)
        with start(*command, "--dask", address) as process:
            deadline = time.monotonic() + 120
            while not path.exists() or path.read_bytes().count(b"\n") < 20:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            scheduler.kill()
            _, err = process.communicate(timeout=120)
    finally:
        for other in (worker, scheduler):
            other.kill()
            other.wait()
    assert process.returncode == 1, err
    assert "lost the scheduler" in err.decode()
    assert b"died" not in path.read_bytes()
    before = path.read_bytes().count(b"\n")
    assert 20 <= before <= 151
    assert finish(*command)[0] == 0
    other = tmp_path / "threads.csv"
    assert finish(*command[:-1], str(other))[0] == 0
    assert path.read_bytes() == other.read_bytes()


def test_no_scheduler_and_other_versions_are_one_line(monkeypatch, two_by_one):
    monkeypatch.setattr("snstat.sweeps.dask_engine.CONNECT_SECONDS", 1)
    with pytest.raises(SnstatError, match="no Dask scheduler answers at"):
        snstat.sweep("relu", AXES, dask="tcp://127.0.0.1:9", **SMALL)
    monkeypatch.setattr("snstat.sweeps.dask_engine.__version__", "9.9")
    asked = asked_for("relu", AXES, dask=two_by_one.scheduler_address, **SMALL)
    own = re.escape(snstat.__version__)
    with asked.opened(None) as store, pytest.raises(SnstatError, match=rf"snstat {own}.*this is 9"):
        asked.run(store)
