"""What is said of a sweep before it runs."""

from __future__ import annotations

import weakref

import pytest

from snstat.sweeps.cell import Cell
from snstat.sweeps.estimate import LOOKED_AT, estimate
from snstat.sweeps.sweep import asked_for
from tests.sweeps.grids import SMALL


class Seen(Cell):
    """A cell that is counted while it is there."""

    now = most = made = 0

    def __init__(self, *fields, **named):
        super().__init__(*fields, **named)
        Seen.made, Seen.now = Seen.made + 1, Seen.now + 1
        Seen.most = max(Seen.most, Seen.now)
        weakref.finalize(self, self._gone)

    @staticmethod
    def _gone():
        Seen.now -= 1


@pytest.fixture
def seen(monkeypatch):
    """Count cells; running one takes no time."""
    for name in ("now", "most", "made"):
        monkeypatch.setattr(Seen, name, 0)
    monkeypatch.setattr("snstat.sweeps.sweeping.Cell", Seen)
    monkeypatch.setattr("snstat.sweeps.estimate.run_cell", lambda _cell: None)
    return Seen


def test_a_large_grid_is_not_listed(seen):
    axes = {"width": list(range(1, 1001)), "seed": list(range(1000))}
    asked = asked_for("relu", axes, threads=1, **SMALL)
    found = estimate(asked, ())
    assert (found.done, found.left) == (0, 10**6)
    assert seen.made == LOOKED_AT
    # Seeds vary fastest, and the last cell that is looked at is the widest.
    width = 1 + (LOOKED_AT - 1) * (10**6 // LOOKED_AT) // 1000
    plan = asked_for("relu", {}, width=width, **SMALL).require_possible()
    assert found.bytes == plan.footprint(plan.sampler)


def test_of_cells_that_are_left_only_some_are_kept(seen):
    asked = asked_for("relu", {"width": list(range(1, 501))}, **SMALL)
    done = {cell.key for cell in asked.cells() if cell.options["width"] <= 100}
    seen.most = 0
    found = estimate(asked, done)
    assert (found.done, found.left) == (100, 400)
    assert seen.most <= LOOKED_AT + 5


def test_cells_that_are_not_possible_have_no_time():
    asked = asked_for("relu", {"depth": [2, 3]}, widths="4,4")
    found = estimate(asked, ())
    assert (found.left, found.seconds, found.bytes) == (2, 0.0, 0.0)
