"""The table of `snstat propagate` at a terminal: as much as the width holds, never cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from rich.text import Text

from snstat.report.columns import (
    DOUBT,
    MARK,
    Column,
    Layout,
    columns_of,
    has_news,
    rows_of,
)
from snstat.report.comparison import comparison_columns
from snstat.report.glyphs import Glyphs
from snstat.report.grid import print_columns, print_parts, print_wrapped, shown, width_of
from snstat.report.numbers import Notation, plain
from snstat.report.selection import LOG, LayerSelection
from snstat.report.words import conclusions, listed, simulation_words, stack_words
from snstat.results import GRADIENT

if TYPE_CHECKING:
    from rich.console import Console

    from snstat.results import Run

BASE = (("mean", "etz"), ("variance", "etz"))
# What follows mean and variance, richest first; a statistic without news is left out.
EXTRAS = (
    (("cosine", "etz"), ("second_moment", "et"), ("dead_fraction", "e")),
    (("cosine", "etz"), ("dead_fraction", "e")),
    (("cosine", "et"), ("dead_fraction", "e")),
    (("cosine", "et"),),
    (("cosine", "e"),),
)
# The same where gradients were asked for: they come first.
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
# The same where gradients were asked for.
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
# Rows enough to tell most layouts that do not fit.
SAMPLE_ROWS = 256

# The fewest bars that tell a shape; with less room they get a line of their own.
FEWEST_BARS = 8
MOST_BARS = 64

CONCISE_NOTE = "1.0023(41) stands for 1.0023 ± 0.0041, one standard error."
SUSPICIOUS_NOTE = f"{MARK} farther from theory than chance goes once in a thousand times."
DOUBTFUL_NOTE = f"{DOUBT} as far, but theory may be off by as much, or is of infinite width only."


def print_runs(runs: Sequence[Run], console: Console, layers: LayerSelection = LOG) -> None:
    """Print one table for each run, and a comparison below when there are several.

    Each table has the richest layout that fits `console`. Raises InvalidValueError when a
    selected layer is beyond a stack's depth.
    """
    glyphs = Glyphs.of(console)
    chosen = [rows_of(run, layers.rows(run.stack.depth)) for run in runs]
    explained = False
    for position, (run, rows) in enumerate(zip(runs, chosen, strict=True)):
        layout, columns = _fitted(run, rows, glyphs, console.width)
        if position:
            console.print()
        _print_run(run, columns, lost(run, layout), glyphs, console)
        if layout.notation is Notation.CONCISE and not explained:
            print_wrapped(glyphs.text(CONCISE_NOTE), console, style="dim")
            explained = True
    if len(runs) > 1:
        layout, columns = _comparison(runs, glyphs, console.width)
        console.print()
        console.print(Text("Side by side, at the last layer", style="bold"))
        print_columns(columns, console)
        if layout.notation is Notation.CONCISE and not explained:
            print_wrapped(glyphs.text(CONCISE_NOTE), console, style="dim")


def lost(run: Run, layout: Layout) -> list[str]:
    """Return which columns of mean, variance, gradient and cosine a narrow `layout` lacks."""
    parts = dict(layout.parts)
    held = [name for name in (*dict(BASE), GRADIENT) if name in parts]
    predicted = [name for name in held if np.isfinite(run.statistics[name].theory).any()]
    without = [name for name in predicted if "t" not in parts[name]]
    scored = [name for name in held if np.isfinite(run.statistics[name].z).any()]
    unscored = [name for name in scored if "z" not in parts[name]]
    missing = [name for name in ("mean", "variance") if name not in parts]
    cosine = run.statistics.get("cosine")
    if cosine is not None and "cosine" not in parts and np.isfinite(cosine.estimate).any():
        missing.append("cosine")
    if without:
        missing.append("theory" if without == predicted else f"theory of {listed(without)}")
    if unscored:
        missing.append("z" if unscored == scored else f"z of {listed(unscored)}")
    return missing


def _print_run(
    run: Run, columns: Sequence[Column], missing: Sequence[str], glyphs: Glyphs, console: Console
) -> None:
    """Print one run: its title, its table, the variance as bars, and what it means."""
    print_parts(stack_words(run.stack), glyphs, console, style="bold")
    print_parts(simulation_words(run.simulation), glyphs, console, style="dim")
    console.print()
    if columns[0].cells:
        print_columns(columns, console)
        console.print()
        print_wrapped(_variance_line(run, glyphs, console.width), console)
        if missing:
            print_wrapped(f"Widen the terminal for {listed(missing)}.", console, style="dim")
    if any(column.suspicious for column in columns):
        print_wrapped(SUSPICIOUS_NOTE, console, style="dim")
    if any(column.doubtful for column in columns):
        print_wrapped(DOUBTFUL_NOTE, console, style="dim")
    for sentence in conclusions(run):
        alarming = sentence.startswith(("Not finite", "Interrupted", "Inputs collapse"))
        mark = f"{MARK} " if alarming else ""
        style = "bold yellow" if alarming else ""
        print_wrapped(glyphs.text(mark + sentence), console, style=style)


def _layouts(run: Run) -> Iterator[Layout]:
    """Yield layouts, the most readable and richest first."""
    choices = BACKWARD_EXTRAS if GRADIENT in run.statistics else EXTRAS
    for notation, extras in product(Notation, choices):
        kept = tuple(part for part in extras if part[0] == "cosine" or has_news(run, part[0]))
        yield Layout(notation, BASE + kept)
    for parts in BACKWARD_NARROW if GRADIENT in run.statistics else NARROW:
        yield Layout(Notation.CONCISE, parts)


def _fitted(
    run: Run, rows: Sequence[int], glyphs: Glyphs, width: int
) -> tuple[Layout, list[Column]]:
    """Return the first layout in which the layers `rows` fit `width`, with its columns."""
    # A layout that is too wide for some of the rows is too wide for all of them, and a few rows
    # tell so much sooner.
    some = rows[:: len(rows) // SAMPLE_ROWS + 1]
    layout = Layout(Notation.CONCISE, ())
    for layout in _layouts(run):
        if width_of(shown(columns_of(run, some, layout), glyphs)) <= width:
            columns = shown(columns_of(run, rows, layout), glyphs)
            if width_of(columns) <= width:
                return layout, columns
    return layout, shown(columns_of(run, rows, layout), glyphs)


def _comparison(runs: Sequence[Run], glyphs: Glyphs, width: int) -> tuple[Layout, list[Column]]:
    """Return the comparison of the runs with as many columns as `width` holds."""
    layout, columns = Layout(Notation.CONCISE, ()), []
    for names, notation in product(COMPARED, Notation):
        layout = Layout(notation, tuple((name, "e") for name in names))
        columns = shown(comparison_columns(runs, layout), glyphs)
        if width_of(columns) <= width:
            break
    return layout, columns


def _variance_line(run: Run, glyphs: Glyphs, width: int) -> str:
    """Return the variance over depth as bars, with its range."""
    values = run.statistics["variance"].estimate
    known = values[np.isfinite(values)]
    label, limits = "variance ", ""
    if known.size:
        limits = f" {plain(float(known.min()), 3)} to {plain(float(known.max()), 3)}"
    cells = width - len(label) - len(limits)
    if cells < FEWEST_BARS:
        bars = glyphs.bars(values, max(min(width, MOST_BARS), 1))
        return f"{label.strip()}{limits}\n{bars}"
    return label + glyphs.bars(values, min(cells, MOST_BARS)) + limits
