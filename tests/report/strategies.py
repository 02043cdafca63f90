"""Checks whose words could be anything."""

from __future__ import annotations

from hypothesis import strategies as st

from snstat.results import Check, Source
from tests.report.builders import make_check, make_finding

# What some format takes for its own, what none can print, and a byte of a path that is no UTF-8.
AWKWARD = "\\|`*_<>[](){}&~:;,.=%#!@$\"' \r\n\t\0\x1b\x85\xa0\u2028\ud800\udcff\ufffeé漢\u0301"
texts = st.text(
    st.sampled_from(AWKWARD) | st.characters(exclude_categories=()), max_size=40
) | st.sampled_from(
    ["::error::x", "a::b", "%0A%25", "##[add-mask]x", "]]>", "<!-- x -->", "&amp;", "# x #", "~x~"]
)
some_text = texts.filter(bool)


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
