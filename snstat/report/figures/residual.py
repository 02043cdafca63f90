"""How far simulation is from theory: z by layer, and its quantiles beside those of a normal law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from snstat.errors import InvalidValueError
from snstat.report.figures.captions import run_caption
from snstat.report.figures.layer_axis import make_room, set_layers
from snstat.report.figures.panel import LABELS, LARGEST, POINTS, thinned
from snstat.report.figures.style import (
    DASHED,
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
from snstat.report.figures.trajectory import Options, drawables, shown_statistics
from snstat.report.words import SEPARATOR, count
from snstat.values.special import special

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from snstat.report.figures.panel import Drawn
    from snstat.results import FloatArray, Run

# Runs in one picture, and the height of a row in inches.
MOST_RUNS, ROW = 7, 1.7
# Bands of z and their opacity; the axes reach beyond the wider one, and are logarithmic beyond 3
# where they reach further than FAR.
BANDS = ((3.0, 0.10), (2.0, 0.16))
LEAST_REACH, FAR = 4.0, 12.0
# Student's curves, by their degrees of freedom, of as many runs as there may be; their width.
STUDENTS: tuple[Any, ...] = (
    DASHED,
    *(
        (0, own)
        for own in ((1, 1.5), (6, 2, 1, 2), (8, 3), (6, 2, 1, 2, 1, 2), (2, 2), (10, 2, 4, 2))
    ),
)
THIN = 0.9
# Layers with the largest |z|, which are drawn in any case.
FARTHEST = 100
DEPENDENT = "layers of one run depend on each other"


def draw_residual(
    runs: Sequence[Run], style: str = "light", options: Options | None = None
) -> Figure:
    """Return a figure of z = (estimate − theory)/standard error of each statistic.

    Left: z by layer, with bands of ±2 and ±3. Right: the ordered z of all layers from the first on
    over the quantiles of a normal law, with the line on which they are equal; dashed curves are
    Student's law, which z of so few trials follows, one for each number of trials. Of thousands of
    layers, those evenly spaced on the axes are drawn, and the largest |z|. `options` are those of
    trajectories. Raises UnknownNameError for an unknown style, and InvalidValueError where no z is
    known or for more runs than there are colours.
    """
    look, options = style_named(style), options or Options()
    if len(runs) > MOST_RUNS:
        raise InvalidValueError("number of runs", len(runs), f"at most {MOST_RUNS}", "draw fewer")
    drawn = drawables(runs, look, options)
    names = [
        name
        for name in options.statistics or shown_statistics(drawn)
        if any(_residuals(entry, name).size for entry in drawn)
    ]
    if not names:
        bound = "known in some layer, of a simulation of two or more trials with theory"
        raise InvalidValueError("z of the runs", "unknown", bound)
    students = dict(zip(sorted(_freedoms(drawn, names)), STUDENTS, strict=False))
    with drawing(look):
        figure = page(WIDTH, ROW * len(names) + 1.0, options.size)
        grid = figure.subplots(len(names), 2, squeeze=False, sharex="col", width_ratios=(1.9, 1.0))
        for (left, right), name in zip(grid, names, strict=True):
            every = np.concatenate([_residuals(entry, name) for entry in drawn])
            reach = max(LEAST_REACH, 1.15 * float(np.abs(every).max()))
            for axes in (left, right):
                dress(axes, look)
                if reach > FAR:
                    axes.set_yscale("symlog", linthresh=3.0)
                axes.set_ylim(-reach, reach)
            _by_layer(left, drawn, name, look)
            _quantiles(right, drawn, name, students, look)
            right.tick_params(labelleft=False)
        longest = max(len(run.finite) for run in runs)
        set_layers(grid[-1, 0], longest)
        grid[-1, 0].set_xlabel("layer")
        grid[-1, 1].set_xlabel("normal quantile")
        place_legend(figure, _handles(drawn, students, look), grow=options.size is None)
        if options.caption:
            place_caption(figure, SEPARATOR.join([run_caption(runs), DEPENDENT]), look)
        settle(figure)
        make_room(list(grid[:, 0]), longest)
    return figure


def _residuals(entry: Drawn, name: str) -> FloatArray:
    """Return the known z of a run, (values,)."""
    statistic = entry.statistic(name)
    if statistic is None:
        return np.empty(0)
    z = statistic.z
    known: FloatArray = z[np.isfinite(z) & (np.abs(z) <= LARGEST)]
    return known


def _by_layer(axes: Axes, drawn: Sequence[Drawn], name: str, look: Style) -> None:
    words = LABELS.get(name, name.replace("_", " ")).replace("\n", " ")
    axes.set_ylabel("z")
    axes.set_title(words, loc="left", fontsize=9)
    for level, strength in BANDS:
        axes.axhspan(-level, level, color=look.faint, alpha=strength, linewidth=0, zorder=1)
    axes.axhline(0.0, color=look.faint, linewidth=0.8, zorder=1.5)
    for entry in drawn:
        statistic = entry.statistic(name)
        if statistic is not None:
            layers = _shown_layers(statistic.z)
            axes.plot(
                layers, statistic.z[layers], entry.series.marker, markersize=3.2,
                color=entry.series.color, markerfacecolor=look.ground, markeredgewidth=1.0,
                zorder=2,
            )  # fmt: skip


def _quantiles(
    axes: Axes, drawn: Sequence[Drawn], name: str, students: Mapping[int, Any], look: Style
) -> None:
    """Draw ordered z over normal quantiles at (i − ½)/n."""
    for level, strength in BANDS:
        axes.axhspan(-level, level, color=look.faint, alpha=strength, linewidth=0, zorder=1)
    most = max(_residuals(entry, name).size for entry in drawn)
    ends = special("ndtri")(np.array([0.5 / most, 1.0 - 0.5 / most]))
    line = np.linspace(1.1 * min(ends[0], -1.0), 1.1 * max(ends[1], 1.0), 201)
    axes.plot(line, line, color=look.ink, linewidth=1.0, zorder=1.6)
    own = _freedoms(drawn, [name])
    for freedom, dash in students.items():
        if freedom in own:
            student = special("stdtrit")(float(freedom), special("ndtr")(line))
            axes.plot(line, student, color=look.ink, linewidth=THIN, linestyle=dash, zorder=1.6)
    for entry in drawn:
        z = np.sort(_residuals(entry, name))
        at = special("ndtri")((np.arange(z.size) + 0.5) / max(z.size, 1))
        places = _shown_ranks(z.size)
        axes.plot(
            at[places], z[places], entry.series.marker, markersize=3.2, color=entry.series.color,
            markerfacecolor=look.ground, markeredgewidth=1.0, zorder=2,
        )  # fmt: skip


def _shown_layers(z: FloatArray) -> npt.NDArray[np.intp]:
    """Return the layers that are drawn: as on curves, and those of the largest |z|."""
    largest = np.argsort(-np.nan_to_num(np.abs(z)), kind="stable")[:FARTHEST]
    return np.union1d(thinned(np.arange(len(z))), largest)


def _shown_ranks(size: int) -> npt.NDArray[np.intp]:
    """Return which of `size` ordered values are drawn: fewer the farther they are from both ends,
    so that they are about evenly spaced over normal quantiles."""
    if size <= POINTS:
        return np.arange(size)
    tail = np.geomspace(1, size / 2, POINTS // 2).astype(np.intp) - 1
    return np.union1d(tail, size - 1 - tail)


def _freedoms(drawn: Sequence[Drawn], names: Sequence[str]) -> set[int]:
    """Return the degrees of freedom of the standard errors of all z of these statistics."""
    return {
        entry.run.simulation.trials - 1
        for entry in drawn
        if any(_residuals(entry, name).size for name in names)
    }


def _handles(drawn: Sequence[Drawn], students: Mapping[int, Any], look: Style) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Line2D([], [], color=entry.series.color, marker=entry.series.marker, linestyle="",
               markerfacecolor=look.ground, label=entry.label)
        for entry in drawn
    ]  # fmt: skip
    handles.append(Patch(color=look.faint, alpha=0.3, linewidth=0, label="±2 and ±3"))
    handles.append(Line2D([], [], color=look.ink, linewidth=1.0, label="normal"))
    for freedom, dash in students.items():
        words = f"Student's t, {count(freedom, 'degree')} of freedom"
        handles.append(Line2D([], [], color=look.ink, linewidth=THIN, linestyle=dash, label=words))
    return handles
