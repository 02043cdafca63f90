"""Statistics over depth: simulation beside theory, all runs overlaid or on separate axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from snstat.report.figures.brackets import brackets_of, draw_brackets, thin_labels
from snstat.report.figures.captions import run_caption, run_labels
from snstat.report.figures.layer_axis import make_room, set_layers
from snstat.report.figures.panel import (
    DOTTED,
    ENDS,
    FAINT,
    Drawn,
    band_words,
    draw_panel,
    draw_residuals,
    drawable,
    ends,
    inner,
)
from snstat.report.figures.series import series_of
from snstat.report.figures.style import (
    WIDTH,
    Style,
    drawing,
    page,
    place_caption,
    place_legend,
    settle,
    style_named,
)
from snstat.results import GRADIENT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from snstat.results import FloatArray, Run

# Draws one statistic of some runs on its axes.
Drawing: TypeAlias = "Callable[[Axes, Sequence[Drawn], str, Style], None]"
# More runs than these get separate axes, this many side by side.
MOST_OVERLAID = 7
ACROSS = 4
# Heights in inches: of a panel and its residual strip, of small ones, and the rest of the page.
PANEL, STRIP, SMALL, SMALL_STRIP, REST = 1.75, 0.65, 1.15, 0.5, 0.8


@dataclass(frozen=True, slots=True)
class Options:
    """How trajectories are drawn.

    `gradients` holds the theoretical gradient (layers,) of each run, drawn if it was not measured.
    `targets` holds the target (mean, variance) of each run, or None. `residuals` adds a strip of z
    below each panel. `caption` describes the network below the panels. `size` is (width, height) in
    inches. `statistics` names the panels, by default mean, variance, and cosine and gradient if
    known. `labels` names the runs, by default by what distinguishes them. `panel` is the height of
    a panel that all runs share, in inches. With `quantiles`, bands are 5 to 95 % of the trials of
    runs that kept them, instead of one standard error.
    """

    gradients: Sequence[FloatArray | None] = ()
    targets: Sequence[tuple[float, float] | None] = ()
    residuals: bool = False
    caption: bool = True
    size: tuple[float, float] | None = None
    statistics: Sequence[str] = ()
    labels: Sequence[str] = ()
    panel: float = PANEL
    quantiles: bool = False


def draw_trajectory(
    runs: Sequence[Run], style: str = "light", options: Options | None = None
) -> Figure:
    """Return a figure of mean, variance and, if known, cosine and gradient over depth.

    Markers with ±1 standard error bars and a band are simulation. Lines are the theory that z was
    computed with. A thin vertical line marks where a run stopped being finite or was interrupted.
    More than seven runs get separate axes. Raises UnknownNameError for an unknown style.
    """
    look, options = style_named(style), options or Options()
    drawn = drawables(runs, look, options)
    names = list(options.statistics) or shown_statistics(drawn)
    small = len(drawn) > MOST_OVERLAID
    with drawing(look):
        figure = (_small_multiples if small else _overlaid)(drawn, names, look, options)
        _legend(figure, drawn, names, look, options, named=not small)
        if options.caption:
            place_caption(figure, run_caption(runs), look)
        settle(figure)
        make_room([axes for axes in figure.axes if axes.get_visible()], _longest(drawn))
        for axes in figure.axes:
            thin_labels(axes)
    return figure


def drawables(runs: Sequence[Run], look: Style, options: Options) -> list[Drawn]:
    """Return the runs with their looks, labels, gradients and targets."""
    looks = series_of([run.subject.called for run in runs], look)
    nothing: list[Any] = [None] * len(runs)
    return [
        Drawn(*parts)
        for parts in zip(
            runs,
            looks,
            options.labels or run_labels(runs),
            options.gradients or nothing,
            options.targets or nothing,
            [options.quantiles] * len(runs),
            strict=True,
        )
    ]


def shown_statistics(drawn: Sequence[Drawn]) -> list[str]:
    """Return mean, variance, and cosine and gradient if known; of traced modules the second moment,
    and what is known of cosines and gradient beyond the input."""
    traced = all(entry.run.module is not None for entry in drawn)
    first = int(traced)
    names = ["second_moment"] if traced else ["mean", "variance"]
    for name in ("cosine", *(["position_cosine"] if traced else []), GRADIENT):
        found = [entry.statistic(name) for entry in drawn]
        if any(
            statistic is not None
            and (np.isfinite(statistic.estimate[first:]).any() or name == GRADIENT)
            for statistic in found
        ):
            names.append(name)
    return names


def _overlaid(
    drawn: Sequence[Drawn], names: Sequence[str], look: Style, options: Options
) -> Figure:
    """Return a panel for each statistic, which all runs share, with a strip of z below it if some
    run has any."""
    rows = _rows(drawn, names, options, (options.panel, STRIP))
    heights = [height for height, _, _ in rows]
    figure = page(WIDTH, sum(heights) + REST, options.size)
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[
        :, 0
    ]
    for axes, (_, draw, name) in zip(panels, rows, strict=True):
        draw(axes, drawn, name, look)
    panels[-1].set_xlabel("layer")
    set_layers(panels[-1], _longest(drawn))
    networks = [entry.run.network for entry in drawn]
    if networks[0] is not None and all(
        network is not None and network.layers == networks[0].layers for network in networks
    ):
        draw_brackets(panels[-1], brackets_of(networks[0], _longest(drawn) - 1), look)
    return figure


def _rows(
    drawn: Sequence[Drawn], names: Sequence[str], options: Options, heights: tuple[float, float]
) -> list[tuple[float, Drawing, str]]:
    """Return the height, what draws it, and the statistic of each row of panels: a strip follows
    where it is asked for and some run has z. `heights` are those of a panel and a strip."""
    rows: list[tuple[float, Drawing, str]] = []
    for name in names:
        rows.append((heights[0], draw_panel, name))
        if options.residuals and any(_has_residuals(entry, name) for entry in drawn):
            rows.append((heights[1], draw_residuals, name))
    return rows


def _has_residuals(entry: Drawn, name: str) -> bool:
    statistic = entry.statistic(name)
    return statistic is not None and bool(np.isfinite(statistic.z).any())


def _small_multiples(
    drawn: Sequence[Drawn], names: Sequence[str], look: Style, options: Options
) -> Figure:
    """Return a column of panels for each run, with several columns side by side."""
    bands = -(-len(drawn) // ACROSS)
    rows = _rows(drawn, names, options, (SMALL, SMALL_STRIP))
    each, heights = len(rows), bands * [height for height, _, _ in rows]
    figure = page(WIDTH * 1.25, sum(heights) + REST, options.size)
    grid = figure.subplots(bands * each, ACROSS, sharex=True, squeeze=False, height_ratios=heights)
    for row, (_, draw, name) in enumerate(rows):
        row_axes: list[Axes] = []
        for number, entry in enumerate(drawn):
            band, column = divmod(number, ACROSS)
            axes = grid[band * each + row, column]
            if draw is draw_panel or _has_residuals(entry, name):
                draw(axes, [entry], name, look)
                row_axes.append(axes)
            if column:
                axes.set_ylabel("")
            if row == 0:
                axes.set_title(entry.label, color=entry.series.color, fontsize=9)
        if draw is draw_panel:
            _share(row_axes)
    for axes in grid.flat:
        if not axes.has_data():
            axes.set_visible(False)
    for column in grid.T:
        # The last band may not reach every column.
        lowest = [axes for axes in column if axes.get_visible()][-1]
        lowest.set_xlabel("layer")
        lowest.tick_params(labelbottom=True)
    set_layers(grid[-1, 0], _longest(drawn))
    return figure


def _share(panels: Sequence[Axes]) -> None:
    """Give all panels of a statistic the same limits if they have the same kind of scale."""
    if len({axes.get_yscale() for axes in panels}) > 1:
        return
    limits = np.array([axes.get_ylim() for axes in panels])
    for axes in panels:
        axes.set_ylim(float(limits[:, 0].min()), float(limits[:, 1].max()))


def _longest(drawn: Sequence[Drawn]) -> int:
    return max(len(entry.run.finite) for entry in drawn)


def _predicted(entry: Drawn, name: str) -> bool:
    """Return whether theory is known in some layer."""
    found = entry.statistic(name)
    return found is not None and bool(np.isfinite(found.reference).any())


def simulated(entry: Drawn, name: str) -> bool:
    """Return whether an estimate is drawn in some layer."""
    found = entry.statistic(name)
    return found is not None and bool(np.isfinite(drawable(found.estimate)).any())


def banded(entry: Drawn, name: str) -> bool:
    """Return whether the band of a statistic is one of quantiles."""
    found = entry.statistic(name)
    kept = found is not None and found.trials is not None
    return entry.quantiles and kept and simulated(entry, name)


def mixed(entry: Drawn, name: str) -> bool:
    """Return whether theory at the simulated width is known in some layers only."""
    found = entry.statistic(name)
    if found is None:
        return False
    return bool(np.isfinite(found.expected).any() and found.infinite_width.any())


def within_words(drawn: Sequence[Drawn]) -> list[str]:
    """Return what the layers are that no curve connects, nothing where there are none."""
    return sorted(
        {
            "within blocks" if entry.run.module is None else "other calls"
            for entry in drawn
            if len(inner(entry.run, len(entry.run.finite)))
        }
    )


def within_handles(drawn: Sequence[Drawn], look: Style) -> list[Line2D]:
    """Return the legend's entries of `within_words`."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=look.ink, linestyle="", marker=".", alpha=FAINT, markersize=4,
               label=words)
        for words in within_words(drawn)
    ]  # fmt: skip


def _legend(
    figure: Figure,
    drawn: Sequence[Drawn],
    names: Sequence[str],
    look: Style,
    options: Options,
    *,
    named: bool,
) -> None:
    """Put the legend above the panels, clear of the data."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    if named:
        handles = [
            Line2D(
                [],
                [],
                color=entry.series.color,
                linestyle=entry.series.line,
                marker=entry.series.marker,
                markerfacecolor=look.ground,
                label=entry.label,
            )
            for entry in drawn
        ]
    if any(simulated(entry, name) for entry in drawn for name in names):
        handles.append(
            Line2D([], [], color=look.ink, linestyle="", marker="o", markerfacecolor=look.ground,
                   label="simulation ± 1 s.e.")
        )  # fmt: skip
    if any(banded(entry, name) for entry in drawn for name in names):
        words = band_words(entry.run for entry in drawn)
        handles.append(Patch(color=look.ink, alpha=0.3, linewidth=0, label=words))
    if any(_predicted(entry, name) for entry in drawn for name in names):
        handles.append(Line2D([], [], color=look.ink, label="theory"))
    if any(mixed(entry, name) for entry in drawn for name in names):
        handles.append(
            Line2D([], [], color=look.ink, alpha=FAINT, label="theory at infinite width")
        )
    handles += within_handles(drawn, look)
    for target in dict.fromkeys(entry.target for entry in drawn if entry.target is not None):
        words = f"target ({target[0]:g}, {target[1]:g})"
        handles.append(Line2D([], [], color=look.ink, linewidth=0.9, linestyle=DOTTED, label=words))
    if named:
        marks = [(entry.series.color, *end[1:]) for entry in drawn for end in ends(entry.run)]
    else:
        found = {end[1] for entry in drawn for end in ends(entry.run)}
        marks = [(look.ink, line, words) for line, words in ENDS.items() if line in found]
    handles += [
        Line2D([], [], color=color, linewidth=0.8, linestyle=line, label=words)
        for color, line, words in marks
    ]
    place_legend(figure, handles, grow=options.size is None)
