"""A sweep as a table: a line for each combination of options, with its verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.errors import escaped as controls_escaped
from snstat.report.columns import Column
from snstat.report.glyphs import Glyphs
from snstat.report.grid import print_columns, print_wrapped, shown, width_of
from snstat.report.numbers import Notation, as_given, quantity
from snstat.report.text import markdown_table
from snstat.report.words import count

if TYPE_CHECKING:
    from rich.console import Console

# Lines of a table at a terminal.
MOST_LINES = 50
# Statistics of the last layer that are shown.
SHOWN = ("second_moment", "cosine", "gradient")
SEED = "seed"
FAILED = "failed"
Rows = Sequence[Mapping[str, Any]]


def print_sweep(rows: Iterable[Mapping[str, Any]], over: Sequence[str], console: Console) -> None:
    """Print what became of the cells, of which `rows` are the last rows, in as many lines as there
    are combinations of `over` without seeds."""
    glyphs = Glyphs.of(console)
    groups = grouped(rows, over)
    chosen = groups[:MOST_LINES]
    columns = columns_of(chosen, over, Notation.TIGHT)
    columns = shown(columns, glyphs)
    while width_of(columns) > console.width and columns[-1].group in SHOWN:
        columns = [column for column in columns if column.group != columns[-1].group]
    print_columns(columns, console)
    console.print()
    if len(groups) > len(chosen):
        left = f"{count(len(groups) - len(chosen), 'line')} more: they are in the file of -o."
        print_wrapped(glyphs.text(left), console, style="dim")
    print_wrapped(glyphs.text(sentence(groups)), console, style="dim")


def sweep_to_markdown(rows: Iterable[Mapping[str, Any]], over: Sequence[str]) -> str:
    """Return the same as markdown, with every line."""
    groups = grouped(rows, over)
    return f"{markdown_table(columns_of(groups, over, Notation.SPACED))}\n{sentence(groups)}\n"


def grouped(rows: Iterable[Mapping[str, Any]], over: Sequence[str]) -> list[Rows]:
    """Return the rows in groups that differ at most in their seed."""
    names = [name for name in over if name != SEED]
    found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(tuple(str(row.get(name)) for name in names), []).append(row)
    return list(found.values())


def sentence(groups: Sequence[Rows]) -> str:
    """Return how many cells have which verdict."""
    counted = Counter(_verdict(row) for rows in groups for row in rows)
    total = sum(counted.values())
    words = ", ".join(f"{number:,} {name}" for name, number in counted.most_common())
    where = f"Statistics are those of the last layer{_of_first(groups)}."
    return f"{count(total, 'cell')}: {words}. {where}"


def _of_first(groups: Sequence[Rows]) -> str:
    """Return of which layer the gradient is, where there is one."""
    parts = ("estimate", "theory")
    known = any(
        math.isfinite(_number(row.get(f"gradient_{part}")))
        for rows in groups
        for row in rows
        for part in parts
    )
    return ", but the gradient is that of the first row" if known else ""


def columns_of(groups: Sequence[Rows], over: Sequence[str], notation: Notation) -> list[Column]:
    """Return the columns: the options, the verdict that most cells of a group have, and the mean
    of some statistics over them with its standard error."""
    columns = []
    for name in over:
        if name != SEED:
            cells = tuple(_option(rows[0].get(name)) for rows in groups)
            numbers = all(map(_is_number, cells))
            columns.append(Column(name.replace("_", " "), cells, name, words=not numbers))
    columns.append(Column("verdict", tuple(map(_verdicts, groups)), "verdict", words=True))
    for name in SHOWN:
        cells = tuple(_mean(rows, name, notation) for rows in groups)
        if any(cells):
            columns.append(Column(name.replace("_", " "), cells, name, part="e"))
    return columns


def _verdict(row: Mapping[str, Any]) -> str:
    return FAILED if row.get("error") else str(row.get("verdict") or "not judged")


def _verdicts(rows: Rows) -> str:
    """Return the verdicts of a group, those of most cells first: "stable 9, chaotic 1"."""
    counted = Counter(map(_verdict, rows))
    if len(counted) == 1:
        return next(iter(counted))
    return ", ".join(f"{name} {number}" for name, number in counted.most_common())


def _mean(rows: Rows, name: str, notation: Notation) -> str:
    """Return the mean of a statistic over cells, or its theory where nothing was measured, that of
    gradients the geometric mean."""
    values, errors = (
        [_number(row.get(f"{name}_{part}")) for row in rows] for part in ("estimate", "stderr")
    )
    if not np.isfinite(values).any():
        theory = [
            _number(row.get(f"{name}_{part}"))
            for row in rows[:1]
            for part in ("expected", "theory")
        ]
        known = [value for value in theory if math.isfinite(value)]
        return f"{known[0]:.4g}" if known else ""
    if len(values) == 1:
        error = errors[0] * (values[0] if name == "gradient" else 1.0)
        return quantity(values[0], error, notation)
    array = np.array(values)
    with np.errstate(all="ignore"):
        if name == "gradient":
            logs = np.log(array)
            mean = math.exp(float(logs.mean()))
            error = mean * float(logs.std(ddof=1)) / math.sqrt(len(values))
        else:
            mean, error = float(array.mean()), float(array.std(ddof=1)) / math.sqrt(len(values))
    return quantity(mean, error, notation) if math.isfinite(mean) else "not finite"


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
