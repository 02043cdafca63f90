"""What a traced module says of its rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snstat.results import Call
from snstat.results.module import numbered
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


def test_rows_of_modules_that_are_called_again_have_the_number_of_the_call() -> None:
    rows = (call("a", "Linear"), call("b", "ReLU"), call("a", "Linear", call=2),
            call("c", "Attention", output="[0]"), call("c", "Attention", output="[1]"))  # fmt: skip
    names = [row.name for row in numbered(rows)]
    assert names == ["a#1", "b", "a#2", "c[0]", "c[1]"]


def test_rows_modules_and_calls_are_counted() -> None:
    # Of ten rows, two are calls of one module; one more output is no other call.
    other = call("attention", "Attention", output="[0]")
    found = replace(SUMMARY, rows=(*ROWS, other, ADDED, call("layer1:add", "add", call=2)))
    assert (found.depth, found.modules, found.calls, found.functions) == (13, 9, 10, 2)
    # Row 10 has the tensor of row 9.
    assert found.distinct == (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13)


@pytest.mark.parametrize(("row", "activates"), [
    (call("relu", "ReLU"), True),
    (call("act", "NewGELUActivation"), True),
    (call("net:relu_", "relu_"), True),  # a function in place
    (call("net:relu", "relu"), True),
    (call("odd", "Relu_"), False),  # a class of that name
    (call("net:softmax", "softmax"), False),
    (call("fc", "Linear"), False),
])  # fmt: skip
def test_activations_are_known_by_their_class(row: Call, activates: bool) -> None:
    assert row.activates is activates
    assert row.is_function is (":" in row.path)


@pytest.mark.parametrize(("shape", "shares", "sizes"), [
    (("S", 16, 8, 8), (1, 16, 8, 8), (16, 8, 8)),
    ((7, "S", 5), (7, 1, 5), (7, 5)),
    (("4S", 3), (4, 3), (4, 3)),
])  # fmt: skip
def test_sizes_are_those_of_one_sample(
    shape: tuple[int | str, ...], shares: tuple[int, ...], sizes: tuple[int, ...]
) -> None:
    row = call("a", "A", shape=shape)
    assert (row.shares, row.sizes) == (shares, sizes)


def test_main_rows_are_activations_and_blocks() -> None:
    # relu, its two calls in layer1, and layer1 itself; the whole has the tensor of a row.
    assert SUMMARY.main == (0, 2, 4, 5, 6)
    whole = replace(SUMMARY, rows=(*ROWS[:-1], replace(ROWS[-1], same_as=None)))
    assert whole.main == (0, 2, 4, 5, 6, 10)
    # Of several outputs of a call the first, and none whose axes are not known.
    outputs = tuple(call("layer2", "Block", output=f"[{n}]") for n in range(2))
    unknown = replace(call("act", "ReLU"), axes=None)
    more = (*ROWS[:6], call("layer2.conv", "Conv2d"), *outputs, unknown)
    assert replace(SUMMARY, rows=more).main == (0, 2, 4, 5, 6, 8)
    # Where there are neither, all rows whose axes are known.
    assert replace(SUMMARY, rows=(ROWS[0], ROWS[7], ROWS[8])).main == (0, 1, 3)


def test_a_file_says_of_a_row_all_but_its_number_of_calls() -> None:
    form = ROWS[4].to_json()
    assert form == {
        "path": "layer1.relu", "call": 2, "output": "", "kind": "ReLU",
        "shape": ("S", 16, 8, 8), "dtype": "float32", "trials": 3, "same_as": None,
        "gradient_missing": None,
        "axes": {"sample": (0,), "position": (2, 3), "unit": (1,), "found": "probed"},
    }  # fmt: skip
    assert ROWS[7].to_json()["axes"] is None
    assert SUMMARY.row(0).shape == (3, 8, 8)
    assert SUMMARY.row(5).name == "layer1.relu#2"
