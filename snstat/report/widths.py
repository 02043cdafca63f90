"""The slopes of layers against width as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from snstat.errors import escaped as controls_escaped
from snstat.report.columns import Column
from snstat.report.glyphs import Glyphs
from snstat.report.grid import print_columns, shown
from snstat.report.numbers import Notation, quantity
from snstat.report.text import markdown_table
from snstat.results.widths import CHANGING, LOST

if TYPE_CHECKING:
    from rich.console import Console

    from snstat.results.widths import WidthSlope

HEADER = "ln RMS / ln width"


def print_widths(slopes: Sequence[WidthSlope], console: Console) -> None:
    """Print the slope of every layer with its standard error, and its trend."""
    console.print()
    print_columns(shown(columns_of(slopes, Notation.TIGHT), Glyphs.of(console)), console)


def widths_to_markdown(slopes: Sequence[WidthSlope]) -> str:
    """Return the same as markdown."""
    return f"\n{markdown_table(columns_of(slopes, Notation.SPACED))}"


def columns_of(slopes: Sequence[WidthSlope], notation: Notation) -> list[Column]:
    """Return the columns: layer, its name if it has one, slope, trend."""
    columns = [Column("layer", tuple(str(slope.layer) for slope in slopes), "layer")]
    names = tuple(controls_escaped(slope.name) for slope in slopes)
    if any(name != str(slope.layer) for name, slope in zip(names[1:], slopes[1:], strict=True)):
        columns.append(Column("name", names, "name", words=True))
    cells = tuple(_slope(slope, notation) for slope in slopes)
    trends = tuple(slope.trend_words for slope in slopes)
    bad = frozenset(row for row, slope in enumerate(slopes) if slope.trend in (*CHANGING, *LOST))
    columns.append(Column(HEADER, cells, "slope", part="e"))
    return [*columns, Column("trend", trends, "trend", words=True, suspicious=bad)]


def _slope(slope: WidthSlope, notation: Notation) -> str:
    if slope.slope is None:
        return ""
    return quantity(slope.slope, math.nan if slope.stderr is None else slope.stderr, notation)
