"""The columns of a run's table as aligned text, for the terminal, markdown and HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from snstat.report.numbers import Notation, alike, quantity, score
from snstat.results import GRADIENT, departures

if TYPE_CHECKING:
    from snstat.results import BoolArray, FloatArray, Run

MARK = "!"
# Theory may be off by as much beyond first order in 1/width, or is known for infinite width only.
DOUBT = "?"
# A prediction for infinite width among predictions for the simulated width.
INFINITE = "*"
NOT_FINITE = "not finite"
# With a squared mean below this fraction of it, the second moment is nearly the variance.
NEGLIGIBLE = 0.01


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `header`, `cells` (rows,) and the rows whose z is `suspicious`, or `doubtful`
    if theory may be off by as much.

    Columns of one `group`, a statistic, are close together. Columns of `words` are left-aligned.
    `style` is a style of rich.
    """

    header: str
    cells: tuple[str, ...]
    group: str
    suspicious: frozenset[int] = frozenset()
    doubtful: frozenset[int] = frozenset()
    words: bool = False
    style: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table: `parts` maps a statistic to "e"stimate, "t"heory and "z"."""

    notation: Notation
    parts: tuple[tuple[str, str], ...]


def columns_of(run: Run, rows: Sequence[int], layout: Layout) -> list[Column]:
    """Return the columns of `layout` for the layers `rows`, the layer numbers first."""
    columns = [Column("layer", tuple(str(layer) for layer in rows), "layer")]
    chosen = np.array(rows, dtype=np.intp)
    finite = run.finite[chosen]
    marked = any(np.isfinite(statistic.expected).any() for statistic in run.statistics.values())
    for name, parts in layout.parts:
        if name in run.statistics:
            columns += _statistic_columns(
                run, name, chosen, finite, parts, layout.notation, marked=marked
            )
    return columns


def rows_of(run: Run, requested: Sequence[int]) -> list[int]:
    """Return the layers of `requested` that `run` holds, and its last one if it is partial."""
    last = len(run.finite) - 1
    rows = {layer for layer in requested if layer <= last}
    if run.partial and last >= 0:
        rows.add(last)
    return sorted(rows)


def has_news(run: Run, name: str) -> bool:
    """Return whether a statistic adds information to mean, variance and cosine."""
    if name not in run.statistics:
        return False
    values = run.statistics[name].estimate
    known = np.isfinite(values)
    if name == GRADIENT:
        return True
    if name == "second_moment":
        variance = run.statistics["variance"].estimate
        known &= np.isfinite(variance)
        return bool(np.any(values[known] - variance[known] > NEGLIGIBLE * values[known]))
    return bool(np.any(values[known] > 0))


def _statistic_columns(
    run: Run,
    name: str,
    rows: npt.NDArray[np.intp],
    finite: BoolArray,
    parts: str,
    notation: Notation,
    *,
    marked: bool,
) -> list[Column]:
    """Return the columns of one statistic for the layers `rows`.

    What chance does not explain is marked on the last of these columns. If `marked`, predictions
    for infinite width are marked too.
    """
    statistic = run.statistics[name]
    estimate, stderr = statistic.estimate[rows], statistic.error[rows]
    theory, z = statistic.reference[rows], statistic.z[rows]
    columns = []
    if "e" in parts:
        cells = [
            quantity(*pair, notation) if np.isfinite(pair[0]) or whole else NOT_FINITE
            for pair, whole in zip(_pairs(estimate, stderr), finite.tolist(), strict=True)
        ]
        title = name.replace("_", " ")
        columns.append(Column(title, tuple(_aligned(cells, notation)), name))
    if "t" in parts and np.isfinite(theory).any():
        triples = zip(theory.tolist(), estimate.tolist(), stderr.tolist(), strict=True)
        predicted = [alike(*triple) for triple in triples]
        limit = _places(statistic.infinite_width[rows])
        column = Column("theory", tuple(predicted), name, style="dim")
        if marked and limit:
            column = _with_marks(column, dict.fromkeys(limit, INFINITE))
        columns.append(column)
    if "z" in parts and np.isfinite(z).any():
        columns.append(Column("z", tuple(map(score, z.tolist())), name))
    beyond, suspicious = map(_places, departures(run, name, rows.tolist()))
    if beyond and columns:
        marks = dict.fromkeys(beyond, DOUBT) | dict.fromkeys(suspicious, MARK)
        columns[-1] = replace(
            _with_marks(columns[-1], marks), suspicious=suspicious, doubtful=beyond - suspicious
        )
    return columns


def _with_marks(column: Column, marks: Mapping[int, str]) -> Column:
    """Return `column` with a mark or a space after each cell, so that the numbers stay
    aligned."""
    cells = [cell + marks.get(row, " " if cell else "") for row, cell in enumerate(column.cells)]
    return replace(column, header=column.header + " ", cells=tuple(cells))


def _places(chosen: BoolArray) -> frozenset[int]:
    return frozenset(np.flatnonzero(chosen).tolist())


def _pairs(first: FloatArray, second: FloatArray) -> list[tuple[float, float]]:
    return list(zip(first.tolist(), second.tolist(), strict=True))


def _aligned(cells: Sequence[str], notation: Notation) -> list[str]:
    """Return cells padded so that, right-aligned, their errors start in one column.

    Cells with an exponent are aligned separately: aligned with the others they would only widen the
    column.
    """
    longest = {False: 0, True: 0}
    tails = []
    for cell in cells:
        _, separator, tail = cell.rpartition(notation.value)
        tails.append(tail if separator else None)
        if separator:
            longest["e" in tail] = max(longest["e" in tail], len(tail))
    return [
        cell if tail is None else cell + " " * (longest["e" in tail] - len(tail))
        for cell, tail in zip(cells, tails, strict=True)
    ]
