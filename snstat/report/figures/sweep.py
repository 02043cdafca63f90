"""A sweep as curves: a statistic over one option, colours for a second, panels for a third."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.errors import InvalidValueError
from snstat.report.figures.panel import HUGE, LARGEST, SLIGHT
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
from snstat.report.figures.sweep_points import (
    LAYER,
    SEED,
    Choice,
    Shown,
    are_numbers,
    in_words,
)
from snstat.report.figures.ticks import set_power_ticks
from snstat.report.numbers import as_given
from snstat.report.words import count
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
        colors = _colors(hues, look)
        for axes, column in zip(panels, columns, strict=False):
            inside = shown.there & shown.equal(choice.col, column)
            for number, hue in enumerate(hues):
                chosen = inside & shown.equal(choice.hue, hue)
                label = "" if choice.hue is None else f"{in_words(choice.hue)} {_text(hue)}"
                look_of = colors[number], MARKERS[number % len(MARKERS)]
                _curve(axes, shown.points(chosen), look_of, label)
            if choice.col is not None:
                axes.set_title(f"{in_words(choice.col)} {_text(column)}")
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
            own, labels = axes.get_legend_handles_labels()
            handles = dict(zip(labels, own, strict=True)) | handles
        if choice.hue is not None:
            place_legend(figure, [*handles.values()])
        place_caption(figure, _caption(sweep, shown) if caption else "", look)
        settle(figure)
    return figure


def _curve(axes: Axes, found: Points, look: tuple[str, str], label: str) -> None:
    """Draw one curve in the colour and with the marker of `look`."""
    xs, mean, error, theory = found
    color, marker = look
    places = xs if are_numbers(xs) else [str(x) for x in xs]
    measured = bool(np.isfinite(mean).any())
    if np.isfinite(theory).any():
        axes.plot(places, theory, color=color, alpha=0.8, label="" if measured else label)
    if measured:
        bars = np.minimum(np.nan_to_num(error), LARGEST)
        axes.errorbar(places, mean, bars, color=color, fmt=marker, markersize=4, label=label)


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
            if all(float(x).is_integer() for x in xs) and len(xs) <= 8:
                axes.set_xticks(xs, [_text(x) for x in xs])
                axes.set_xticks([], minor=True)
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


def _caption(sweep: Sweep, shown: Shown) -> str:
    """Return what the picture is of."""
    table, choice = sweep.cells, shown.choice
    seeds = len(shown.values(SEED)) if SEED in sweep.columns else 1
    place = "every layer" if choice.x == LAYER else "the last layer"
    if choice.y == GRADIENT and choice.x != LAYER:
        place = "the first row, over the last"
    words = [f"{in_words(choice.y)} of {place}", count(len(table), "cell")]
    if seeds > 1:
        words.append(f"means over {seeds} seeds")
    failed, lost = int(table.failed.sum()), shown.cells_lost
    words += [f"{failed} failed"] if failed else []
    words += [f"{lost} with gaps where numbers are not finite"] if lost else []
    return " · ".join([*words, "lines: theory"])


def _colors(values: Sequence[Any], look: Style) -> list[str]:
    """Return a colour for each value: in the order of numbers from dark to light, else those that
    differ most."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    if len(values) <= len(look.cycle) and not (are_numbers(values) and len(values) > 4):
        return list(look.cycle[: len(values)])
    shares = np.linspace(0.05, 0.85, len(values))
    return [to_hex(color) for color in colormaps["viridis"](shares)]


def _text(value: Any) -> str:
    return as_given(value) if isinstance(value, float) else str(value)
