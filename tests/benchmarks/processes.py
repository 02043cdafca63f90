"""Measurements of whole processes: commands as users run them, and peak memory."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.cases import THREAD_VARIABLES
from tests.peak import BETWEEN

# Peak memory in bytes of a wide network beyond that of a small one, which has loaded all kernels.
MEMORY = """
import resource, sys
from snstat.experiment.inputs import DrawnInputs
from snstat.engine.simulate import simulate
from snstat.network.stack import Stack
def peak(width, batch):
    stack = Stack.build(depth=3, width=width)
    inputs = DrawnInputs("normal", width, batch, 0.0, 1.0)
    simulate(stack, inputs, trials=1, seed=0, dtype="float32", sampler="matrix-free")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
small = peak(256, int(sys.argv[2]))
unit = 1 if sys.platform == "darwin" else 1024
print((peak(int(sys.argv[1]), int(sys.argv[2])) - small) * unit)
"""
# Seconds of the default run with its kernels loaded, the median of five.
DEFAULT_RUN = """
import statistics, time
import snstat
def run():
    start = time.perf_counter()
    snstat.propagate()
    return time.perf_counter() - start
run()
print(statistics.median(run() for _ in range(5)))
"""


def call(program: str, **variables: str) -> str:
    """Run a command line of this environment's snstat or python; return its output."""
    name, *arguments = shlex.split(program)
    command = sys.executable if name == "python" else str(Path(sys.executable).with_name(name))
    return output([command, *arguments], **variables)


def output(command: Sequence[str], **variables: str) -> str:
    """Run a command with these variables added to the environment; return its output.

    Bytecode is cached, as it is for users: without it every start compiles all of snstat.
    """
    unset = {*THREAD_VARIABLES, "PYTHONDONTWRITEBYTECODE"}
    environment = {k: v for k, v in os.environ.items() if k not in unset} | variables
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=600
    ).stdout


def compile_kernels() -> None:
    """Run a short network with an empty kernel cache."""
    with tempfile.TemporaryDirectory() as cache:
        call("snstat propagate --depth 1", NUMBA_CACHE_DIR=cache)


def arrays_at_peak(width: int, batch: int) -> float:
    """Return the peak memory of a network in float32 arrays of batch × width."""
    grown = output([*BETWEEN, sys.executable, "-c", MEMORY, str(width), str(batch)])
    return int(grown) / (4 * width * batch)


def default_run(**variables: str) -> float:
    """Return the seconds of the default run with these environment variables."""
    return float(output([sys.executable, "-c", DEFAULT_RUN], **variables))
