"""What a traced module says of its rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snstat.results import Call
from tests.traces import ROWS, SUMMARY, call

ADDED = call("layer1:add", "add")


@pytest.mark.parametrize(("rows", "title"), [
    (ROWS, "ResNet"),
    ((*ROWS, ADDED), "ResNet"),  # functions are no modules
    (ROWS[:-1], "models:resnet"),  # the whole has no row
    ((*ROWS[:-1], call("Sequential", "Sequential")), "models:resnet"),  # says nothing
    ((ROWS[-1], *ROWS[:-1]), "models:resnet"),  # the whole is the last to end
    ((ADDED,), "models:resnet"),
    ((), "models:resnet"),
])  # fmt: skip
def test_the_title_is_the_class_of_the_whole(rows: tuple[Call, ...], title: str) -> None:
    assert replace(SUMMARY, rows=rows).title == title


def test_rows_modules_and_calls_are_counted() -> None:
    # Of ten rows, two are calls of one module; one more output is no other call.
    other = call("attention", "Attention", output="[0]")
    found = replace(SUMMARY, rows=(*ROWS, other, ADDED, call("layer1:add", "add", call=2)))
    assert (found.depth, found.modules, found.calls, found.functions) == (13, 9, 10, 2)
    # Row 10 has the tensor of row 9.
    assert found.distinct == (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13)
