"""The table of `snstat propagate` at a terminal: as much as fits the width, and nothing is cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.text import Text

from snstat.report.columns import DOUBT, MARK, Column, rows_of
from snstat.report.glyphs import Glyphs
from snstat.report.grid import WIDEN, print_columns, print_hidden, print_parts, print_wrapped
from snstat.report.layouts import (
    blocks_of,
    comparison,
    fitted,
    hidden_flags,
    lost,
    lost_words,
    measured,
)
from snstat.report.module_words import closing
from snstat.report.network_words import network_words, sampling_words
from snstat.report.numbers import CONCISE_NOTE, Notation, plain
from snstat.report.opening import opening, theory_words
from snstat.report.selection import LOG, TOP, LayerSelection
from snstat.results import NetworkSummary

if TYPE_CHECKING:
    from rich.console import Console

    from snstat.results import Check, Run

# The fewest bars that show a shape. With less room they get a separate line.
FEWEST_BARS = 8
MOST_BARS = 64

SUSPICIOUS_NOTE = f"{MARK} farther from theory than chance explains (p < 0.001)."
DOUBTFUL_NOTE = (
    f"{DOUBT} as far from theory, but theory may be off by as much, or is for infinite width only."
)
INDENT = 2


def print_runs(
    runs: Sequence[Run],
    console: Console,
    layers: LayerSelection = LOG,
    columns: Sequence[str] = (),
    checks: Sequence[Check | None] = (),
) -> None:
    """Print one table for each run, and a comparison below when there are several.

    Each table has the richest layout that fits `console`, or every column of the statistics
    `columns`, in several tables if one is too wide. `checks` are the verdicts on the runs.
    Raises InvalidValueError when a selected layer is beyond a stack's depth, or none of `columns`
    was measured.
    """
    glyphs = Glyphs.of(console)
    chosen = [rows_of(run, layers.of(run.subject)) for run in runs]
    concise = False
    hidden: set[tuple[str, str]] = set()
    verdicts = checks or [None] * len(runs)
    for position, (run, rows, check) in enumerate(zip(runs, chosen, verdicts, strict=True)):
        flags: list[str] = []
        if columns:
            notation, blocks = blocks_of(run, rows, measured(run, columns), glyphs, console.width)
        else:
            layout, found = fitted(run, rows, glyphs, console.width)
            notation, blocks = layout.notation, [found]
            hidden |= lost(run, layout)
            flags = hidden_flags(run, rows, layout)
        concise |= notation is Notation.CONCISE
        if position:
            console.print()
        _print_run(run, check, blocks, glyphs, console)
        for flag in flags:
            print_wrapped(glyphs.text(f"{MARK} {flag}"), console, style="bold red")
    if len(runs) > 1:
        layout, found = comparison(runs, glyphs, console.width)
        console.print()
        console.print(Text("Side by side, at the last layer", style="bold"))
        print_columns(found, console)
        concise |= layout.notation is Notation.CONCISE
    _print_notes(lost_words(hidden), glyphs, console, concise=concise)


def _print_run(
    run: Run,
    check: Check | None,
    blocks: Sequence[Sequence[Column]],
    glyphs: Glyphs,
    console: Console,
) -> None:
    """Print one run: its title, the verdict on it, its tables, and the variance as bars."""
    print_parts(network_words(run.subject), glyphs, console, style="bold")
    print_parts(sampling_words(run.subject, run.simulation), glyphs, console, style="dim")
    for sentence in opening(run, check):
        mark = f"{MARK} " if sentence.alarming else ""
        style = "bold yellow" if sentence.alarming else ""
        indent = INDENT if sentence.indent else 0
        print_wrapped(glyphs.text(mark + sentence.text), console, indent, style)
    if not blocks[0][0].cells:
        return
    every = [column for columns in blocks for column in columns]
    words = theory_words(run, every)
    if words:
        print_wrapped(glyphs.text(words), console, style="dim")
    for columns in blocks:
        console.print()
        print_columns(columns, console)
    console.print()
    print_wrapped(_bars_line(run, glyphs, console.width), console)
    if any(column.suspicious for column in every):
        print_wrapped(SUSPICIOUS_NOTE, console, style="dim")
    if any(column.doubtful for column in every):
        print_wrapped(DOUBTFUL_NOTE, console, style="dim")
    if run.module is not None:
        for text in closing(run.module):
            print_wrapped(glyphs.text(text), console, style="dim")


def _print_notes(hidden: str, glyphs: Glyphs, console: Console, *, concise: bool) -> None:
    """Print the notes for all tables: the notation, and the columns left out."""
    if concise:
        print_wrapped(glyphs.text(CONCISE_NOTE), console, style="dim")
    print_hidden([hidden] if hidden else [], glyphs, console, WIDEN)


def _bars_line(run: Run, glyphs: Glyphs, width: int) -> str:
    """Return the variance over depth as bars, with its range; of a traced module the second moment.

    Norms and branches within residuals are left out: between the sums they would hide how these
    grow. Of a module, activations and outputs of blocks are shown.
    """
    values = run.statistics["variance"].estimate
    label, limits = "variance ", ""
    if run.module is not None:
        values, label = run.statistics["second_moment"].estimate, "second moment "
        rows = np.array(run.module.main)
        if len(rows) < len(run.module.distinct):
            label = f"{label}of activations and blocks "
        # Tokens have no statistics, which does not mean that they are not finite.
        values = values[rows[~(np.isnan(values) & run.finite)[rows]]]
    if isinstance(run.subject, NetworkSummary):
        top = [row for row in TOP.of(run.subject) if row < values.size]
        if len(top) < values.size:
            values, label = values[top], "variance outside residuals "
        values = values[int(run.tokens > 0) :]
    known = values[np.isfinite(values)]
    if known.size:
        limits = f" {plain(float(known.min()), 3)} to {plain(float(known.max()), 3)}"
    cells = width - len(label) - len(limits)
    if cells < FEWEST_BARS:
        bars = glyphs.bars(values, max(min(width, MOST_BARS), 1))
        return f"{label.strip()}{limits}\n{bars}"
    return label + glyphs.bars(values, min(cells, MOST_BARS)) + limits
