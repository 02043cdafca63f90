"""The choice of a table's columns: as many as fit the console, or those requested."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from snstat.errors import InvalidValueError, UnknownNameError
from snstat.report.columns import Column, Layout, columns_of, has_news
from snstat.report.comparison import comparison_columns
from snstat.report.glyphs import Glyphs
from snstat.report.grid import shown, width_of
from snstat.report.numbers import Notation, plain, score
from snstat.report.words import listed
from snstat.results import GRADIENT, MEASURED, departures

if TYPE_CHECKING:
    from snstat.results import Run

BASE = (("mean", "etz"), ("variance", "etz"))
# Columns after mean and variance, richest first. Statistics without news are left out.
EXTRAS = (
    (("cosine", "etz"), ("second_moment", "et"), ("dead_fraction", "e")),
    (("cosine", "etz"), ("dead_fraction", "e")),
    (("cosine", "et"), ("dead_fraction", "e")),
    (("cosine", "et"),),
    (("cosine", "e"),),
)
# The same for runs with gradients, which come first.
BACKWARD_EXTRAS = (
    (("gradient", "etz"), ("cosine", "etz"), ("dead_fraction", "e")),
    (("gradient", "etz"), ("cosine", "et")),
    (("gradient", "et"), ("cosine", "e")),
)
# For three-digit exponents in 80 columns, and for narrower consoles.
NARROW = (
    (("mean", "et"), ("variance", "etz"), ("cosine", "e")),
    (("mean", "et"), ("variance", "et"), ("cosine", "e")),
    (("mean", "etz"), ("variance", "etz")),
    (("mean", "et"), ("variance", "etz")),
    (("mean", "et"), ("variance", "et")),
    (("mean", "e"), ("variance", "e")),
    (("variance", "e"),),
)
# The same for runs with gradients.
BACKWARD_NARROW = (
    (("mean", "etz"), ("variance", "etz"), ("gradient", "e"), ("cosine", "e")),
    (("mean", "et"), ("variance", "etz"), ("gradient", "e"), ("cosine", "e")),
    (("mean", "et"), ("variance", "et"), ("gradient", "e"), ("cosine", "e")),
    (("mean", "etz"), ("variance", "etz"), ("gradient", "et")),
    (("mean", "etz"), ("variance", "etz"), ("gradient", "e")),
    (("mean", "et"), ("variance", "etz"), ("gradient", "et")),
    (("mean", "et"), ("variance", "etz"), ("gradient", "e")),
    (("mean", "et"), ("variance", "et"), ("gradient", "et")),
    (("mean", "e"), ("variance", "e"), ("gradient", "et")),
    (("mean", "e"), ("variance", "e"), ("gradient", "e")),
    (("variance", "e"), ("gradient", "e")),
    (("gradient", "e"),),
)
# The statistics of the comparison, richest first.
COMPARED = (("mean", "variance", "cosine"), ("variance", "cosine"), ("variance",))
# Enough rows to recognise most layouts that do not fit.
SAMPLE_ROWS = 256

ALL_COLUMNS = "all"


def parse_columns(text: str) -> tuple[str, ...]:
    """Return the statistics that `text` names: "all", or a list such as "mean,cosine".

    Raises UnknownNameError for a name that is not a statistic.
    """
    names = (*MEASURED, GRADIENT)
    words = [word.strip().lower().replace("-", "_") for word in text.split(",")]
    if words == [ALL_COLUMNS]:
        return names
    for word in words:
        if word not in names:
            raise UnknownNameError("columns", word, [*names, ALL_COLUMNS])
    return tuple(dict.fromkeys(words))


def measured(run: Run, names: Sequence[str]) -> list[str]:
    """Return those of `names` that `run` holds.

    Raises InvalidValueError if it holds none of them.
    """
    held = [name for name in names if name in run.statistics]
    if not held:
        remedy = "add --backward" if GRADIENT in names else "choose others"
        raise InvalidValueError("columns", ",".join(names), "measured in this run", remedy)
    return held


def blocks_of(
    run: Run, rows: Sequence[int], names: Sequence[str], glyphs: Glyphs, width: int
) -> tuple[Notation, list[list[Column]]]:
    """Return every column of the statistics `names` in as many tables as `width` requires."""
    for notation in Notation:
        layout = Layout(notation, tuple((name, "etz") for name in names))
        columns = shown(columns_of(run, rows, layout), glyphs)
        if width_of(columns) <= width:
            return notation, [columns]
    number, *rest = shown(columns_of(run, rows, Layout(Notation.CONCISE, layout.parts)), glyphs)
    blocks: list[list[Column]] = []
    for name in names:
        group = [column for column in rest if column.group == name]
        if blocks and width_of([*blocks[-1], *group]) <= width:
            blocks[-1] += group
        else:
            blocks.append([number, *group])
    return Notation.CONCISE, blocks


def _layouts(run: Run) -> Iterator[Layout]:
    """Yield layouts, the most readable and richest first."""
    choices = BACKWARD_EXTRAS if GRADIENT in run.statistics else EXTRAS
    for notation, extras in product(Notation, choices):
        kept = (part for part in extras if part[0] == "cosine" or has_news(run, part[0]))
        yield Layout(notation, BASE + _known(run, kept))
    for parts in BACKWARD_NARROW if GRADIENT in run.statistics else NARROW:
        yield Layout(Notation.CONCISE, _known(run, parts))


def _known(run: Run, parts: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return `parts` without a cosine that is known nowhere, as for a single sample."""
    cosine = run.statistics.get("cosine")
    known = cosine is not None and (
        np.isfinite(cosine.estimate).any() or np.isfinite(cosine.reference).any()
    )
    return tuple(part for part in parts if known or part[0] != "cosine")


def fitted(
    run: Run, rows: Sequence[int], glyphs: Glyphs, width: int
) -> tuple[Layout, list[Column]]:
    """Return the first layout in which the layers `rows` fit `width`, with its columns."""
    # A layout that is too wide for some rows is too wide for all, and checking a few is faster.
    some = rows[:: len(rows) // SAMPLE_ROWS + 1]
    layout = Layout(Notation.CONCISE, ())
    for layout in _layouts(run):
        if width_of(shown(columns_of(run, some, layout), glyphs)) <= width:
            columns = shown(columns_of(run, rows, layout), glyphs)
            if width_of(columns) <= width:
                return layout, columns
    return layout, shown(columns_of(run, rows, layout), glyphs)


def comparison(runs: Sequence[Run], glyphs: Glyphs, width: int) -> tuple[Layout, list[Column]]:
    """Return the comparison of the runs with as many columns as `width` holds."""
    layout, columns = Layout(Notation.CONCISE, ()), []
    for names, notation in product(COMPARED, Notation):
        layout = Layout(notation, tuple((name, "e") for name in names))
        columns = shown(comparison_columns(runs, layout), glyphs)
        if width_of(columns) <= width:
            break
    return layout, columns


def lost(run: Run, layout: Layout) -> set[tuple[str, str]]:
    """Return what a narrow `layout` omits of mean, variance, gradient and cosine, as pairs of a
    statistic and a part, "e", "t" or "z"."""
    parts = dict(layout.parts)
    missing = set()
    for name in (*dict(BASE), GRADIENT, "cosine"):
        statistic = run.statistics.get(name)
        if statistic is None:
            continue
        values = {"e": statistic.estimate, "t": statistic.reference, "z": statistic.z}
        there = parts.get(name, "")
        absent = {
            (name, part)
            for part, array in values.items()
            if part not in there and np.isfinite(array).any()
        }
        missing |= {(name, "e")} if (name, "e") in absent else absent
    return missing


def lost_words(missing: set[tuple[str, str]]) -> str:
    """Return "cosine; theory and z of mean", or an empty string if nothing is missing."""
    order = [*dict(BASE), GRADIENT, "cosine"]
    words = []
    for parts, title in (
        ("e", ""),
        ("tz", "theory and z of "),
        ("t", "theory of "),
        ("z", "z of "),
    ):
        names = [
            name
            for name in order
            if "".join(part for part in "etz" if (name, part) in missing) == parts
        ]
        if names:
            words.append(title + listed(names))
    return "; ".join(words)


def hidden_flags(run: Run, rows: Sequence[int], layout: Layout) -> list[str]:
    """Return a sentence for each statistic without a column in `layout` that is farther from
    theory than chance explains in one of the layers `rows`."""
    found = []
    for name, statistic in run.statistics.items():
        if name in dict(layout.parts):
            continue
        z, (_, beyond) = statistic.z[rows], departures(run, name, rows)
        if beyond.any():
            worst = int(np.argmax(np.where(beyond, np.nan_to_num(np.abs(z), nan=math.inf), -1.0)))
            far = f"{score(float(z[worst]))} standard errors from theory"
            if math.isnan(z[worst]):
                far = f"{plain(float(statistic.estimate[rows[worst]]))}, unlike theory,"
            found.append(
                f"{name.replace('_', ' ')} is {far} at layer {rows[worst]};"
                f" --columns {name} shows it."
            )
    return found
