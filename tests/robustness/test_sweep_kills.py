"""A sweep that is killed, interrupted or started twice: what it had is kept, and it goes on."""

from __future__ import annotations

import signal
import time

import pytest

from tests.robustness.processes import compiled, finish, start

SWEEP = ("sweep", "-a", "relu", "-d", "6", "-w", "256", "-b", "32", "-t", "2", "--seeds", "150")
SWEEP += ("--over", "weight-gain=1.3,1.5", "--layers", "last", "--threads", "2", "-q", "-o")
pytestmark = [pytest.mark.slow, compiled]


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def begun(path, process, least):
    """Wait until the file has some lines."""
    deadline = time.monotonic() + 120
    while lines(path) < least:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "out.csv"
    code, _, err = finish(*SWEEP, str(path))
    assert (code, err) == (0, "")
    return path.read_bytes()


def test_a_killed_sweep_goes_on_to_the_same_file(tmp_path, whole):
    path = tmp_path / "out.csv"
    seen = 1
    for kill in range(3):
        with start(*SWEEP, str(path)) as process:
            begun(path, process, seen + 20)
            time.sleep(0.03 * kill)
            process.kill()
            process.communicate(timeout=60)
        assert process.returncode in {-signal.SIGKILL, 0}
        assert lines(path) >= seen + 20
        seen = lines(path)
    assert finish(*SWEEP, str(path))[0] == 0
    assert path.read_bytes() == whole
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.csv"]


def test_an_interrupted_sweep_keeps_what_it_has(tmp_path, whole):
    path = tmp_path / "out.csv"
    quiet = SWEEP.index("-q")
    told = (*SWEEP[:quiet], *SWEEP[quiet + 1 :])
    with start(*told, str(path)) as process:
        begun(path, process, 30)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    message = f"interrupted: what is done is kept, and the same command goes on ({path})"
    assert message in err.decode()
    assert set(path.read_bytes().splitlines()) <= set(whole.splitlines())
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.csv"]
    assert finish(*SWEEP, str(path))[0] == 0
    assert path.read_bytes() == whole


def test_a_second_sweep_to_one_file_is_refused(tmp_path):
    path = tmp_path / "out.csv"
    with start(*SWEEP, str(path)) as process:
        begun(path, process, 2)
        code, out, err = finish(*SWEEP, str(path))
        process.kill()
        process.communicate(timeout=60)
    assert (code, out) == (2, b"")
    assert "another sweep writes to it" in err
