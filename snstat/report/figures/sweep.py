"""A sweep as curves: a statistic over one option, colours for a second, panels for a third."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.errors import InvalidValueError
from snstat.report.figures.panel import FAINT, HUGE, LARGEST, SLIGHT
from snstat.report.figures.series import MARKERS, series_of
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
from snstat.report.figures.sweep_points import (
    ACTIVATION,
    LAYER,
    Choice,
    Shown,
    are_numbers,
    in_words,
)
from snstat.report.figures.sweep_words import caption_of, labels_of, value_words
from snstat.report.figures.ticks import set_power_ticks
from snstat.results import GRADIENT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from snstat.report.figures.sweep_points import Points
    from snstat.results.sweep import Sweep

# Curves of one panel, and panels.
MOST_CURVES, MOST_PANELS, PANELS_IN_A_ROW = 24, 12, 3
# Values over more than this factor are shown on a logarithmic axis.
WIDE = 20.0
# Values of whole numbers that have a tick each, and how far apart they are of the axis at least.
MOST_TICKS, LEAST_APART = 8, 0.06
# Statistics whose size is what counts.
SIZES = ("second_moment", "variance", "variance_over_batch", "variance_over_units", GRADIENT)


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
    out, and so is what is not finite, of which the caption says how many cells have it. Raises what
    `Choice.of` and `Shown.of` do, and InvalidValueError for too many curves or panels.
    """
    look, choice = style_named(style), choice.of(sweep)
    shown = Shown.of(sweep, choice)
    hues, columns = shown.values(choice.hue), shown.values(choice.col)
    for what, values, most in (("curves", hues, MOST_CURVES), ("panels", columns, MOST_PANELS)):
        if len(values) > most:
            raise InvalidValueError(f"number of {what}", len(values), f"at most {most}")
    with drawing(look):
        across = min(len(columns), PANELS_IN_A_ROW)
        down = math.ceil(len(columns) / across)
        figure = page(WIDTH, 1.2 + (2.8 if down == 1 else 2.2 * down), size)
        grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        panels = [*grid.ravel()]
        looks, labels = _looks(shown, hues, look), labels_of(choice.hue, hues)
        titles, (faint, _) = labels_of(choice.col, columns), shown.kinds_of_theory
        for axes, column, title in zip(panels, columns, titles, strict=False):
            inside = shown.there & shown.equal(choice.col, column)
            for hue, own_look, label in zip(hues, looks, labels, strict=True):
                found = shown.points(inside & shown.equal(choice.hue, hue))
                _curve(axes, found, choice.x, own_look, label, faint=faint)
            axes.set_title(title)
            dress(axes, look)
        for axes in panels[len(columns) :]:
            axes.set_visible(False)
        _scales(panels[: len(columns)], shown)
        for axes in panels[max(len(columns) - across, 0) : len(columns)]:
            axes.set_xlabel(in_words(choice.x or LAYER))
            axes.xaxis.set_tick_params(labelbottom=True)
        for axes in panels[::across]:
            axes.set_ylabel(in_words(choice.y))
        handles: dict[str, Any] = {}
        for axes in panels[: len(columns)]:
            own, names = axes.get_legend_handles_labels()
            handles = dict(zip(names, own, strict=True)) | handles
        if choice.hue is not None:
            place_legend(figure, [*handles.values()])
        place_caption(figure, caption_of(sweep, shown) if caption else "", look)
        settle(figure)
    return figure


def _curve(
    axes: Axes,
    found: Points,
    name: str | None,
    look: tuple[str, str],
    label: str,
    *,
    faint: bool,
) -> None:
    """Draw one curve over the option `name`, in the colour and with the marker of `look`. Theory at
    infinite width is `faint` if the picture has other theory."""
    color, marker = look
    numbers = are_numbers(found.xs)
    places = found.xs if numbers else value_words(name, found.xs)
    measured = bool(np.isfinite(found.mean).any())
    at_width = np.where(found.limit & faint, math.nan, found.theory)
    known = int(np.isfinite(at_width).sum())
    if faint and found.limit.any():
        only = not (measured or known)
        axes.plot(
            places, found.theory, color=color, alpha=FAINT, label=label if only else "",
            **_line(apart=not numbers),
        )  # fmt: skip
    if known:
        axes.plot(
            places, at_width, color=color, alpha=0.8, label="" if measured else label,
            **_line(apart=not numbers or known == 1 < len(places)),
        )  # fmt: skip
    if measured:
        bars = np.minimum(np.nan_to_num(found.error), LARGEST)
        axes.errorbar(places, found.mean, bars, color=color, fmt=marker, markersize=4, label=label)


def _line(*, apart: bool) -> dict[str, Any]:
    """Return how theory is drawn: as a line, or where there is nothing between points, as a short
    line at each."""
    return {"linestyle": "", "marker": "_", "markersize": 14} if apart else {}


def _scales(panels: Sequence[Axes], shown: Shown) -> None:
    """Set logarithmic axes where values are positive and span a wide range."""
    xs = shown.values(shown.choice.x)
    if (
        shown.choice.x != LAYER
        and are_numbers(xs)
        and len(xs) > 1
        and min(xs) > 0
        and max(xs) / min(xs) >= 8
    ):
        for axes in panels:
            axes.set_xscale("log")
    if are_numbers(xs) and all(x.is_integer() for x in xs):
        _whole_ticks(panels, xs)
    values = np.concatenate([shown.estimate[shown.there], shown.reference[shown.there]])
    values = values[np.isfinite(values)]
    far = np.abs(values).max() > HUGE
    positive = shown.choice.y in SIZES and values.min() > 0
    for axes in panels:
        if far:
            axes.margins(y=SLIGHT)
        if positive and values.max() / values.min() > WIDE:
            if values.min() < 1 / LARGEST:
                axes.set_ylim(bottom=values.min())
            axes.set_yscale("log")
            if far or values.min() < 1 / HUGE:
                set_power_ticks(axes)


def _whole_ticks(panels: Sequence[Axes], xs: Sequence[float]) -> None:
    """Set ticks at the whole numbers `xs` where they are few and apart, else at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    for axes in panels:
        logarithmic = axes.get_xscale() == "log"
        places = np.log(xs) if logarithmic else np.array(xs)
        apart = len(xs) == 1 or np.diff(places).min() >= LEAST_APART * np.ptp(places)
        if len(xs) <= MOST_TICKS and apart:
            axes.set_xticks(xs, value_words(None, xs))
            axes.set_xticks([], minor=True)
        elif not logarithmic:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _looks(shown: Shown, hues: Sequence[Any], look: Style) -> list[tuple[str, str]]:
    """Return the colour and the marker of each curve: those that its activation has in all
    pictures, where curves are activations or all are of one."""
    one = shown.choice.hue is None and ACTIVATION in shown.table.columns
    names = shown.values(ACTIVATION) if one else hues
    if shown.choice.hue == ACTIVATION or (one and len(names) == 1):
        return [(own.color, own.marker) for own in series_of([*map(str, names)], look)]
    markers = itertools.cycle(MARKERS)
    return [*zip(_colors(hues, look), markers, strict=False)]


def _colors(values: Sequence[Any], look: Style) -> list[str]:
    """Return a colour for each value: in the order of numbers from dark to light, else those that
    differ most."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    if len(values) <= len(look.cycle) and not (are_numbers(values) and len(values) > 4):
        return list(look.cycle[: len(values)])
    shares = np.linspace(0.05, 0.85, len(values))
    return [to_hex(color) for color in colormaps["viridis"](shares)]
