"""Add the machine and the versions to a record of benchmarks."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from snstat.engine.simulate import available_cores

# The load of other programs, taken before anything is measured.
LOAD = os.getloadavg()[0]


def processor() -> str:
    """Return the name of the processor as the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or platform.machine())


def versions() -> dict[str, str]:
    """Return the versions of all software that affects a time."""
    found = {"Python": platform.python_version()}
    for name in ("numpy", "scipy", "numba", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


# Optional, because the suite also runs without pytest-benchmark.
@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(machine_info):
    machine_info["snstat"] = {
        "processor": processor(),
        "cores": available_cores(),
        "load": LOAD,
        "versions": versions(),
    }
