"""docs/speed.md explains the measurements of docs/benchmarks.md, and states no others."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def rows(name: str) -> list[list[str]]:
    lines = (DOCS / name).read_text("utf-8").splitlines()
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return [cells for cells in found if re.match(r"width|`", cells[0])]


def first(cell: str) -> str:
    """Return the number that a cell begins with, without its range."""
    return cell.lstrip("≥< ").split()[0]


def test_the_rows_are_those_that_miss_their_target() -> None:
    missing = {
        cells[0]: cells
        for cells in rows("benchmarks.md")
        if cells[2] == "torch" and "not reached" in cells[5] and cells[6] != "—"
    }
    told = {cells[0]: cells for cells in rows("speed.md")}
    assert told.keys() == missing.keys()
    for name, (_, faster, target, of_floor, most) in told.items():
        measured = missing[name]
        assert (faster, target, of_floor) == tuple(first(measured[i]) for i in (4, 5, 6))
        # Both have three digits.
        assert abs(float(most) / (float(faster) * float(of_floor)) - 1.0) < 0.01


def test_all_other_measured_numbers_are_in_the_benchmarks() -> None:
    text = (DOCS / "speed.md").read_text("utf-8")
    measured = (DOCS / "benchmarks.md").read_text("utf-8")
    numbers = re.findall(r"(\d+\.\d+) [×s]|(\d[\d,.]*) (?:ms|µs)", text)
    assert numbers
    for number in (first or second for first, second in numbers):
        assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.]*\d)", measured), number
