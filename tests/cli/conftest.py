"""Fixtures for the tests of the command line."""

from __future__ import annotations

import pytest

from snstat.experiment import warmup


@pytest.fixture(autouse=True)
def _no_notice_of_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep standard error the same whether or not the kernels are in numba's cache."""
    monkeypatch.setattr(warmup, "NOTICE_AFTER_SECONDS", 3600.0)
