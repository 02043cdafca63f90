"""Signals end the program at once, with the expected exit code and no partial file."""

from __future__ import annotations

import json
import signal
import time

import pytest

from tests.robustness.processes import compiled, contents, lines_of, start

# Runs that take hours, or at least half a minute; one for every loop that a signal may interrupt.
LONG = {
    "dense": ("propagate", "-d", "1000000", "-w", "1024", "--sampler", "dense", "-t", "2"),
    "matrix-free": ("propagate", "-d", "1000000", "-w", "4096", "-t", "2"),
    "backward": ("propagate", "-d", "20000", "-w", "256", "-b", "128", "-t", "2", "--backward"),
    "spectrum": ("spectrum", "-d", "100000", "-w", "512", "-t", "2", "--layers", "last"),
    "histogram": ("plot", "--kind", "histogram", "-d", "1000000", "-w", "1024", "-t", "2"),
    "check": ("check", "-d", "1000000", "-w", "1024", "--sampler", "dense", "-t", "2"),
    "trajectory": ("fixedpoint", "-a", "tanh", "-a", "gelu", "--from", "1", "3", "-d", "1000000"),
}
# Times at which the start of a short run is interrupted.
STEPS, LAST_SECONDS = 12, 1.2
pytestmark = [pytest.mark.slow, compiled]


def unfinished(folder, process, seconds):
    """Wait until a run has opened its file, then `seconds` longer; return the file's name."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if parts := list(folder.glob(".*.part")):
            time.sleep(seconds)
            return parts[0].name
        time.sleep(0.02)
    pytest.fail(f"no file was opened: {process.communicate()}")


def interrupt(folder, arguments, number, seconds=1.0, option="-o"):
    """Send a signal to a running program.

    Return its code, its errors and the time that it took to end.
    """
    # The file name sets the format, and a picture needs one.
    name = "out.png" if arguments[0] == "plot" else "out"
    with start(*arguments, option, str(folder / name)) as process:
        assert unfinished(folder, process, seconds).startswith(f".{name}.")
        began = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        return process.returncode, lines_of(err), time.monotonic() - began


@pytest.mark.parametrize(
    ("name", "number"),
    [*((name, signal.SIGTERM) for name in LONG), ("dense", signal.SIGHUP)],
    ids=str,
)
def test_a_terminated_run_ends_with_the_signal_and_leaves_nothing(tmp_path, name, number):
    (tmp_path / "other").write_text("stays")
    code, err, seconds = interrupt(tmp_path, LONG[name], number)
    assert code == -number
    assert err == ""
    assert seconds < 10
    assert contents(tmp_path) == {"other": b"stays"}


def test_a_terminated_run_leaves_the_old_file(tmp_path):
    (tmp_path / "out").write_text("of before")
    code, _, _ = interrupt(tmp_path, LONG["dense"], signal.SIGTERM)
    assert code == -signal.SIGTERM
    assert contents(tmp_path) == {"out": b"of before"}


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)]
)
def test_an_unfinished_baseline_leaves_the_old_one(tmp_path, number, code):
    (tmp_path / "out").write_text("of before")
    ended, _, _ = interrupt(tmp_path, LONG["check"], number, option="--write-baseline")
    assert ended == code
    assert contents(tmp_path) == {"out": b"of before"}


@pytest.mark.parametrize("name", ["dense", "matrix-free"])
def test_an_interrupted_run_writes_its_finished_layers(tmp_path, name):
    # Long enough for a layer of every trial; a busy machine needs longer.
    for seconds in (2.0, 8.0, 32.0):
        code, err, _ = interrupt(tmp_path, (*LONG[name], "-f", "json"), signal.SIGINT, seconds)
        if contents(tmp_path):
            break
    assert list(contents(tmp_path)) == ["out"]
    run = json.loads((tmp_path / "out").read_bytes())["runs"][0]
    assert run["partial"] is True
    last = len(run["layers"]) - 1
    assert last > 0
    told = f"wrote {tmp_path / 'out'}: layers 0 to {last} of 1000000, marked partial"
    assert (code, err) == (130, f"snstat: {told}\n")


@pytest.mark.parametrize("name", ["histogram", "trajectory", "check"])
def test_an_interrupt_without_results_leaves_nothing(tmp_path, name):
    code, err, seconds = interrupt(tmp_path, LONG[name], signal.SIGINT)
    place = tmp_path / ("out.png" if name == "histogram" else "out")
    told = f"snstat: interrupted: nothing was written to {place}\n"
    told += "snstat: interrupted: a part of a run is not judged\n" if name == "check" else ""
    assert (code, err) == (130, told)
    assert seconds < 20
    assert contents(tmp_path) == {}


def test_an_ignored_hangup_stays_ignored(tmp_path):
    """Programs under nohup ignore it."""
    ignore = {"prepare": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    with start(*LONG["dense"], "-o", str(tmp_path / "out"), **ignore) as process:
        unfinished(tmp_path, process, 1.0)
        process.send_signal(signal.SIGHUP)
        time.sleep(1.0)
        assert process.poll() is None
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM


def test_an_interrupt_at_any_time_gives_no_traceback(tmp_path):
    """From the program's first line to its last layer. Before that, Python handles the signal."""
    program = "import snstat.__main__ as program; print('ready', flush=True); program.main()"
    arguments = ("propagate", "-d", "3000", "-w", "64", "-f", "csv")
    for step in range(STEPS):
        with start(*arguments, program=("-c", program), cwd=tmp_path) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(LAST_SECONDS * step / STEPS)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        assert process.returncode in {0, 130}, err
        assert lines_of(err) == "", step


HALF_BUILT = """
import snstat.__main__ as program

class HalfBuilt:
    def __init__(self):
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            self.built = False

    def __del__(self):
        self.missing

def interrupted_in_a_constructor():
    HalfBuilt()

import signal, snstat.cli
snstat.cli.main = interrupted_in_a_constructor
program.main()
"""


def test_finalisers_of_incomplete_objects_are_silent_after_an_interrupt(tmp_path):
    """Finalisers in llvmlite use attributes that an interrupted constructor did not set."""
    with start(program=("-c", HALF_BUILT), cwd=tmp_path) as process:
        _, err = process.communicate(timeout=60)
    assert (process.returncode, lines_of(err)) == (130, "")
