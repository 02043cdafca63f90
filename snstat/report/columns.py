"""The columns of a run's table as aligned text, for the terminal, markdown and HTML."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from snstat.errors import escaped
from snstat.report.module_words import axes_words
from snstat.report.network_words import layer_name
from snstat.report.numbers import Notation, alike, quantity, score
from snstat.results import GRADIENT, departures

if TYPE_CHECKING:
    from snstat.results import BoolArray, Run

MARK = "!"
# Theory may be off by as much beyond first order in 1/width, or is known for infinite width only.
DOUBT = "?"
# A prediction for infinite width among predictions for the simulated width.
INFINITE = "*"
# The parts of a statistic: estimate, theory, z.
PARTS = "etz"
# The keys of the columns of layer numbers, of the names in a network of any layers, and of the
# trials, kinds and axes of the rows of a traced module.
LAYER, NAME, TRIALS = ("layer", ""), ("name", ""), ("trials", "")
KIND, AXES = ("kind", ""), ("axes", "")
HEAD = (LAYER, NAME, TRIALS, KIND, AXES)
AXES_HEADER = "S · P · U"
NOT_FINITE = "not finite"
# With a squared mean below this fraction of it, the second moment is nearly the variance.
NEGLIGIBLE = 0.01


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `header`, `cells` (rows,) and the rows whose z is `suspicious`, or `doubtful`
    if theory may be off by as much.

    Columns of one `group`, a statistic, are close together; `part` is one of `PARTS`. Columns of
    `words` are left-aligned. `style` is a style of rich.
    """

    header: str
    cells: tuple[str, ...]
    group: str
    part: str = ""
    suspicious: frozenset[int] = frozenset()
    doubtful: frozenset[int] = frozenset()
    words: bool = False
    style: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table: `parts` maps each statistic to some of `PARTS`, in that order."""

    notation: Notation
    parts: Mapping[str, str]
    # What says which row it is, as far as there is room.
    heads: tuple[tuple[str, str], ...] = HEAD


def columns_of(run: Run, rows: Sequence[int], layout: Layout) -> list[Column]:
    """Return the columns of `layout` for the layers `rows`, the layer numbers first."""
    every = every_column(run, rows, layout.notation, layout.parts)
    return chosen(every, layout.parts, layout.heads)


def chosen(
    every: Mapping[tuple[str, str], Column],
    parts: Mapping[str, str],
    heads: tuple[tuple[str, str], ...] = HEAD,
) -> list[Column]:
    """Return the layer numbers, what else of `heads` there is, and the columns `parts` of `every`.

    What chance does not explain is marked on the last column of each statistic.
    """
    columns = [every[key] for key in heads if key in every]
    for name, own in parts.items():
        found = [every[name, part] for part in own if (name, part) in every]
        columns += (
            replace(column, suspicious=frozenset(), doubtful=frozenset()) for column in found[:-1]
        )
        columns += map(_marked, found[-1:])
    return columns


def every_column(
    run: Run, rows: Sequence[int], notation: Notation, names: Iterable[str]
) -> dict[tuple[str, str], Column]:
    """Return the columns of the statistics `names` for the layers `rows`, and the layer numbers.

    Keys are a statistic and one of `PARTS`. Columns without any number are left out, except those
    of estimates.
    """
    columns = {LAYER: Column("layer", tuple(str(layer) for layer in rows), "layer")}
    if run.network is not None:
        columns[NAME] = Column(
            "name", tuple(layer_name(run.row(layer)) for layer in rows), "name", words=True
        )
    if run.module is not None:
        columns |= _calls(run, rows)
    for name in names:
        if name in run.statistics:
            columns |= {(name, found.part): found for found in _parts(run, name, rows, notation)}
    return columns


def _calls(run: Run, rows: Sequence[int]) -> dict[tuple[str, str], Column]:
    """Return the columns that say what the rows of a traced module are, and of how many trials
    where some have not all."""
    calls = [run.call(layer) for layer in rows]
    names = tuple(escaped(run.row(layer).name) for layer in rows)
    kinds = tuple("" if call is None else escaped(call.kind) for call in calls)
    axes = tuple("" if call is None else axes_words(call) for call in calls)
    counts = tuple("" if call is None else f"{call.trials:,}" for call in calls)
    everywhere = all(call is None or call.trials >= run.simulation.trials for call in calls)
    return {
        NAME: Column("module", names, "name", words=True),
        **({} if everywhere else {TRIALS: Column("trials", counts, "trials")}),
        KIND: Column("kind", kinds, "kind", words=True),
        AXES: Column(AXES_HEADER, axes, "axes", words=True),
    }


def _parts(run: Run, name: str, rows: Sequence[int], notation: Notation) -> Iterator[Column]:
    """Yield the columns of one statistic."""
    statistic, places = run.statistics[name], np.array(rows, dtype=np.intp)
    estimate, stderr, theory, z = (
        array[places].tolist()
        for array in (statistic.estimate, statistic.error, statistic.reference, statistic.z)
    )
    beyond, suspicious = map(_true, departures(run, name, rows))
    column = partial(Column, group=name, suspicious=suspicious, doubtful=beyond - suspicious)
    cells = [
        quantity(value, error, notation) if math.isfinite(value) or whole else NOT_FINITE
        for value, error, whole in zip(estimate, stderr, run.finite[places].tolist(), strict=True)
    ]
    yield column(name.replace("_", " "), _aligned(cells, notation), part="e")
    if any(map(math.isfinite, theory)):
        predicted = tuple(map(alike, theory, estimate, stderr))
        foreseen = column("theory", predicted, part="t", style="dim")
        limit = _true(statistic.infinite_width[places])
        foretold = any(np.isfinite(other.expected).any() for other in run.statistics.values())
        if limit and foretold:
            foreseen = _with_marks(foreseen, dict.fromkeys(limit, INFINITE))
        yield foreseen
    if any(map(math.isfinite, z)):
        yield column("z", tuple(map(score, z)), part="z")


def rows_of(run: Run, requested: Sequence[int]) -> list[int]:
    """Return the layers of `requested` that `run` holds, and its last one if it is partial."""
    last = len(run.finite) - 1
    rows = {layer for layer in requested if layer <= last}
    if run.partial and last >= 0:
        rows.add(last)
    return sorted(rows)


def has_news(run: Run, name: str) -> bool:
    """Return whether `run` has a statistic, and it adds information to mean and variance."""
    if name not in run.statistics:
        return False
    values = run.statistics[name].estimate
    known = np.isfinite(values)
    if name in ("mean", "variance", GRADIENT):
        return True
    if run.module is not None and name != "dead_fraction":
        return bool(known.any())
    if name == "cosine":
        return bool(known.any() or np.isfinite(run.statistics[name].reference).any())
    if name == "second_moment":
        variance = run.statistics["variance"].estimate
        known &= np.isfinite(variance)
        return bool(np.any(values[known] - variance[known] > NEGLIGIBLE * values[known]))
    return bool(np.any(values[known] > 0))


def _marked(column: Column) -> Column:
    marks = dict.fromkeys(column.doubtful, DOUBT) | dict.fromkeys(column.suspicious, MARK)
    return _with_marks(column, marks) if marks else column


def _with_marks(column: Column, marks: Mapping[int, str]) -> Column:
    """Return `column` with a mark or a space after each cell, so that the numbers stay
    aligned."""
    cells = [cell + marks.get(row, " " if cell else "") for row, cell in enumerate(column.cells)]
    return replace(column, header=column.header + " ", cells=tuple(cells))


def _true(rows: BoolArray) -> frozenset[int]:
    return frozenset(np.flatnonzero(rows).tolist())


def _aligned(cells: Sequence[str], notation: Notation) -> tuple[str, ...]:
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
    return tuple(
        cell if tail is None else cell + " " * (longest["e" in tail] - len(tail))
        for cell, tail in zip(cells, tails, strict=True)
    )
