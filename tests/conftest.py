"""What every test may rely on: one seed, one hypothesis profile, and no terminal of its own."""

from __future__ import annotations

import random
from importlib.util import find_spec
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# PyTorch is large and installed by `make test-peers` only, pytest-benchmark by `make bench`.
NEEDS = {"torch": "peers", "pytest_benchmark": "benchmarks/test_rows.py"}
collect_ignore = [path for module, path in NEEDS.items() if not find_spec(module)]

# Derandomised: the same examples in every run. No deadline: the first example may compile.
hypothesis.settings.register_profile(
    "snstat", derandomize=True, deadline=None, database=None, max_examples=50
)
hypothesis.settings.load_profile("snstat")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Fix the global generators, should anything under test fall back on them."""
    random.seed(0)
    np.random.seed(0)


@pytest.fixture(scope="session", autouse=True)
def _plain_terminal() -> Iterator[None]:
    """Hide the settings of the developer's terminal, which output would follow."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES"):
            patch.delenv(name, raising=False)
        patch.setenv("TERM", "xterm-256color")
        yield
