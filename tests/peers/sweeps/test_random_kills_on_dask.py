"""Sweeps on Dask whose worker, scheduler or own process is killed at random moments.

`make test-kills` kills them 50 times; here it is a few.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.robustness.processes import finish, start

distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

KILLS = int(os.environ.get("SNSTAT_KILLS", "3"))
SWEEP = ("sweep", "-a", "relu", "-d", "12", "-w", "128", "-b", "32", "--seeds", "300")
SWEEP += ("--layers", "last", "-q", "-o")
# Longer than the scheduler takes to give up what is lost, on a busy machine.
PATIENCE = 240


@contextlib.contextmanager
def cluster():
    """Run a scheduler and a worker with its nanny; yield its address and the processes by name."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = f"tcp://127.0.0.1:{port}"
    commands = {
        "scheduler": ("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"),
        "worker": ("worker", address, "--nworkers", "1", "--nthreads", "2", "--no-dashboard"),
    }
    running = {
        name: subprocess.Popen(
            [sys.executable, "-m", "dask", *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name, command in commands.items()
    }
    try:
        with distributed.Client(address, timeout=60) as client:
            client.wait_for_workers(1, timeout=60)
            (pid,) = client.run(os.getpid).values()
        yield address, {"scheduler": running["scheduler"].pid, "worker": pid}
    finally:
        for process in reversed(running.values()):
            process.kill()
            process.wait()


def test_what_dies_at_random_moments_costs_no_cell(tmp_path):
    path, whole = tmp_path / "out.csv", tmp_path / "whole.csv"
    began = time.monotonic()
    assert finish(*SWEEP, str(whole))[0] == 0
    seconds, expected = time.monotonic() - began, whole.read_bytes()
    generator = random.Random(KILLS)
    for _ in range(KILLS):
        victim = generator.choice(("client", "worker", "scheduler"))
        with cluster() as (address, pids), start(*SWEEP, str(path), "--dask", address) as process:
            time.sleep(generator.uniform(0.0, 2 * seconds))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pids.get(victim, process.pid), signal.SIGKILL)
            _, err = process.communicate(timeout=PATIENCE)
        # A worker comes again; without a scheduler the command ends with one line.
        codes = {"client": {-signal.SIGKILL, 0}, "worker": {0}, "scheduler": {0, 1, 2}}
        assert process.returncode in codes[victim], err
        assert b"Traceback" not in err
        if path.exists():
            assert b"died" not in path.read_bytes()
            lines = path.read_bytes().splitlines(keepends=True)[:-1]  # the last one may be torn
            assert set(lines) <= set(expected.splitlines(keepends=True))
            assert len(set(lines)) == len(lines)
            if path.read_bytes() == expected:
                path.unlink()
    assert finish(*SWEEP, str(path))[0] == 0
    assert path.read_bytes() == expected
