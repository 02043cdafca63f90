"""Keys and values of configuration files in messages."""

from __future__ import annotations

import pytest

from snstat.checks.config_keys import dashed, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a" * 58, "'" + "a" * 58 + "'"),  # 60 characters with the quotes
        ("a" * 30 + "b" * 29, "'" + "a" * 30 + "b" * 9 + "…" + "b" * 18 + "'"),
        ([1, "x"], "[1, 'x']"),
    ],
)
def test_values_are_shown_on_one_short_line(value: object, text: str) -> None:
    assert shown(value) == text


def test_what_cannot_be_written_is_too_long_to_show() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    for value in (10**5000, deep):
        assert shown(value) == "a value too long to show"


def test_keys_are_spelled_with_dashes() -> None:
    assert dashed("depth_limit") == "depth-limit"
