"""How far a sweep is, on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from snstat.cli.output import LONG_SECONDS, Bar, notice, shows_progress

if TYPE_CHECKING:
    from snstat.sweeps.sweeping import Progress


def duration(seconds: float) -> str:
    """Return a time in words: "12 s", "3 min", "2 h 05 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 else "1 s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60:02d} min" if hours < 48 else f"{hours / 24:.1f} days"


@contextmanager
def listening(cells: int) -> Iterator[Callable[[Progress], None]]:
    """Yield a function that shows the progress of a sweep: a bar at a terminal, else a notice now
    and then, each after twice the time of the one before."""
    text = "{task.completed:.0f} of {task.total:.0f} · {task.fields[failed]} failed"
    bar = Bar("cells", cells, text + " · {task.fields[left]} left")
    next_notice = LONG_SECONDS
    began = time.monotonic()

    def listen(progress: Progress) -> None:
        nonlocal next_notice
        done = progress.before + progress.done
        if shows_progress():
            bar.update(done, failed=progress.failed, left=progress.left)
        elif time.monotonic() - began > next_notice:
            next_notice *= 2.0
            left = progress.seconds_left
            words = "" if left is None else f", about {duration(left)}"
            notice(
                f"{done:,} of {cells:,} cells, {progress.failed:,} failed,"
                f" {progress.left:,} left{words}"
            )

    try:
        yield listen
    finally:
        bar.stop()
