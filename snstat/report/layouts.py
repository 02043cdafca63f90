"""The choice of a table's columns: as many as fit the console, or those requested."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from snstat.errors import InvalidValueError, UnknownNameError
from snstat.report.columns import (
    AXES,
    AXES_HEADER,
    HEAD,
    NAME,
    PARTS,
    Column,
    Layout,
    chosen,
    columns_of,
    every_column,
    has_news,
)
from snstat.report.comparison import comparison_columns
from snstat.report.glyphs import Glyphs
from snstat.report.grid import shown, width_of
from snstat.report.numbers import Notation, plain, score
from snstat.report.short_names import shortened
from snstat.results import EVERY, GRADIENT, departures
from snstat.values.names import listed

if TYPE_CHECKING:
    from snstat.results import Run

# What a table shows of a run, most important first: a statistic and one of `PARTS`.
PRIORITIES = (
    (GRADIENT, "e"), ("variance", "e"), ("mean", "e"), ("variance", "t"), ("mean", "t"),
    ("cosine", "e"), ("variance", "z"), ("mean", "z"), (GRADIENT, "t"),
    ("cosine", "t"), (GRADIENT, "z"), ("dead_fraction", "e"), ("cosine", "z"),
    ("second_moment", "e"), ("second_moment", "t"),
)  # fmt: skip
# So many of them have to fit before a table takes a wider notation.
ESSENTIAL = 9
ESSENTIAL_OF_CALLS = 4
# In a narrow terminal the axes of a call make room first, then its kind.
HEADS = (HEAD, HEAD[:4], HEAD[:3])
# The statistics in the order in which they stand side by side.
ORDER = ("mean", "variance", GRADIENT, "cosine", "second_moment", "dead_fraction")
# The statistics whose absence is stated.
EXPECTED = ORDER[:4]
# The same of a traced module, whose rows have other sizes: what is comparable between them.
OF_CALLS = (
    ("second_moment", "e"), (GRADIENT, "e"), ("cosine", "e"), ("second_moment", "t"),
    ("second_moment", "z"), ("position_cosine", "e"), ("mean", "e"), ("cosine", "t"),
    ("cosine", "z"), (GRADIENT, "t"), (GRADIENT, "z"), ("dead_fraction", "e"), ("variance", "e"),
)  # fmt: skip
ORDER_OF_CALLS = (
    "second_moment", "cosine", "position_cosine", GRADIENT, "mean", "variance", "dead_fraction",
)  # fmt: skip
EXPECTED_OF_CALLS = ("second_moment", "cosine", GRADIENT)
# The statistics of a comparison, most important first.
COMPARED = ("variance", "cosine", "mean")
# Enough rows to recognise most columns that do not fit.
SAMPLE_ROWS = 256

# Names of layers take at most this share of the width. Where estimates and theory have no room
# beside them, a smaller share is tried.
NAMES_SHARE = 0.4
SMALLER_SHARES = (0.3,)

ALL_COLUMNS = "all"


def parse_columns(text: str) -> tuple[str, ...]:
    """Return the statistics that `text` names: "all", or a list such as "mean,cosine".

    Raises UnknownNameError for a name that is not a statistic.
    """
    names = EVERY
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
    columns: list[Column] = []
    for notation in Notation:
        layout = Layout(notation, dict.fromkeys(names, PARTS))
        columns = shown(_short(columns_of(run, rows, layout), int(NAMES_SHARE * width)), glyphs)
        if width_of(columns) <= width:
            return notation, [columns]
    head = [column for column in columns if (column.group, "") in HEAD]
    rest = columns[len(head) :]
    blocks: list[list[Column]] = []
    for name in names:
        group = [column for column in rest if column.group == name]
        if blocks and width_of([*blocks[-1], *group]) <= width:
            blocks[-1] += group
        else:
            blocks.append([*head, *group])
    return Notation.CONCISE, blocks


def fitted(
    run: Run, rows: Sequence[int], glyphs: Glyphs, width: int
) -> tuple[Layout, list[Column]]:
    """Return the layout of as many columns of the layers `rows` as fit `width`, and them."""
    # What is too wide for some rows is too wide for all, and a few are faster.
    few = rows[:: len(rows) // SAMPLE_ROWS + 1]
    layout, columns = _of_shares(run, few, rows, glyphs, width)
    if width_of(columns) > width and len(rows) > SAMPLE_ROWS:
        layout, columns = _of_shares(run, rows, rows, glyphs, width)
    return layout, columns


def _of_shares(
    run: Run, few: Sequence[int], rows: Sequence[int], glyphs: Glyphs, width: int
) -> tuple[Layout, list[Column]]:
    """Return the layout with the longest names beside which most estimates and theory of the layers
    `few` fit, and its columns for the layers `rows`."""
    shares = (NAMES_SHARE,) if run.network is None else (NAMES_SHARE, *SMALLER_SHARES)
    limits = [int(share * width) for share in shares]
    found = [(_fitted(run, few, glyphs, width, limit), limit) for limit in limits]
    layout, limit = max(found, key=lambda own: _worth(own[0]))
    columns = columns_of(run, rows, layout)
    short = shown(_short(columns, limit), glyphs)
    # Names take the room that is left.
    longer = shown(_short(columns, limit + width - width_of(short)), glyphs)
    return layout, longer if width_of(longer) <= width else short


def _worth(layout: Layout) -> int:
    """Return how many essential estimates and columns of theory a layout has."""
    kept = [(name, part) for name, parts in layout.parts.items() for part in parts]
    return sum(part != "z" and (name, part) in kept for name, part in PRIORITIES[:ESSENTIAL])


def _short(columns: Sequence[Column], limit: int) -> list[Column]:
    """Return the columns with names of layers of at most so many characters."""
    return [
        replace(column, cells=shortened(column.cells, limit)) if column.group == NAME[0] else column
        for column in columns
    ]


def _fitted(run: Run, rows: Sequence[int], glyphs: Glyphs, width: int, limit: int) -> Layout:
    """Return the layout of what fits beside names of at most `limit` characters, in the widest
    notation that has room for the essentials."""
    traced = run.module is not None
    wanted = OF_CALLS if traced else PRIORITIES
    known = [key for key in wanted if has_news(run, key[0])]
    first, *others = known or wanted[:1]  # of tensors of whole numbers there may be nothing
    few = ESSENTIAL_OF_CALLS if traced else ESSENTIAL
    essential = [key for key in wanted[:few] if key in others]
    for heads, notation in product(HEADS if traced else HEADS[:1], Notation):
        every = every_column(run, rows, notation, ORDER_OF_CALLS if traced else ORDER)
        if NAME in every:  # the same names, whatever is kept
            (every[NAME],) = _short([every[NAME]], limit)
        room = partial(_fits, every, glyphs, width, heads)
        if room([first, *essential]):
            break
    kept = [first]
    for name, part in others:
        # Theory stands beside its estimate, and z beside theory.
        before = PARTS[: PARTS.index(part)]
        if all((name, other) in kept for other in before) and room([*kept, (name, part)]):
            kept.append((name, part))
    return Layout(notation, _parts_of(kept), heads)


def _fits(
    every: Mapping[tuple[str, str], Column],
    glyphs: Glyphs,
    width: int,
    heads: tuple[tuple[str, str], ...],
    kept: Sequence[tuple[str, str]],
) -> bool:
    return width_of(shown(chosen(every, _parts_of(kept), heads), glyphs)) <= width


def _parts_of(kept: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the parts of each statistic, in the order of a table."""
    order = ORDER if kept[0][0] != OF_CALLS[0][0] else ORDER_OF_CALLS
    parts = {name: "".join(part for part in PARTS if (name, part) in kept) for name in order}
    return {name: own for name, own in parts.items() if own}


def comparison(runs: Sequence[Run], glyphs: Glyphs, width: int) -> tuple[Layout, list[Column]]:
    """Return the comparison of the runs with as many columns as `width` holds."""
    layout, columns = Layout(Notation.CONCISE, {}), []
    for count, notation in product(range(len(COMPARED), 0, -1), Notation):
        layout = Layout(notation, {name: "e" for name in ORDER if name in COMPARED[:count]})
        columns = shown(comparison_columns(runs, layout), glyphs)
        if width_of(columns) <= width:
            break
    return layout, columns


def lost(run: Run, layout: Layout) -> set[tuple[str, str]]:
    """Return what a narrow `layout` omits of mean, variance, gradient and cosine, and of other
    statistics that it has, as pairs of a statistic and a part, "e", "t" or "z", and of what says
    which call a row is."""
    missing = set() if run.module is None else {*HEAD} - {*layout.heads}
    for name in (*(EXPECTED if run.module is None else EXPECTED_OF_CALLS), *layout.parts):
        if name in run.statistics:
            found, there = run.statistics[name], layout.parts.get(name, "")
            arrays = zip(PARTS, (found.estimate, found.reference, found.z), strict=True)
            known = [part for part, array in arrays if np.isfinite(array).any()]
            absent = [part for part in known if part not in there]
            missing |= {(name, part) for part in (["e"] if "e" in absent else absent)}
    return missing


def lost_words(missing: set[tuple[str, str]]) -> str:
    """Return "cosine; theory and z of mean", or an empty string if nothing is missing."""
    heads = [AXES_HEADER if key == AXES else key[0] for key in HEAD if key in missing]
    titles = {"e": "", "tz": "theory and z of ", "t": "theory of ", "z": "z of "}
    names = dict.fromkeys((*EXPECTED, *EXPECTED_OF_CALLS, *EVERY))
    parts = {name: "".join(p for p in PARTS if (name, p) in missing) for name in names}
    groups = {own: [name for name in names if parts[name] == own] for own in titles}
    groups["e"] = heads + groups["e"]
    found = "; ".join(titles[own] + listed(names) for own, names in groups.items() if names)
    return found.replace("_", " ")


def hidden_flags(run: Run, rows: Sequence[int], layout: Layout) -> list[str]:
    """Return a sentence for each statistic without a column in `layout` that is farther from
    theory than chance explains in one of the layers `rows`."""
    found = []
    for name, statistic in run.statistics.items():
        if name in layout.parts:
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
