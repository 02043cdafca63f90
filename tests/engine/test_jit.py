"""The cache of compiled kernels notices changed files, and processes share it safely."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba import config

import snstat
from snstat.engine.kernels.jit import jit

PROGRAM = """
import numpy as np
from snstat.engine.kernels import matrix_free
from snstat.engine.kernels.layers import MatrixFreeLayer
lower = np.empty((2, 2))
gram = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-8]])
layer = MatrixFreeLayer(2, 2, 1.0, 0.0)
matrix_free.covariance_factor(gram, 0.0, layer, False, lower)
print(lower[1, 1] > 0, sum(matrix_free.covariance_factor.stats.cache_hits.values()))
"""

compiled = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")


@pytest.fixture
def run(tmp_path):
    """Run a program with a copy of the package in `tmp_path`, and return the words it prints."""
    shutil.copytree(
        Path(snstat.__file__).parent,
        tmp_path / "snstat",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    environment = os.environ | {
        "PYTHONPATH": str(tmp_path),
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
    }

    def words(program=PROGRAM):
        command = [sys.executable, "-c", program]
        return subprocess.check_output(command, env=environment, text=True, cwd=tmp_path).split()

    return words


@compiled
def test_a_changed_callee_in_another_file_is_compiled_again(tmp_path, run):
    assert run() == ["True", "0"]
    assert run() == ["True", "1"]
    factor = tmp_path / "snstat" / "engine" / "kernels" / "factor.py"
    changed = factor.read_text("utf-8").replace("RANK_TOLERANCE = 1e-11", "RANK_TOLERANCE = 1e-7")
    factor.write_text(changed, "utf-8")
    # The caller's own file has not changed.
    assert run() == ["False", "0"]


@compiled
def test_a_cache_of_classes_that_are_gone_is_not_read(tmp_path, run):
    assert run() == ["True", "0"]
    for path in (tmp_path / "snstat" / "engine").rglob("*.py"):
        path.write_text(path.read_text("utf-8").replace("MatrixFreeLayer", "OtherLayer"), "utf-8")
    assert run(PROGRAM.replace("MatrixFreeLayer", "OtherLayer")) == ["True", "0"]


def doubled(value):
    return value + value


@compiled
def test_processes_that_save_at_once_do_not_exchange_their_code(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    one, other, reader = (jit(doubled)._cache._cache_file for _ in range(3))
    save, read = one._save_data, dict(one._load_index())

    def late(name, data):
        """Meanwhile the other process, which read the index before, saves its own code."""
        other.save("float32", "code for float32")
        save(name, data)

    monkeypatch.setattr(one, "_save_data", late)
    monkeypatch.setattr(other, "_load_index", lambda: dict(read))
    one.save("float64", "code for float64")
    for signature in ("float32", "float64"):
        assert reader.load(signature) == f"code for {signature}"
