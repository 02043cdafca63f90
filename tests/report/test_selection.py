"""`--layers`: accepted values, the rows that they select, and errors that show a valid form."""

from __future__ import annotations

import pytest

from snstat.errors import InvalidValueError
from snstat.report.selection import parse_layers


@pytest.mark.parametrize(
    ("text", "depth", "rows"),
    [
        ("log", 64, [0, 1, 2, 4, 8, 16, 32, 64]),
        ("log", 70, [0, 1, 2, 4, 8, 16, 32, 64, 70]),
        ("log", 1, [0, 1]),
        ("log", 0, [0]),
        ("LOG", 3, [0, 1, 2, 3]),
        ("all", 3, [0, 1, 2, 3]),
        ("0,1,8,64", 64, [0, 1, 8, 64]),
        (" 8, 1,8 ", 64, [1, 8]),
        ("5", 5, [5]),
        ("0,2-4,last", 9, [0, 2, 3, 4, 9]),
        ("last", 7, [7]),
        ("Last, 6 - last", 8, [6, 7, 8]),
        ("3-3", 4, [3]),
    ],
)
def test_rows(text: str, depth: int, rows: list[int]) -> None:
    assert parse_layers(text).rows(depth) == rows


@pytest.mark.parametrize(
    "text", ["", "so me", "1,,2", "-1", "1..x y", "٣", "1_0", "9" * 5000, "1-", "-last"]
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidValueError, match="0,1,8-16,last") as caught:
        parse_layers(text)
    assert caught.value.name == "layers"
    assert caught.value.value == text


def test_errors_name_a_layer_beyond_the_depth_and_the_bound() -> None:
    with pytest.raises(InvalidValueError, match="65") as caught:
        parse_layers("0,65").rows(64)
    assert caught.value.value == 65
    assert "64" in caught.value.bound


@pytest.mark.parametrize("text", ["4-2", "last-3"])
def test_a_reversed_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match=f"reverse {text}"):
        parse_layers(text)


def test_a_range_beyond_the_depth_is_refused_before_it_is_expanded() -> None:
    with pytest.raises(InvalidValueError, match="999999999999999999"):
        parse_layers("0-999999999999999999").rows(64)


@pytest.mark.parametrize("text", ["log", "all", "0", "last", "0,3-5,last", "5-last"])
@pytest.mark.parametrize("depth", [6, 7, 64])
def test_the_size_of_a_selection_is_the_number_of_its_rows(text, depth):
    selection = parse_layers(text)
    assert selection.size(depth) == len(selection.rows(depth))


def test_the_size_of_a_selection_is_found_without_listing_it():
    assert parse_layers("all").size(10**15) == 10**15 + 1
    assert parse_layers("5-last,9").size(10**15) == 10**15 - 3
