"""For all tests: their order, one seed, one hypothesis profile, and no settings of the terminal."""

from __future__ import annotations

import gc
import os
import random
from importlib.util import find_spec
from typing import TYPE_CHECKING

# Workers share the cores: threads of BLAS would wait for each other, busily. Read as numpy loads,
# here and in the processes that tests start.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# PyTorch is large, and only `make test-peers` installs it; pytest-benchmark only `make bench`.
NEEDS = {"torch": "peers", "pytest_benchmark": "benchmarks/test_rows.py"}
collect_ignore = [path for module, path in NEEDS.items() if not find_spec(module)]

# Derandomised: every run has the same examples. No deadline: the first example may compile.
hypothesis.settings.register_profile(
    "snstat", derandomize=True, deadline=None, database=None, max_examples=50
)
hypothesis.settings.load_profile("snstat")


# These run other processes for up to half a minute each.
LONG = {"docs", "packaging", "examples"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests first: what is left at the end is short, so no worker waits long."""
    items.sort(key=lambda item: LONG.isdisjoint(mark.name for mark in item.iter_markers()))


def pytest_collection_finish() -> None:
    """Leave what collection has made, a million objects, out of every search for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Seed the global generators, in case the code under test uses them."""
    random.seed(0)
    np.random.seed(0)


@pytest.fixture(scope="session", autouse=True)
def _plain_terminal() -> Iterator[None]:
    """Hide the settings of the developer's terminal and streams, which would change the output."""
    with pytest.MonkeyPatch.context() as patch:
        colours = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE")
        for name in (*colours, "COLUMNS", "LINES", "PYTHONUNBUFFERED"):
            patch.delenv(name, raising=False)
        patch.setenv("TERM", "xterm-256color")
        yield
