"""Some hundred damaged files; `make fuzz` gives 10,000 to every reader (fuzzing.py)."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from numba import config

from tests.robustness import fuzzing, numpy_mutations
from tests.robustness.targets import TARGETS

CHECKOUT = Path(__file__).parents[2]
# Damaged files per target.
FILES = int(os.environ.get("SNSTAT_FUZZ", "30"))
# Start of the sequence of damaged files; another number gives other files.
FIRST = int(os.environ.get("SNSTAT_FUZZ_FIRST", "0"))


@pytest.mark.slow
@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="slow without compiled kernels")
@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_give_one_line_or_are_valid(tmp_path, name):
    """No traceback, no unpickling, and at most 10 s and 1 GiB for each file."""
    folder = Path(os.environ.get("SNSTAT_FUZZ_FOLDER", tmp_path)).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    module = [sys.executable, "-m", "tests.robustness.fuzzing"]
    result = subprocess.run(
        [*module, name, str(FIRST), str(FILES), str(folder)],
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        timeout=120 + 10 * FILES,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{name}: {FILES} damaged files, 0 handled wrongly" in result.stdout
    sys.stdout.write(result.stdout)


def test_the_fuzzer_detects_faults():
    """A fuzzer that detects nothing would pass too."""
    fine = "snstat: error: it is not so\n"
    assert list(fuzzing.complaints(2, b"", fine)) == []
    assert list(fuzzing.complaints(0, b"result", "snstat: a notice\n")) == []
    for code, out, err in (
        (1, b"", fine),
        (2, b"", ""),
        (2, b"half a result", fine),
        (2, b"", fine + fine),
        (2, b"", fine + "Traceback (most recent call last):\n"),
        (2, b"", "snstat: error: internal error (KeyError: 'x')\n"),
        (2, b"", "snstat: error: out of memory; use a smaller --width\n"),
        (2, b"", "snstat: error: \x1b[31m\n"),
        (2, b"", f"snstat: error: {'x' * 1000}\n"),
        (0, b"", fine),
        (0, b"", "file.py:3: RuntimeWarning: overflow\n"),
    ):
        assert list(fuzzing.complaints(code, out, err)), err


def test_damaged_files_are_the_same_in_every_run():
    for name, target in TARGETS.items():
        seeds = {
            "json": [b'{"a": [1, 2]}', b'{"b": {"c": 3}}'],
            "toml": [b"[check]\ndepth = 2\nwidth = 3\n"],
        }.get(target.suffix, [numpy_mutations.npy("{}", bytes(9))])
        first, second = (
            [fuzzing.damaged(target, name, number, seeds) for number in range(10)] for _ in range(2)
        )
        assert first == second
        assert len(set(first)) > 5


def test_unpickling_creates_the_canary(tmp_path):
    """The canary file shows whether a file was unpickled."""
    path = tmp_path / "canary"
    for number in range(20):
        numpy_mutations.unpickle_me(Random(number), b"", path)
    pickle.loads(pickle.dumps(numpy_mutations.Canary(path)))  # noqa: S301  # our own bytes
    assert path.exists()
