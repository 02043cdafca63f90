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
        (35, ["input", "encoder.0.feed_forward.norm", "encoder.11.feed_forwa….0 layer_norm"]),
        (25, ["input", "encod….0.feed_….norm", "encod….11.feed_….0 layer…"]),
        (20, ["input", "enc….0.fee….norm", "enc….11.fee….0 lay…"]),
        (14, ["input", "enc….0.….norm", "enc….….0 lay…"]),
        (1, ["inp…", "enc….….norm", "enc….….0 lay…"]),
    ],
)
def test_the_longest_words_are_cut(limit, short):
    assert shortened(NAMES, limit) == tuple(short)


def test_names_that_would_be_one_are_left():
    names = ("attention_of_the_first", "attention_of_the_second")
    assert shortened(names, 10) == names
    assert shortened((), 10) == ()
    assert shortened(("1.2.3",), 2) == ("1.2.3",)


def cut(names, size):
    """Return names with words of at most `size` letters, in a plain loop."""
    return [
        ".".join(word if len(word) <= size else word[: size - 1] + "…" for word in name.split("."))
        for name in names
    ]


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
    several = [name for name in names if "." in name and len(name) > limit]
    sizes = [n for n in range(LEAST, 13) if max(map(len, cut(several, n)), default=0) <= limit]
    expected = dict(zip(several, cut(several, sizes[-1] if sizes else LEAST), strict=True))
    for name, found in zip(names, short, strict=True):
        if len(name) <= limit:
            assert found == name
        elif "." not in name:
            assert [found] == cut([name], max(limit, LEAST))
        elif sizes or ".…." not in found:
            assert found == expected[name]
        else:
            head, tail = found.split(".….")
            assert expected[name].startswith(f"{head}.")
            assert expected[name].endswith(f".{tail}")
            assert len(found) <= limit or "." not in head


def test_names_that_would_be_one_keep_their_words():
    names = ["body.1.a.b.c.d.e.f", "body.2.a.b.c.d.e.f", "encoder.1.a.b.c.d.e.f"]
    assert shortened(names, 9) == (*names[:2], "enc….1.a.b.c.d.e.f")
