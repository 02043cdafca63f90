"""The table of a sweep: its columns, and the rows that stand for their cells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from snstat.results.sweep import column_of, sweep_of

NAMES = ("cell", "width", "layer", "mean_estimate", "gradient_estimate", "error")
# Cells of three rows, of one, and of two.
ROWS = [
    ["a", 8, 0, 1.0, 10.0, ""], ["a", 8, 1, 2.0, 20.0, ""], ["a", 8, 2, 3.0, 30.0, ""],
    ["b", 16, None, None, None, "no memory"],
    ["c", 32, 0, 4.0, 40.0, ""], ["c", 32, 1, 5.0, 50.0, ""],
]  # fmt: skip


@pytest.mark.parametrize("text", [False, True])
def test_a_cell_has_its_last_row_but_the_gradient_of_its_first(text: bool) -> None:
    rows = [["" if value is None else str(value) for value in row] for row in ROWS]
    table = sweep_of(NAMES, rows if text else ROWS, ("width",))
    assert table.last.tolist() == [False, False, True, True, False, True]
    assert table.failed.tolist() == [False, False, False, True, False, False]
    cells = table.cells
    assert cells["cell"].tolist() == ["a", "b", "c"]
    for name, values in (
        ("layer", [2.0, math.nan, 1.0]),
        ("mean_estimate", [3.0, math.nan, 5.0]),
        ("gradient_estimate", [10.0, math.nan, 40.0]),
    ):
        np.testing.assert_array_equal(cells[name], values)
    assert repr(table) == "<Sweep over width: 3 cells, 1 failed, 6 rows>"


# Two networks of width 8, and theory alone; two of width 16, of which one failed; two widths alone.
SAME = {
    "a": (8, 1, ""), "b": (8, 2, ""), "t": (8, None, ""), "c": (16, 3, ""),
    "d": (16, None, "no memory"), "e": (32, 4, ""), "f": (64, 5, ""),
}  # fmt: skip


def test_cells_that_have_the_options_of_another_are_found() -> None:
    names = ("cell", "width", "layers", "layer", "mean_estimate", "error")
    rows = [
        [key, width, own, layer, mean, error]
        for own, (key, (width, mean, error)) in enumerate(SAME.items())
        for layer in (0, 1)
    ]
    table = sweep_of(names, rows, ("width",))
    assert table.options == ["width"]  # not the number of layers, which other code changes
    assert table.repeated.tolist() == [key in "ab" for key in SAME for _ in range(2)]
    assert table.simulated.tolist() == [key in "abcef" for key in SAME for _ in range(2)]
    assert repr(table).endswith(": 7 cells, 1 failed, 2 with the options of others, 14 rows>")


def test_a_table_without_rows_has_no_cells() -> None:
    table = sweep_of(NAMES, [], ())
    assert len(table.cells) == len(table) == 0
    assert repr(table) == "<Sweep over nothing: 0 cells, 0 rows>"


@pytest.mark.parametrize(("values", "column"), [
    ((1, 2.5, None, ""), [1.0, 2.5, math.nan, math.nan]),
    (("1", "1e-3", "", "inf"), [1.0, 1e-3, math.nan, math.inf]),
    ((None, None), [math.nan, math.nan]),
    ((1, "auto", None, 0.1), ["1", "auto", "", "0.1"]),
    ((True, None, 1), ["true", "", "1"]),
    (((64, 64), None), ["64 64", ""]),
])  # fmt: skip
def test_a_column_is_of_numbers_if_all_that_are_there_are(
    values: tuple[Any, ...], column: list[Any]
) -> None:
    found = column_of(values)
    assert found.dtype == (object if isinstance(column[0], str) else np.float64)
    np.testing.assert_array_equal(found, np.array(column, dtype=found.dtype))
