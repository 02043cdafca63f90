"""Long names of layers are abbreviated, and stay different."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snstat.report.short_names import LEAST, shortened

NAMES = ["input", "encoder.0.feed_forward.norm", "encoder.11.feed_forward.0 layer_norm"]


@pytest.mark.parametrize(
    ("limit", "short"),
    [
        (36, NAMES),
        (35, ["input", "encoder.0.feed_forwa….norm", "encoder.11.feed_forwa….0 layer_norm"]),
        (25, ["input", "encod….0.feed_….norm", "encod….11.feed_….0 layer…"]),
        (1, ["inp…", "enc….0.fee….norm", "enc….11.fee….0 lay…"]),
    ],
)
def test_the_longest_words_are_cut(limit, short):
    assert shortened(NAMES, limit) == tuple(short)


def test_names_that_would_be_one_are_left():
    names = ("attention_of_the_first", "attention_of_the_second")
    assert shortened(names, 10) == names
    assert shortened((), 10) == ()
    assert shortened(("1.2.3",), 2) == ("1.2.3",)


@given(
    st.lists(st.from_regex(r"[a-z_]{1,12}(\.[a-z0-9_]{1,12}){0,3}", fullmatch=True), unique=True),
    st.integers(0, 60),
)
def test_they_are_as_long_as_fits(names, limit):
    short = shortened(names, limit)
    assert len(set(short)) == len(names)
    if short == tuple(names):
        return
    # One more letter of each word would not fit, unless even the least does not.
    size = max(len(word) for name in short for word in name.split(".") if "…" in word)
    longer = [
        ".".join(word if len(word) <= size + 1 else word[:size] + "…" for word in name.split("."))
        for name in names
    ]
    assert max(map(len, longer)) > limit
    assert size == LEAST or max(map(len, short)) <= limit
