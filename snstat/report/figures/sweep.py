"""A sweep as curves: a statistic over one option, colours for a second, panels for a third."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.errors import InvalidValueError, UnknownNameError
from snstat.report.figures.series import MARKERS
from snstat.report.figures.style import (
    WIDTH,
    Style,
    drawing,
    dress,
    page,
    place_caption,
    place_legend,
    settle,
    style_named,
)
from snstat.report.numbers import as_given
from snstat.report.seed_means import mean_over_seeds
from snstat.report.words import count
from snstat.results import GRADIENT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from snstat.results import FloatArray
    from snstat.results.sweep import Sweep

    Points = tuple[list[Any], FloatArray, FloatArray, FloatArray]

SEED, LAYER = "seed", "layer"
# Curves of one panel, and panels.
MOST_CURVES, MOST_PANELS, PANELS_IN_A_ROW = 24, 12, 3
# Values over more than this factor are shown on a logarithmic axis.
WIDE = 20.0
# Statistics whose size is what counts.
SIZES = ("second_moment", "variance", "variance_over_batch", "variance_over_units", GRADIENT)


@dataclass(frozen=True, slots=True)
class Choice:
    """What is drawn: the option along `x` ("layer" for depth), the statistic `y`, and the options
    of colours (`hue`) and panels (`col`), None for the next ones that the sweep is over."""

    x: str | None = None
    y: str = "second_moment"
    hue: str | None = None
    col: str | None = None

    def of(self, sweep: Sweep) -> Choice:
        """Return the choice with nothing left open.

        Raises UnknownNameError for what the table does not have, and InvalidValueError for options
        that the sweep is over and that no part of the picture shows.
        """
        over = [name for name in sweep.over if name != SEED]
        options = [*over, LAYER, SEED]
        for part in ("x", "hue", "col"):
            name = getattr(self, part)
            if name is not None and name not in options:
                raise UnknownNameError(part, name, options)
        known = [
            name.removesuffix("_estimate") for name in sweep.columns if name.endswith("_estimate")
        ]
        if self.y not in known:
            raise UnknownNameError("y", self.y, known)
        free = [name for name in over if name not in (self.x, self.hue, self.col)]
        asked = self.x, self.hue, self.col
        found = [name if name is not None else (free.pop(0) if free else None) for name in asked]
        if free:
            bound = f"over options that the picture shows, and {_words(free[0])} has no place in it"
            words = ", ".join(map(_words, over))
            raise InvalidValueError("sweep", f"over {words}", bound, "choose with --hue and --col")
        if found[0] is None:
            found[0] = LAYER
        return Choice(found[0], self.y, found[1], found[2])


def draw_sweep(
    sweep: Sweep,
    choice: Choice,
    style: str = "light",
    *,
    caption: bool = True,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of a statistic of the last layer, of the gradient at the first row, or over
    all layers with x "layer".

    Markers are means over seeds with standard errors (geometric means of the gradient), lines are
    theory at the width of each cell where known, else of infinite width. Cells that failed are left
    out. Raises what `Choice.of` does, and InvalidValueError for too many curves or panels.
    """
    look, choice = style_named(style), choice.of(sweep)
    table = sweep if choice.x == LAYER else sweep.cells
    there = ~table.failed
    values = [_column(table, f"{choice.y}_{part}")[there] for part in ("estimate", "theory")]
    if not np.isfinite(values).any():
        bound = "known in some cell that did not fail"
        raise InvalidValueError(choice.y, "missing everywhere", bound)
    hues, columns = (_values(table, name, there) for name in (choice.hue, choice.col))
    for what, values, most in (("curves", hues, MOST_CURVES), ("panels", columns, MOST_PANELS)):
        if len(values) > most:
            raise InvalidValueError(f"number of {what}", len(values), f"at most {most}")
    with drawing(look):
        across = min(len(columns), PANELS_IN_A_ROW)
        down = math.ceil(len(columns) / across)
        figure = page(WIDTH, 1.2 + (2.8 if down == 1 else 2.2 * down), size)
        grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        panels = [*grid.ravel()]
        colors = _colors(hues, look)
        for axes, column in zip(panels, columns, strict=False):
            inside = there & _equal(table, choice.col, column)
            for number, hue in enumerate(hues):
                chosen = inside & _equal(table, choice.hue, hue)
                label = "" if choice.hue is None else f"{_words(choice.hue)} {_shown(hue)}"
                look_of = colors[number], MARKERS[number % len(MARKERS)]
                _curve(axes, points(table, choice, chosen), look_of, label)
            if choice.col is not None:
                axes.set_title(f"{_words(choice.col)} {_shown(column)}")
            dress(axes, look)
        for axes in panels[len(columns) :]:
            axes.set_visible(False)
        _scales(panels[: len(columns)], table, choice, there)
        for axes in panels[max(len(columns) - across, 0) : len(columns)]:
            axes.set_xlabel(_words(choice.x or LAYER))
            axes.xaxis.set_tick_params(labelbottom=True)
        for axes in panels[::across]:
            axes.set_ylabel(_words(choice.y))
        handles: dict[str, Any] = {}
        for axes in panels[: len(columns)]:
            own, labels = axes.get_legend_handles_labels()
            handles = dict(zip(labels, own, strict=True)) | handles
        if choice.hue is not None:
            place_legend(figure, [*handles.values()])
        place_caption(figure, _caption(sweep, choice) if caption else "", look)
        settle(figure)
    return figure


def points(table: Sweep, choice: Choice, chosen: Any) -> Points:
    """Return the values along x of the `chosen` rows, and there the mean of the statistic over
    those that were simulated, its standard error, and the mean of theory."""
    xs = _values(table, choice.x, chosen)
    found = np.full((3, len(xs)), math.nan)
    columns = [
        _column(table, f"{choice.y}_{part}")
        for part in ("estimate", "stderr", "theory", "expected")
    ]
    for place, x in enumerate(xs):
        here = chosen & _equal(table, choice.x, x)
        estimate, stderr, theory, expected = (column[here] for column in columns)
        measured = np.isfinite(estimate)  # of theory alone there is nothing to average
        mean, error = mean_over_seeds(
            estimate[measured], stderr[measured], logarithmic=choice.y == GRADIENT
        )
        reference = np.where(np.isfinite(expected), expected, theory)
        reference = reference[np.isfinite(reference)]
        found[:, place] = mean, error, reference.mean() if reference.size else math.nan
    return xs, found[0], found[1], found[2]


def _curve(axes: Axes, found: Points, look: tuple[str, str], label: str) -> None:
    """Draw one curve in the colour and with the marker of `look`."""
    xs, mean, error, theory = found
    color, marker = look
    places = xs if _is_number(xs) else [str(x) for x in xs]
    measured = bool(np.isfinite(mean).any())
    if np.isfinite(theory).any():
        axes.plot(places, theory, color=color, alpha=0.8, label="" if measured else label)
    if measured:
        bars = np.nan_to_num(error)
        axes.errorbar(places, mean, bars, color=color, fmt=marker, markersize=4, label=label)


def _scales(panels: Sequence[Axes], table: Sweep, choice: Choice, there: Any) -> None:
    """Set logarithmic axes where values are positive and span a wide range."""
    xs = _values(table, choice.x, there)
    if (
        choice.x != LAYER
        and _is_number(xs)
        and len(xs) > 1
        and min(xs) > 0
        and max(xs) / min(xs) >= 8
    ):
        for axes in panels:
            axes.set_xscale("log")
            if all(float(x).is_integer() for x in xs) and len(xs) <= 8:
                axes.set_xticks(xs, [_shown(x) for x in xs])
                axes.set_xticks([], minor=True)
    parts = [_column(table, f"{choice.y}_{part}")[there] for part in ("estimate", "theory")]
    values = np.concatenate(parts)
    values = values[np.isfinite(values)]
    positive = choice.y in SIZES and values.size > 0 and values.min() > 0
    if positive and values.max() / values.min() > WIDE:
        for axes in panels:
            axes.set_yscale("log")


def _caption(sweep: Sweep, choice: Choice) -> str:
    """Return what the picture is of."""
    table = sweep.cells
    seeds = len(_values(table, SEED, ~table.failed)) if SEED in sweep.columns else 1
    place = "every layer" if choice.x == LAYER else "the last layer"
    if choice.y == GRADIENT and choice.x != LAYER:
        place = "the first row, over the last"
    words = [f"{_words(choice.y)} of {place}", count(len(table), "cell")]
    if seeds > 1:
        words.append(f"means over {seeds} seeds")
    failed = int(table.failed.sum())
    return " · ".join([*words, *([f"{failed} failed"] if failed else []), "lines: theory"])


def _column(table: Sweep, name: str) -> FloatArray:
    """Return a column of numbers, NaN where all are missing."""
    values = table.columns.get(name)
    if values is None or values.dtype == object:
        return np.full(len(table), math.nan)
    return np.where(np.isfinite(values), values, math.nan)


def _values(table: Sweep, name: str | None, chosen: Any) -> list[Any]:
    """Return the values of an option in the chosen rows, numbers in their order; of no option one
    value that stands for all."""
    if name is None:
        return [None]
    found = [*dict.fromkeys(table[name][chosen].tolist())]
    return sorted(found) if _is_number(found) else found


def _equal(table: Sweep, name: str | None, value: Any) -> Any:
    return np.ones(len(table), bool) if name is None else table[name] == value


def _is_number(values: Sequence[Any]) -> bool:
    return all(isinstance(value, float) for value in values)


def _colors(values: Sequence[Any], look: Style) -> list[str]:
    """Return a colour for each value: in the order of numbers from dark to light, else those that
    differ most."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    if len(values) <= len(look.cycle) and not (_is_number(values) and len(values) > 4):
        return list(look.cycle[: len(values)])
    shares = np.linspace(0.05, 0.85, len(values))
    return [to_hex(color) for color in colormaps["viridis"](shares)]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _shown(value: Any) -> str:
    return as_given(value) if isinstance(value, float) else str(value)
