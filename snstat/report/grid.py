"""Columns of text printed at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from snstat.report.words import SEPARATOR
from snstat.values.names import listed

if TYPE_CHECKING:
    from rich.console import Console

    from snstat.report.columns import Column
    from snstat.report.glyphs import Glyphs

BETWEEN_COLUMNS = 1
BETWEEN_GROUPS = 2
# What shows columns that have no room.
WIDEN = "Widen the terminal, or use --columns."


def shown(columns: Sequence[Column], glyphs: Glyphs) -> list[Column]:
    """Return the columns in the characters that the console can show."""
    return [
        replace(
            column,
            header=glyphs.text(column.header),
            cells=tuple(glyphs.text(cell) for cell in column.cells),
        )
        for column in columns
    ]


def width_of(columns: Sequence[Column]) -> int:
    """Return how many cells wide the columns are when nothing wraps."""
    return sum(_widths(columns)) + sum(_gaps(columns))


def print_columns(columns: Sequence[Column], console: Console) -> None:
    """Print aligned columns under their headers. Lines wrap if the console is too narrow.

    Lines are printed one by one. A rich Table would keep and measure all of them, which takes
    minutes for a hundred thousand layers.
    """
    gaps, widths = _gaps(columns), _widths(columns)
    places = list(zip(columns, gaps, widths, strict=True))
    header = "".join(_padded(column, column.header, gap, width) for column, gap, width in places)
    console.print(Text(header.rstrip(), style="bold"), soft_wrap=True)
    for row in range(len(columns[0].cells)):
        line = Text()
        for column, gap, width in places:
            style = "bold red" if row in column.suspicious else column.style
            line.append(_padded(column, column.cells[row], gap, width), style)
        line.rstrip()
        console.print(line, soft_wrap=True)


def print_wrapped(text: str, console: Console, indent: int = 0, style: str = "") -> None:
    """Print `text`, wrapped at words to the width of the console, with every line indented."""
    for line in Text(text).wrap(console, max(console.width - indent, 1)):
        line.rstrip()
        console.print(Text(" " * indent + line.plain, style=style), soft_wrap=True)


def print_hidden(names: Sequence[str], glyphs: Glyphs, console: Console, remedy: str) -> None:
    """Print which columns had no room, if any, and what shows them."""
    if names:
        words = f"Not shown: {listed(names)}. {remedy}"
        print_wrapped(glyphs.text(words), console, style="dim")


def print_parts(
    text: str, glyphs: Glyphs, console: Console, indent: int = 0, style: str = ""
) -> None:
    """Print `text` in the characters of `glyphs`, wrapped after a " · ", with every line indented.

    Parts that are longer than a line wrap at words.
    """
    room = max(console.width - indent, 1)
    *parts, last = map(glyphs.text, text.split(SEPARATOR))
    dot = glyphs.text(SEPARATOR)
    line = ""
    for part in (*(part + dot for part in parts), last):
        # The space after a dot needs no room at the end of a line.
        if line and cell_len((line + part).rstrip()) > room:
            print_wrapped(line.rstrip(), console, indent, style)
            line = ""
        line += part
    print_wrapped(line, console, indent, style)


def print_labelled(
    label: str, body: Text, console: Console, *, indent: int = 0, style: str = ""
) -> None:
    """Print `label` in its style and `body` to its right; further lines align with the body."""
    margin = " " * indent + label
    for line in body.wrap(console, max(console.width - cell_len(margin), 1)):
        line.rstrip()
        console.print(Text.assemble((margin, style), line), soft_wrap=True)
        margin = " " * cell_len(margin)


def _padded(column: Column, cell: str, gap: int, width: int) -> str:
    """Return `cell` padded to its column: words left-aligned, numbers right-aligned."""
    room = " " * (width - cell_len(cell))
    return " " * gap + (cell + room if column.words else room + cell)


def _gaps(columns: Sequence[Column]) -> list[int]:
    """Return the space before each column: more where a new group begins."""
    gaps = [0]
    for before, after in pairwise(columns):
        gaps.append(BETWEEN_COLUMNS if before.group == after.group else BETWEEN_GROUPS)
    return gaps


def _widths(columns: Sequence[Column]) -> list[int]:
    return [max(map(cell_len, (column.header, *column.cells))) for column in columns]
