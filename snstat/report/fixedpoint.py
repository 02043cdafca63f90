"""The results of `snstat fixedpoint` in words and short tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from snstat.report.columns import Column
from snstat.report.fixedpoint_words import (
    correlation_words,
    gradient_words,
    heading,
    infinity_words,
    solved_words,
    stability_words,
)
from snstat.report.glyphs import Glyphs
from snstat.report.grid import print_columns, print_parts, print_wrapped, shown, width_of
from snstat.report.numbers import exact
from snstat.report.selection import ALL, LOG

if TYPE_CHECKING:
    from rich.console import Console

    from snstat.report.selection import LayerSelection
    from snstat.results import FixedPoint, FixedPointReport, TheoremResult

# A trajectory of at most this many steps is shown whole.
SHORT = 20
INDENT = 2
GAP = 2
COORDINATES = ("mean", "weight_sum", "variance", "weight_square_sum")


def print_fixed_points(
    reports: Sequence[FixedPointReport],
    console: Console,
    layers: LayerSelection | None = None,
    depth: int = 64,
) -> None:
    """Print each report: its fixed points in words, what was solved, and the trajectory.

    `layers` selects the rows of the trajectory (default: all of a short one, else 0, 1, 2, 4,
    ...). Gradient growth is also given over `depth` layers. Raises InvalidValueError when a
    selected layer is beyond the trajectory.
    """
    glyphs = Glyphs.of(console)
    for position, report in enumerate(reports):
        if position:
            console.print()
        print_parts(heading(report), glyphs, console, style="bold")
        for sentence in summary(report):
            console.print(Text(glyphs.text(sentence)))
        for number, point in enumerate(report.fixed_points, start=1):
            title = "Fixed point" if len(report.fixed_points) == 1 else f"Fixed point {number}"
            console.print()
            stability = stability_words(point, continuum=report.continuum)
            _print_point(
                title,
                point,
                (stability, gradient_words(point, depth)),
                glyphs,
                console,
            )
        if report.trajectory is not None:
            console.print()
            console.print(Text("Trajectory", style="bold"))
            print_columns(trajectory_columns(report.trajectory, layers), console)


def print_theorems(results: Sequence[TheoremResult], console: Console) -> None:
    """Print each theorem: whether it held, its domain, and the extreme values and locations."""
    glyphs = Glyphs.of(console)
    for position, result in enumerate(results):
        if position:
            console.print()
        title = theorem_title(result)
        print_wrapped(glyphs.text(title), console, style="bold" if result.holds else "bold red")
        print_wrapped(glyphs.text(result.claim), console)
        _print_extremes(shown(theorem_columns(result), glyphs), console)


def theorem_title(result: TheoremResult) -> str:
    """Return "theorem 1: holds at all 123,456 points examined"."""
    if result.holds:
        return f"{result.name}: holds at all {result.points:,} points examined"
    return f"{result.name}: FAILS within the {result.points:,} points examined"


def trajectory_columns(
    trajectory: Sequence[tuple[float, float]], layers: LayerSelection | None = None
) -> list[Column]:
    """Return layer, mean and variance of the selected steps of a trajectory."""
    last = len(trajectory) - 1
    rows = (layers or (ALL if last <= SHORT else LOG)).rows(last)
    return [
        Column("layer", tuple(str(row) for row in rows), "layer"),
        Column("mean", tuple(exact(trajectory[row][0]) for row in rows), "mean"),
        Column("variance", tuple(exact(trajectory[row][1]) for row in rows), "variance"),
    ]


def theorem_columns(result: TheoremResult) -> list[Column]:
    """Return the domain of a theorem, then a row for each extreme value and its location."""
    cells = [
        ("domain from", "", *(f"{result.domain[name][0]:g}" for name in COORDINATES)),
        ("domain to", "", *(f"{result.domain[name][1]:g}" for name in COORDINATES)),
    ]
    for name, (value, where) in result.extremes.items():
        place = tuple(f"{where[key]:.4g}" if key in where else "" for key in COORDINATES)
        cells.append((name.replace("_", " "), exact(value), *place))
    # The full name of the last coordinate would make the table wider than 80 columns.
    headers = ("", "value", "mean", "weight sum", "variance", "square sum")
    columns = zip(headers, zip(*cells, strict=True), strict=True)
    return [Column(header, values, header, words=not header) for header, values in columns]


def summary(report: FixedPointReport) -> list[str]:
    """Return sentences about the map as a whole."""
    sentences = []
    if report.continuum:
        sentences.append(
            "Every second moment is a fixed point: the map preserves it."
            if report.map == "ensemble"
            else "Fixed points form a line or a region; only isolated ones are listed."
        )
    elif not report.fixed_points:
        sentences.append("No finite fixed point.")
    elif len(report.fixed_points) > 1:
        sentences.append(f"{len(report.fixed_points)} fixed points.")
    if not report.continuum:
        sentences.append(infinity_words(report.at_infinity))
    if report.theorem_domain is not None:
        sentences.append(f"Inside the domain of theorem {report.theorem_domain}.")
    return sentences + solved_words(report.solved)


def _print_point(
    title: str, point: FixedPoint, sentences: Sequence[str], glyphs: Glyphs, console: Console
) -> None:
    """Print one fixed point: its sentences, numbers and correlations."""
    place = f"{title}: mean {exact(point.mean)}, variance {exact(point.variance)}"
    if point.second_moment == 0:
        place += " (the signal has vanished)"
    console.print(Text(glyphs.text(place), style="bold"))
    for sentence in sentences:
        print_wrapped(glyphs.text(sentence), console, INDENT)
    _print_pairs(_pairs(point), console)
    if point.correlations:
        print_wrapped("Correlation of two inputs", console, INDENT)
        _print_correlations(point, glyphs, console)


def _pairs(point: FixedPoint) -> list[tuple[str, tuple[str, ...]]]:
    """Return names and values of a fixed point; each value is a tuple of lines."""
    entries = [[exact(entry) for entry in row] for row in point.jacobian]
    widths = [max(map(len, column)) for column in zip(*entries, strict=True)]
    rows = tuple(
        "  ".join(f"{entry:>{width}}" for entry, width in zip(row, widths, strict=True))
        for row in entries
    )
    eigenvalues = ", ".join(
        exact(real) if imaginary == 0 else f"{exact(real)} {imaginary:+.6g}i"
        for real, imaginary in point.eigenvalues
    )
    return [
        ("second moment", (exact(point.second_moment),)),
        ("Jacobian", rows),
        ("eigenvalues", (eigenvalues,)),
        ("spectral norm", (exact(point.spectral_norm),)),
        ("spectral radius", (exact(point.spectral_radius),)),
        ("gradient growth", (exact(point.gradient_growth),)),
    ]


def _print_pairs(pairs: Sequence[tuple[str, tuple[str, ...]]], console: Console) -> None:
    """Print names beside their values, or above them if the console is too narrow."""
    width = max(len(name) for name, _ in pairs)
    longest = max(len(line) for _, lines in pairs for line in lines)
    stacked = INDENT + width + GAP + longest > console.width
    for name, lines in pairs:
        if stacked:
            console.print(Text(" " * INDENT + name, style="dim"))
            for value in lines:
                print_wrapped(value, console, 2 * INDENT)
            continue
        for label, value in zip((name, *[""] * (len(lines) - 1)), lines, strict=True):
            line = Text(" " * INDENT + f"{label:<{width}}" + " " * GAP, style="dim")
            line.append(value, style="not dim")
            console.print(line)


def _print_correlations(point: FixedPoint, glyphs: Glyphs, console: Console) -> None:
    """Print a table, or a few lines for each entry if the console is too narrow."""
    columns = shown(_correlation_columns(point), glyphs)
    if width_of(columns) <= console.width:
        print_columns(columns, console)
        return
    for entry in point.correlations:
        numbers = f"value {exact(entry.value)}, slope {exact(entry.slope)}"
        print_wrapped(numbers, console, 2 * INDENT)
        print_wrapped(glyphs.text(correlation_words(entry)), console, 3 * INDENT)


def _print_extremes(columns: Sequence[Column], console: Console) -> None:
    """Print a table, or a few lines for each row if the console is too narrow."""
    if width_of(columns) <= console.width:
        print_columns(columns, console)
        return
    names, *numbers = columns
    for row, name in enumerate(names.cells):
        print_wrapped(name, console, INDENT)
        entries = [
            f"{column.header} {column.cells[row]}" for column in numbers if column.cells[row]
        ]
        print_wrapped(", ".join(entries), console, 2 * INDENT)


def _correlation_columns(point: FixedPoint) -> list[Column]:
    entries = point.correlations
    # The empty first column indents the table by the gap that follows it.
    return [
        Column("", tuple("" for _ in entries), "indent"),
        Column("value", tuple(exact(entry.value) for entry in entries), "value"),
        Column("slope", tuple(exact(entry.slope) for entry in entries), "slope"),
        Column("", tuple(correlation_words(entry) for entry in entries), "words", words=True),
    ]
