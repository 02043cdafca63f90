"""Strategies for checks with arbitrary text."""

from __future__ import annotations

from hypothesis import strategies as st

from snstat.results import Check, Source
from tests.report.builders import make_check, make_finding

# Special characters of every format, unprintable ones, and a byte of a path that is not UTF-8.
FRAGMENTS = (
    *"|\\:;,.%#!@$\"' \r\n\t\0\x1b\x85\xa0\u2028\udcff\ufffeé漢\u0301",
    *("*a*", "__a__", "`a`", "~~a~~", "[a](b)", "![a](b)", "<b>", "<!-- a -->", "&amp;", "&#65;"),
    *("::", "::error::a", "%0A", "%25", "%3A", "##[add-mask]a", "]]>", "a=b", "# a #", "- a"),
)
# All fragments in a few texts, so that every format is tested with each.
HOSTILE = tuple(" a ".join(FRAGMENTS[start::4]) for start in range(4))
some_text = st.lists(
    st.sampled_from(FRAGMENTS) | st.text(min_size=1, max_size=8), min_size=1, max_size=6
).map("".join)
texts = st.just("") | some_text


@st.composite
def checks(draw: st.DrawFn) -> Check:
    """Return a check with up to two findings and notes."""
    findings = [
        make_finding(message=draw(some_text) + remedy, remedy=remedy)
        for remedy in draw(st.lists(texts, max_size=2))
    ]
    source = Source(draw(some_text), draw(st.integers(1, 10_000)))
    return make_check(
        *findings,
        name=draw(texts),
        notes=tuple(draw(st.lists(some_text, max_size=2))),
        baseline=draw(st.none() | some_text),
        source=draw(st.sampled_from([None, source])),
    )


def hostile_checks() -> list[Check]:
    """Return checks with all fragments in every field, for explicit examples."""
    return [
        make_check(
            make_finding(message=f"{text}; {text}", remedy=text),
            name=text,
            notes=(text,),
            baseline=text,
            source=Source(text, 1),
        )
        for text in HOSTILE
    ]
