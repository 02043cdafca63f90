"""Checks as markdown: a markdown parser recovers the content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from snstat.report.check_markdown import checks_to_markdown
from snstat.report.glyphs import Glyphs
from snstat.results import Check
from tests.report.builders import make_check, make_checks
from tests.report.strategies import checks, hostile_checks

if TYPE_CHECKING:
    from markdown_it.token import Token

# rich depends on this parser; GitHub's tables and strikethrough are enabled.
READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def shown(text: str) -> str:
    """Return `text` as a page shows it: on one line, with control characters escaped."""
    return " ".join(Glyphs().text(text).split())


def plain(token: Token) -> str:
    """Return the text of an inline token, which contains only text and bold codes."""
    children = token.children or []
    assert {child.type for child in children} <= {"text", "strong_open", "strong_close"}
    return "".join(child.content for child in children)


def read(page: str) -> tuple[list[str], list[list[str]], list[str]]:
    """Return the headings, the rows of the table and the items of lists."""
    headings, rows, items = [], [], []
    tokens = READER.parse(page)
    for position, token in enumerate(tokens):
        before = tokens[position - 1].type
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and before in {"th_open", "td_open"}:
            rows[-1].append(plain(token))
        elif token.type == "inline" and before == "heading_open":
            headings.append(plain(token))
        elif token.type == "inline" and tokens[position - 2].type == "list_item_open":
            items.append(plain(token))
    return headings, rows, items


def test_the_page_has_the_result_a_table_and_the_findings() -> None:
    page = checks_to_markdown(make_checks())
    headings, rows, items = read(page)
    assert headings == [
        "snstat check failed: 2 of 3 checks passed",
        "default: gradient-exploding",
        "encoder: self-normalizing",
    ]
    stack = "SELU · 512 layers of 1,024 · lecun_normal (gain 1)"
    assert rows == [
        ["check", "verdict", "result", "stack"],
        ["default", "gradient-exploding", "failed", stack],
        ["encoder", "self-normalizing", "passed", stack],
        ["head", "stable", "passed", stack],
    ]
    assert items[0].startswith("SN202 gradient-exploding, layer 313: squared gradients grow")
    assert items[0].endswith("use at most 199 layers, or --weight-gain 0.966 (now 1)")
    assert items[1].startswith("SN301 inputs-collapse, layer 38: ")
    assert items[2:] == [f"Note: {make_checks()[0].notes[0]}"] * 2
    assert "**SN202** gradient-exploding" in page
    assert "declared at pyproject.toml:41" in page
    assert "compared with base.json" in page


def test_one_check_is_not_counted() -> None:
    assert checks_to_markdown([make_check()]).startswith("### snstat check passed\n\n| check |")
    assert checks_to_markdown(make_checks()[:1]).startswith("### snstat check failed\n\n| check |")
    assert checks_to_markdown([]) == "### snstat check passed\n"


@given(st.lists(checks(), min_size=1, max_size=3))
@example(hostile_checks())
def test_any_text_is_shown_literally_in_its_cell(drawn: list[Check]) -> None:
    headings, rows, items = read(checks_to_markdown(drawn))
    assert {len(row) for row in rows} == {4}
    assert [row[0] for row in rows[1:]] == [shown(check.name) for check in drawn]
    told = [check for check in drawn if check.findings or check.notes]
    assert headings[1:] == [shown(f"{check.name}: {check.verdict}") for check in told]
    expected = []
    for check in told:
        expected += [
            f"SN202 gradient-exploding, layer 313: {shown(finding.message)}".strip()
            for finding in check.findings
        ]
        expected += [f"Note: {shown(note)}".strip() for note in check.notes]
    assert items == expected
