"""Progress is shown while large data files are read."""

from __future__ import annotations

import io
import re
import threading

import numpy as np
import pytest
from rich.console import Console

from snstat.cli import output, run
from snstat.experiment import data
from snstat.experiment.data import check_data
from snstat.experiment.reading import listening, tell

ROWS = np.random.default_rng(0).standard_normal((12, 4))


@pytest.fixture
def file(tmp_path):
    np.save(tmp_path / "x.npy", ROWS)
    return str(tmp_path / "x.npy")


def test_every_pass_reports_progress_after_each_block(monkeypatch):
    monkeypatch.setattr(data, "BLOCK_VALUES", 3 * 4)
    shares: list[float] = []
    with listening(shares.append):
        check_data(ROWS, "array", None).moments()
    once = [0.25, 0.5, 0.75, 1.0]
    assert shares == once * (len(shares) // 4)
    assert len(shares) >= 4


def test_progress_of_other_threads_is_ignored_and_a_listener_is_optional():
    shares: list[float] = []
    with listening(shares.append):
        thread = threading.Thread(target=tell, args=(0.5,))
        thread.start()
        thread.join()
        tell(0.75)
    tell(1.0)
    assert shares == [0.75]


@pytest.mark.parametrize("flags", [[], ["--standardize"]])
def test_without_a_terminal_lines_are_printed(capsys, monkeypatch, file, flags):
    monkeypatch.setattr(output, "LONG_SECONDS", 1e-9)
    arguments = ["propagate", "-d", "1", "-w", "4", "-t", "2", "--inputs", file, *flags]
    assert run(arguments) == 0
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if line.startswith("snstat: reading data takes long")]
    # A line before and one after the only block of each of the passes.
    assert len(told) == 2 * (1 + bool(flags))
    assert run([*arguments, "-q"]) == 0
    assert capsys.readouterr().err == ""


def test_reading_that_goes_on_is_told_each_time_it_has_taken_twice_as_long(capsys, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(output.Verbosity, "level", 0)
    monkeypatch.setattr(output.time, "monotonic", lambda: float(next(clock)))
    with output.reading_bar() as bar:
        bar.began = float(next(clock))
        for _ in range(45):
            tell(0.5)
    told = re.findall(r"50% of a pass after (\d+) s", capsys.readouterr().err)
    assert told == ["5", "10", "20", "40"]


def test_a_bar_appears_after_a_delay_and_stops(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(
        "rich.console.Console",
        lambda **_: Console(file=screen, force_terminal=True, width=80),
    )
    bar = output.Bar("reading data", 1.0, "{task.percentage:.0f} %")
    bar.update(0.1)
    assert screen.getvalue() == ""
    monkeypatch.setattr(output, "PATIENCE_SECONDS", 0.0)
    bar.update(0.25)
    bar.stop()
    assert "reading data" in screen.getvalue()
    assert "25 %" in screen.getvalue()
    before = screen.getvalue()
    bar.update(0.5)
    assert screen.getvalue() == before


def test_one_bar_at_a_time(monkeypatch):
    monkeypatch.setattr(output, "shows_progress", lambda: True)
    monkeypatch.setattr(output, "PATIENCE_SECONDS", 0.0)
    shown: list[tuple[str, float]] = []
    monkeypatch.setattr(output.Bar, "_started", lambda _self: None)

    def update(self: output.Bar, done: float) -> None:
        if not self.stopped:
            shown.append((self.title, done))

    monkeypatch.setattr(output.Bar, "update", update)
    with output.progress_bar("selu", 8) as progress:
        assert progress is not None
        tell(0.5)
        progress(4)
        tell(1.0)
    assert shown == [("reading data", 0.5), ("selu", 4)]
