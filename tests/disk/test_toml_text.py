"""Plain data are written as TOML that reads back equal."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from snstat.disk.toml_text import toml_table

KEYS = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,8}\Z")
LEAVES = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_what_is_written_reads_back_equal(table):
    found = tomllib.loads(toml_table(table))
    assert found == table
    assert repr(found) == repr(table)  # 1 is not 1.0, nor True


def test_every_character_is_escaped_where_it_must_be():
    text = "".join(map(chr, [*range(0x300), 0x2028, 0x1F4A5]))
    assert tomllib.loads(toml_table({"text": text}))["text"] == text


def test_tables_in_lists_have_lines_of_their_own():
    inner = {"kind": "block", "layers": [{"kind": "scale", "factor": 2.0}]}
    assert toml_table({"times": 2, "layers": [inner]}) == (
        "times = 2\n"
        "layers = [\n"
        '  { kind = "block", layers = [\n'
        '    { kind = "scale", factor = 2.0 },\n'
        "  ] },\n"
        "]\n"
    )
