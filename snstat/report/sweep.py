"""A sweep as a table: a line for each combination of options, with its verdict."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.errors import escaped as controls_escaped
from snstat.report.columns import INFINITE, NOT_FINITE, Column
from snstat.report.glyphs import Glyphs
from snstat.report.grid import print_columns, print_hidden, print_wrapped, shown, width_of
from snstat.report.numbers import Notation, as_given, quantity
from snstat.report.seed_means import mean_over_seeds
from snstat.report.text import markdown_table
from snstat.report.words import count
from snstat.results.sweep import PARAMETER

if TYPE_CHECKING:
    from rich.console import Console

# Lines of a table at a terminal.
MOST_LINES = 50
# Statistics of the last layer that are shown.
SHOWN = ("second_moment", "cosine", "gradient")
_, COSINE, GRADIENT = SHOWN
# Decimals of a cosine that theory knows.
DIGITS = 12
SEED = "seed"
FAILED = "failed"
# Verdicts on a signal of which a missing number is too large.
BEYOND = ("non-finite", "exploding")


@dataclass(frozen=True, slots=True)
class Line:
    """The cells that differ at most in their seed: the values of their `options` in words, and of
    each cell its verdict; of those that did not fail, the estimate and the standard error of each
    statistic of `SHOWN`, or its theory and NaN, infinity where that is of infinite width."""

    options: tuple[str, ...]
    verdicts: list[str] = field(default_factory=list)
    numbers: list[tuple[tuple[float, float], ...]] = field(default_factory=list)


def print_sweep(
    rows: Iterable[Mapping[str, Any]],
    over: Sequence[str],
    console: Console,
    *,
    theory: bool = False,
) -> None:
    """Print what became of the cells, of which `rows` are the last rows, in as many lines as there
    are combinations of the columns `over` without seeds. With `theory` nothing was measured."""
    glyphs = Glyphs.of(console)
    lines = lines_of(rows, over, theory=theory)
    chosen = lines[:MOST_LINES]
    columns = shown(columns_of(chosen, over, Notation.TIGHT, theory=theory), glyphs)
    hidden: list[str] = []
    while width_of(columns) > console.width and columns[-1].group in SHOWN:
        hidden.insert(0, columns.pop().header)
    print_columns(columns, console)
    console.print()
    if len(lines) > len(chosen):
        left = f"{count(len(lines) - len(chosen), 'line')} more: they are in the file of -o."
        print_wrapped(glyphs.text(left), console, style="dim")
    print_wrapped(glyphs.text(sentence(lines, columns)), console, style="dim")
    print_hidden(hidden, glyphs, console, "Widen the terminal, or use -f markdown.")


def sweep_to_markdown(
    rows: Iterable[Mapping[str, Any]], over: Sequence[str], *, theory: bool = False
) -> str:
    """Return the same as markdown, with every line."""
    lines = lines_of(rows, over, theory=theory)
    columns = columns_of(lines, over, Notation.SPACED, theory=theory)
    return f"{markdown_table(columns)}\n{sentence(lines, columns)}\n"


def lines_of(rows: Iterable[Mapping[str, Any]], over: Sequence[str], *, theory: bool) -> list[Line]:
    """Return the lines of a table. Rows have many columns, so only what is shown is kept."""
    names = [name for name in over if name != SEED]
    parts = ("expected", "theory") if theory else ("estimate", "stderr")
    found: dict[tuple[str, ...], Line] = {}
    for row in rows:
        options = tuple(_option(row.get(name)) for name in names)
        line = found.setdefault(options, Line(options))
        if row.get("error"):
            line.verdicts.append(FAILED)
            continue
        line.verdicts.append(sys.intern(str(row.get("verdict") or "not judged")))
        pairs = ([_number(row.get(f"{name}_{part}")) for part in parts] for name in SHOWN)
        line.numbers.append(tuple(map(_foretold if theory else _measured, pairs)))
    return list(found.values())


def _measured(pair: Sequence[float]) -> tuple[float, float]:
    estimate, stderr = pair
    return estimate, stderr


def _foretold(pair: Sequence[float]) -> tuple[float, float]:
    """Return theory at the width of a cell, else that of infinite width, whose error is marked."""
    expected, theory = pair
    return (expected, math.nan) if math.isfinite(expected) else (theory, math.inf)


def sentence(lines: Sequence[Line], columns: Sequence[Column]) -> str:
    """Return how many cells have which verdict, and where the statistics of the columns are."""
    counted = Counter(verdict for line in lines for verdict in line.verdicts)
    total = sum(counted.values())
    words = ", ".join(f"{number:,} {name}" for name, number in counted.most_common())
    place = "Statistics are those of the last layer"
    if any(column.group == GRADIENT and column.part for column in columns):
        place += ", but the gradient is that of the first row"
    if any(cell.endswith(INFINITE) for column in columns for cell in column.cells if column.part):
        place += f". {INFINITE} infinite width"
    return f"{count(total, 'cell')}: {words}. {place}."


def columns_of(
    lines: Sequence[Line], over: Sequence[str], notation: Notation, *, theory: bool
) -> list[Column]:
    """Return the columns: the options, the verdict that most cells of a line have, and the mean
    of some statistics over them with its standard error, or their theory."""
    columns = []
    for place, name in enumerate(own for own in over if own != SEED):
        cells = tuple(line.options[place] for line in lines)
        header = name.removeprefix(PARAMETER).replace("_", " ")
        columns.append(Column(header, cells, f"over {name}", words=not all(map(_is_number, cells))))
    columns.append(Column("verdict", tuple(map(_verdicts, lines)), "verdict", words=True))
    for place, name in enumerate(SHOWN):
        cells = tuple(
            _theory(line, place) if theory else _mean(line, place, notation) for line in lines
        )
        if any(cell not in ("", NOT_FINITE) for cell in cells) or (place == 0 and any(cells)):
            columns.append(Column(name.replace("_", " "), cells, name, part="e"))
    return columns


def _verdicts(line: Line) -> str:
    """Return the verdicts of a line, those of most cells first: "stable 9, chaotic 1"."""
    counted = Counter(line.verdicts)
    if len(counted) == 1:
        return next(iter(counted))
    return ", ".join(f"{name} {number}" for name, number in counted.most_common())


def _theory(line: Line, place: int) -> str:
    """Return the theory of a statistic, which is the same in all cells of a line."""
    known = (cell[place] for cell in line.numbers if math.isfinite(cell[place][0]))
    value, error = next(known, (math.nan, math.nan))
    if math.isnan(value):
        return ""
    if SHOWN[place] == COSINE:  # the rest of a difference of numbers near 1 is rounding
        value = round(value, DIGITS) + 0.0
    return f"{value:.4g}{INFINITE if error == math.inf else ''}"


def _mean(line: Line, place: int, notation: Notation) -> str:
    """Return the mean of a statistic over the cells that did not fail, that of gradients the
    geometric mean. Empty where it was not measured."""
    values = np.array([cell[place][0] for cell in line.numbers])
    if not values.size:
        return ""
    if not np.isfinite(values).all():
        return NOT_FINITE if any(verdict in BEYOND for verdict in line.verdicts) else ""
    errors = np.array([cell[place][1] for cell in line.numbers])
    mean, error = mean_over_seeds(values, errors, logarithmic=SHOWN[place] == GRADIENT)
    return quantity(mean, error, notation) if math.isfinite(mean) else NOT_FINITE


def _number(value: Any) -> float:
    return math.nan if value is None or value == "" else float(value)


def _option(value: Any) -> str:
    if isinstance(value, float):
        return as_given(value)
    return "" if value is None else controls_escaped(str(value))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
