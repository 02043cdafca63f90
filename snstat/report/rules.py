"""The rules of `snstat check` at a terminal: their list, and the page of one rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from snstat.report.glyphs import Glyphs, ascii_text
from snstat.report.grid import print_labelled

if TYPE_CHECKING:
    from rich.console import Console

GAP = 2
# The narrowest readable column of summaries, and the widest readable page.
LEAST_SUMMARY = 24
WIDEST_PAGE = 88


def print_rules(rules: Sequence[tuple[str, str, str]], console: Console) -> None:
    """Print (code, name, summary) of each rule in aligned columns.

    At a terminal the summaries wrap within their column, or go below the name if the terminal is
    narrow. Elsewhere each rule is one line, so that grep finds it.
    """
    glyphs = Glyphs.of(console)
    shown = [tuple(map(glyphs.text, rule)) for rule in rules]
    widths = [max((cell_len(rule[part]) for rule in shown), default=0) + GAP for part in (0, 1)]
    beside = console.width - sum(widths) >= LEAST_SUMMARY
    for code, name, summary in shown:
        first, second = (
            text + " " * (width - cell_len(text))
            for text, width in zip((code, name), widths, strict=True)
        )
        if not console.is_terminal:
            console.print(Text(first + second + summary), soft_wrap=True)
        elif beside:
            print_labelled(first + second, Text(summary), console, style="bold")
        else:
            print_labelled(first, Text(name, "bold"), console, style="bold")
            print_labelled("", Text(summary), console, indent=widths[0])


def print_page(page: str, console: Console) -> None:
    """Print a page of markdown, formatted at a terminal and unchanged elsewhere."""
    ascii_only = Glyphs.of(console).ascii_only
    if not console.is_terminal or ascii_only:
        text = page.rstrip("\n")
        console.print(Text(ascii_text(text) if ascii_only else text), soft_wrap=True)
        return
    # This import takes longer than everything else here.
    from rich.markdown import Markdown

    markdown = Markdown(page, code_theme="ansi_dark", hyperlinks=False)
    console.print(markdown, width=min(console.width, WIDEST_PAGE))
