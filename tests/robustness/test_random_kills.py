"""Sweeps that end at random moments, again and again: what is there goes on to the same bits.

`make test-kills` ends them 50 times; here it is a few. See tests/peers/sweeps for those on Dask.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time

import pytest

from tests.robustness.processes import compiled, finish, limit_files, start
from tests.robustness.test_sweep_kills import SWEEP

KILLS = int(os.environ.get("SNSTAT_KILLS", "4"))
FORMATS = {"csv": None, "parquet": "pyarrow"}
pytestmark = [pytest.mark.slow, compiled]


@pytest.fixture(scope="module", params=FORMATS)
def whole(request, tmp_path_factory):
    """The suffix, the bytes of a sweep that nothing disturbed, and the seconds that it took."""
    if FORMATS[request.param]:
        pytest.importorskip(FORMATS[request.param])
    path = tmp_path_factory.mktemp("whole") / f"out.{request.param}"
    began = time.monotonic()
    assert finish(*SWEEP, str(path))[::2] == (0, "")
    return request.param, path.read_bytes(), time.monotonic() - began


def killed(path, seconds):
    """Run the sweep for so long, or until it ends."""
    with start(*SWEEP, str(path)) as process:
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    assert process.returncode in {0, -signal.SIGKILL}


def filled(path, size):
    """Run the sweep where no file has more bytes than `size`."""
    code, _, err = finish(*SWEEP, str(path), prepare=limit_files(size))
    assert code in {0, 1, 2}
    assert "Traceback" not in err
    assert code == 0 or err.count("\n") == 1, err


def test_a_sweep_that_ends_at_random_moments_goes_on_to_the_same_file(tmp_path, whole):
    suffix, expected, seconds = whole
    path, generator = tmp_path / f"out.{suffix}", random.Random(KILLS)
    for _ in range(KILLS):
        if generator.random() < 0.7:
            killed(path, generator.uniform(0.0, seconds))
        else:
            filled(path, generator.randrange(len(expected)))
        if suffix == "csv" and path.exists():
            lines = path.read_bytes().splitlines(keepends=True)[:-1]  # the last one may be torn
            assert set(lines) <= set(expected.splitlines(keepends=True))
            assert len(set(lines)) == len(lines)
        if path.exists() and path.read_bytes() == expected:
            path.unlink()
    assert finish(*SWEEP, str(path))[0] == 0
    assert path.read_bytes() == expected
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
