"""How two runs differ, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from snstat.errors import InvalidValueError
from snstat.report.figures.captions import run_caption
from snstat.report.figures.layer_axis import make_room, set_layers
from snstat.report.figures.panel import (
    FAINT,
    LABELS,
    LARGEST,
    connected,
    inner,
    marked_layers,
    thinned,
)
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
from snstat.report.figures.trajectory import (
    Options,
    drawables,
    shown_statistics,
    within_handles,
)
from snstat.report.words import SEPARATOR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from snstat.report.figures.panel import Drawn
    from snstat.results import FloatArray, Run

PANEL, REST = 1.6, 1.0
BAND = 0.25


def draw_difference(
    runs: Sequence[Run], style: str = "light", options: Options | None = None
) -> Figure:
    """Return a figure of the second run less the first, for each statistic that both have.

    Markers with bars and a band are measured, with one standard error of the difference of
    independent runs; the line is the difference of theories. Gradients are compared by their
    natural logarithm. Raises UnknownNameError for an unknown style, and InvalidValueError for
    other than two runs, runs of different numbers of layers, and runs without a common statistic.
    """
    look, options = style_named(style), options or Options()
    if len(runs) != 2:
        raise InvalidValueError("number of runs", len(runs), "2 with --kind difference")
    counts = [len(run.finite) for run in runs]
    if counts[0] != counts[1]:
        shown = f"{counts[0] - 1:,} and {counts[1] - 1:,}"
        raise InvalidValueError("layers of the two runs", shown, "equal")
    first, second = drawn = drawables(runs, look, options)
    names = [
        name
        for name in shown_statistics(drawn)
        if np.isfinite(_difference(first, second, name)[0]).any()
    ]
    if not names:
        raise InvalidValueError("statistics of the two runs", "none in common", "at least one")
    with drawing(look):
        figure = page(WIDTH, PANEL * len(names) + REST, options.size)
        panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
        for axes, name in zip(panels, names, strict=True):
            _draw(axes, first, second, name, look)
        panels[-1].set_xlabel("layer")
        set_layers(panels[-1], counts[0])
        _legend(figure, drawn, look, grow=options.size is None)
        if options.caption:
            words = f"{second.label} less {first.label}, as of independent runs"
            place_caption(figure, SEPARATOR.join([words, run_caption(runs)]), look)
        settle(figure)
        make_room(list(panels), counts[0])
    return figure


def _difference(
    first: Drawn, second: Drawn, name: str
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the measured difference, its standard error, and that of theory, each (layers,)."""
    parts = []
    for entry in (first, second):
        statistic = entry.statistic(name)
        if statistic is None:
            nothing = np.full(len(entry.run.finite), np.nan)
            parts.append((nothing, nothing, nothing))
            continue
        estimate, theory = statistic.estimate, statistic.reference
        if statistic.logarithmic:
            with np.errstate(divide="ignore", invalid="ignore"):
                estimate, theory = np.log(estimate), np.log(theory)
        parts.append((estimate, statistic.stderr, theory))
    (one, one_error, one_theory), (two, two_error, two_theory) = parts
    with np.errstate(invalid="ignore", over="ignore"):
        found = two - one, np.hypot(one_error, two_error), two_theory - one_theory
    estimate, error, theory = (np.where(np.abs(part) <= LARGEST, part, np.nan) for part in found)
    return estimate, error, theory


def _draw(axes: Axes, first: Drawn, second: Drawn, name: str, look: Style) -> None:
    dress(axes, look)
    words = LABELS.get(name, name.replace("_", " "))
    statistic = second.statistic(name)
    axes.set_ylabel(f"ln of {words}" if statistic is not None and statistic.logarithmic else words)
    axes.axhline(0.0, color=look.faint, linewidth=0.9, zorder=1.5)
    whole, color = _difference(first, second, name), second.series.color
    one, two, every = first.run, second.run, len(whole[0])
    # What either run has within a residual is on no curve.
    layers = thinned(np.intersect1d(connected(one, every), connected(two, every)))
    within = np.union1d(inner(one, every), inner(two, every))
    if within.size:
        axes.plot(within, whole[0][within], ".", color=color, alpha=FAINT, markersize=3, zorder=2)
    estimate, error, theory = (part[layers] for part in whole)
    axes.plot(layers, theory, color=color, linestyle=second.series.line, zorder=2.5)
    axes.fill_between(
        layers, estimate - error, estimate + error, color=color, alpha=BAND, linewidth=0
    )
    marked = marked_layers(layers, 0)
    axes.errorbar(
        layers[marked], estimate[marked], yerr=np.nan_to_num(error[marked]),
        fmt=second.series.marker, color=color, markerfacecolor=look.ground, markeredgewidth=1.1,
        elinewidth=1.0, capsize=0, zorder=3,
    )  # fmt: skip


def _legend(figure: Figure, drawn: Sequence[Drawn], look: Style, *, grow: bool) -> None:
    from matplotlib.lines import Line2D

    series = drawn[1].series
    handles = [
        Line2D([], [], color=series.color, marker=series.marker, linestyle="",
               markerfacecolor=look.ground, label="measured difference ± 1 s.e."),
        Line2D([], [], color=series.color, linestyle=series.line, label="difference of theories"),
        *within_handles(drawn, look),
    ]  # fmt: skip
    place_legend(figure, handles, grow=grow)
