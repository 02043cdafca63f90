"""The list of rules and the page of a rule: formatted in a terminal, plain elsewhere."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.cells import cell_len
from rich.console import Console

from snstat.report.rules import print_page, print_rules

RULES = [
    ("SN001", "non-finite", "an activation or gradient is not finite, or leaves the number format"),
    ("SN101", "vanishing", "the second moment falls below its bound, or will by the depth limit"),
    ("SN202", "gradient-exploding", "squared gradients grow more than ×10^k over the stack"),
]
PAGE = """# SN202 gradient-exploding

**Squared gradients** grow by more than ×10^k over the stack.

    χ = σ_w² E[φ'(√q z)²]

## How to fix it

- lower `--weight-gain`
- see [a paper](https://arxiv.org/abs/1611.01232)
"""


def show(
    draw: Callable[[Console], None], width: int = 80, *, terminal: bool, encoding: str = "utf-8"
) -> str:
    buffer = io.BytesIO()
    with io.TextIOWrapper(buffer, encoding=encoding, write_through=True) as stream:
        draw(Console(file=stream, width=width, force_terminal=terminal, color_system=None))
        return buffer.getvalue().decode(encoding)


def test_a_rule_is_one_line_without_a_terminal() -> None:
    lines = show(lambda console: print_rules(RULES, console), 30, terminal=False).splitlines()
    assert [line.split(maxsplit=2) for line in lines] == [list(rule) for rule in RULES]
    assert len({line.index(rule[2]) for line, rule in zip(lines, RULES, strict=True)}) == 1


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120, 200])
def test_summaries_wrap_within_their_column(width: int) -> None:
    text = show(lambda console: print_rules(RULES, console), width, terminal=True)
    lines = text.splitlines()
    assert max(map(cell_len, lines)) <= width
    for rule in RULES:
        assert "".join("".join(rule).split()) in "".join(text.split())
    # The text of a rule is to the right of its code.
    codes = [line[:5] for line in lines if line[:7].strip()]
    assert codes == [rule[0] for rule in RULES]


def test_no_rules_give_no_lines() -> None:
    for terminal in (False, True):
        assert show(lambda console: print_rules([], console), terminal=terminal) == ""


def test_a_page_is_formatted_in_a_terminal() -> None:
    text = show(lambda console: print_page(PAGE, console), 60, terminal=True)
    lines = [line.strip() for line in text.splitlines()]
    assert max(map(cell_len, text.splitlines())) <= 60
    assert "How to fix it" in lines
    assert "χ = σ_w² E[φ'(√q z)²]" in lines
    assert not [mark for mark in ("#", "**", "`") if mark in text]
    # The address of a link is shown, because few terminals can open links.
    assert "https://arxiv.org/abs/1611.01232" in text


def test_the_width_of_a_page_is_limited() -> None:
    text = show(lambda console: print_page("word " * 100, console), 200, terminal=True)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 88


def test_a_page_is_unchanged_without_a_terminal() -> None:
    assert show(lambda console: print_page(PAGE, console), 20, terminal=False) == PAGE


@pytest.mark.parametrize("terminal", [False, True])
def test_a_page_in_ascii_keeps_its_lines(terminal: bool) -> None:
    text = show(lambda console: print_page(PAGE, console), terminal=terminal, encoding="ascii")
    assert "chi = sigma_w^2 E[" in text
    assert len(text.splitlines()) == len(PAGE.splitlines())
