"""The second half of the suite leaves out only what runs no kernel (tests/halves.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
TESTS = """
import subprocess
import sys

import pytest

import snstat


def simulated():
    return snstat.propagate("relu", 1, width=2, batch=2, trials=1)


@pytest.fixture(scope="module")
def run():
    return simulated()


@pytest.fixture
def depth(run):
    return run.stack.depth


def test_theory():
    assert snstat.gradient_growth("relu", 1.0) > 0.0


def test_kernel():
    assert simulated()


def test_fixture(run):
    assert run


def test_same_fixture(run):
    assert run


def test_fixture_of_a_fixture(depth):
    assert depth == 1


def test_process():
    assert subprocess.call([sys.executable, "-c", ""]) == 0


@pytest.mark.skip(reason="a test that was not run did not pass without a kernel")
def test_skipped():
    pass


@pytest.mark.parametrize("text", ["after a kernel", "[]"])
def test_values(text):
    assert text
"""
FREE = {"test_theory", "test_values[after a kernel]", "test_values[[]]"}


@pytest.fixture
def half(tmp_path):
    """Return a function that runs one half of a small suite; it returns the tests that passed."""
    (tmp_path / "test_small.py").write_text(TESTS, "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")

    def run(*options, disable_jit):
        command = [sys.executable, "-m", "pytest", "-rp", "-p", "tests.halves", *options]
        result = subprocess.run(
            [*command, f"--kernel-free={tmp_path / 'free.txt'}", f"--rootdir={tmp_path}", tmp_path],
            cwd=CHECKOUT,
            env=os.environ | {"NUMBA_DISABLE_JIT": disable_jit},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        lines = result.stdout.splitlines()
        return sorted(line.split("::")[1] for line in lines if line.startswith("PASSED "))

    return run


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_runs_a_kernel_or_a_process_is_in_both_halves(half, tmp_path, workers):
    everything = half("-n", workers, disable_jit="1")
    assert len(everything) == 8
    names = (tmp_path / "free.txt").read_text("utf-8").splitlines()
    assert {name.split("::")[1] for name in names} == FREE
    assert half(disable_jit="0") == sorted({*everything} - FREE)
