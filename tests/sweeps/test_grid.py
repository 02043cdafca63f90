"""Values of axes, and the cells that they span."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from snstat.errors import InvalidValueError, UnknownNameError
from snstat.network.run_settings import RunSettings
from snstat.sweeps.grid import Grid
from snstat.sweeps.values import listed_values, typed_values
from snstat.values.option import options_of

KIND = {name: declared.kind for name, declared in options_of(RunSettings).items()}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("width", "64,256,1e3", [64, 256, 1000]),
        ("weight_gain", "0.8:1.2:9", [0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2]),
        ("weight_gain", "1/2:2:3:log", [0.5, 1.0, 2.0]),
        ("width", "64:256:3:log", [64, 128, 256]),
        ("width", "1:10:4", [1, 4, 7, 10]),
        ("depth", "3:3:1", [3]),
        ("activation", "relu,leaky_relu:0.2", ["relu", "leaky_relu:0.2"]),
    ],
)
def test_typed_values(name, text, expected):
    assert typed_values(name, text, KIND[name]) == expected


def test_a_range_has_equal_steps_and_both_ends():
    """Beside numpy, whose values differ by rounding to the twelfth digit at most."""
    found = typed_values("weight_gain", "0.1:7.3:31", KIND["weight_gain"])
    assert found == pytest.approx(np.linspace(0.1, 7.3, 31).tolist(), rel=1e-11)
    found = typed_values("weight_gain", "0.1:7.3:31:log", KIND["weight_gain"])
    assert found == pytest.approx(np.geomspace(0.1, 7.3, 31).tolist(), rel=1e-11)
    assert found[-1] == 7.3


def test_values_of_parameters_are_numbers_flags_or_text():
    assert typed_values("blocks", "1,2.5,true,a:b", None) == [1, 2.5, True, "a:b"]
    assert typed_values("blocks", "2:8:4", None) == [2, 4, 6, 8]
    assert typed_values("scale", "0:1:3", None) == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1:2", "FROM:TO:STEPS"),
        ("1:2:0", "steps of width is 0"),
        ("1:2:1", "at least 2"),
        ("1:2:3", "whole numbers"),
        ("0:2:3:log", "above 0"),
        ("1:2:2:cubic", "scale of width"),
        ("64,,128", "none of them empty"),
        ("1:1e9:1e9", "from 1 to 1000000"),
        ("0", "from 1 to"),
    ],
)
def test_wrong_ranges_are_refused(text, complaint):
    with pytest.raises(InvalidValueError, match=complaint):
        typed_values("width", text, KIND["width"])


def test_listed_values():
    assert listed_values("seed", {"from": 0, "to": 3}, KIND["seed"]) == [0, 1, 2, 3]
    gain = KIND["weight_gain"]
    assert listed_values("weight_gain", {"from": 1, "to": 2, "steps": 3}, gain) == [1.0, 1.5, 2.0]
    assert listed_values("weight_gain", np.array([1, 2]), gain) == [1.0, 2.0]
    with pytest.raises(UnknownNameError, match="step"):
        listed_values("seed", {"from": 0, "to": 3, "stepp": 1}, KIND["seed"])
    for wrong in (
        [],
        "64",
        3,
        {"from": 1},
        {"from": 0.5, "to": 2},
        {"from": 3, "to": 1},
        {"from": 0, "to": 10**6},
        {"from": 0, "to": 4, "steps": 2.5},
    ):
        with pytest.raises(InvalidValueError):
            listed_values("seed", wrong, KIND["seed"])


def test_a_grid_is_the_product_of_its_axes():
    values = {"a": [1, 2], "b": ["x", "y", "z"], "c": [0.5]}
    grid = Grid.of(values)
    expected = [
        dict(zip("abc", point, strict=True)) for point in itertools.product(*values.values())
    ]
    assert list(grid.points()) == expected
    assert len(grid) == len(expected) == 6
    # Axes that are to vary fastest do.
    assert [point["a"] for point in grid.points(last=["a"])] == [1, 2] * 3
    assert list(grid.points(step=4)) == expected[::4]


def test_zipped_options_change_together():
    grid = Grid.of({"a": [1, 2], "b": [3, 4], "c": [5, 6]}, [["a", "c"]])
    assert [tuple(point[name] for name in "abc") for point in grid.points()] == [
        (1, 3, 5),
        (1, 4, 5),
        (2, 3, 6),
        (2, 4, 6),
    ]
    with pytest.raises(InvalidValueError, match="equally many"):
        Grid.of({"a": [1, 2], "b": [3]}, [["a", "b"]])
    with pytest.raises(UnknownNameError):
        Grid.of({"a": [1, 2]}, [["a", "z"]])
    with pytest.raises(InvalidValueError, match="once"):
        Grid.of({"a": [1], "b": [1], "c": [1]}, [["a", "b"], ["b", "c"]])


def test_equal_values_are_one_cell_and_large_grids_are_refused():
    assert len(Grid.of({"a": [1, 1, 2]})) == 2
    assert len(Grid.of({})) == 1
    with pytest.raises(InvalidValueError, match="number of cells"):
        Grid.of({name: range(1000) for name in "abc"})
