"""The phases of random networks on the plane of weight gain and bias deviation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.activation import display_name
from snstat.report.figures.captions import OF_WIDE
from snstat.report.figures.phase_labels import Plane, label
from snstat.report.figures.style import (
    DASHED,
    WIDTH,
    Style,
    blend,
    drawing,
    page,
    place_caption,
    place_legend,
    settle,
    style_named,
)
from snstat.report.words import SEPARATOR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import ContourSet
    from matplotlib.figure import Figure

    from snstat.results import FloatArray, Phase

# Layers at which contours are drawn; beyond the last that has a label, they crowd at χ = 1.
LEVELS, LABELLED = (1.0, 3.0, 10.0, 30.0, 100.0), 30.0
# Small multiples in a row, and the heights of one and of a single picture in inches.
ACROSS, SMALL, LARGE = 4, 1.75, 4.6
# Strength of the tints of the phases.
TINT = 0.2
NAMES = {
    "gain": ("weight gain G", "bias standard deviation b"),
    "variance": ("weight variance times fan-in, G²", "bias variance, b²"),
}


def draw_phase(
    phases: Sequence[Phase],
    style: str = "light",
    *,
    contour: str = "xi_c",
    variance: bool = False,
    dots: Sequence[Sequence[tuple[float, float]]] = (),
    caption: bool = True,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of the ordered and the chaotic phase of each activation, side by side.

    The line is χ = 1. Contours are depth scales in layers: of correlations (`contour` "xi_c"), of
    second moments ("xi_q"), "both" or "none". Where signals grow without bound the plane is
    hatched. `dots` are (gain, bias deviation) of saved runs, for each of the phases. With
    `variance`, the axes are G² and b². `size` is (width, height) in inches. Raises
    UnknownNameError for an unknown style.
    """
    look = style_named(style)
    every = list(dots) or [()] * len(phases)
    with drawing(look):
        single = len(phases) == 1
        columns = min(len(phases), ACROSS if len(phases) > 4 else 2 if len(phases) == 4 else 3)
        rows = math.ceil(len(phases) / columns)
        height = LARGE if single else rows * (SMALL * (1.25 if columns < ACROSS else 1.0)) + 1.3
        figure = page(WIDTH if columns < ACROSS else 1.2 * WIDTH, height, size)
        body = figure.add_subfigure(figure.add_gridspec(1, 1)[0])
        grid = body.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        planes = []
        for axes, phase, own in zip(grid.flat[: len(phases)], phases, every, strict=True):
            planes.append(
                _draw(axes, phase, own, look, contour=contour, variance=variance, small=not single)
            )
            axes.set_title(display_name(phase.activation), fontsize=10 if single else 8.5)
        for axes in grid.flat[len(phases) :]:
            axes.set_visible(False)
        for column in grid.T:
            lowest = [axes for axes in column if axes.get_visible()][-1]
            lowest.tick_params(labelbottom=True)
        across, up = NAMES["variance" if variance else "gain"]
        body.supxlabel(across, fontsize=9.5)
        body.supylabel(up, fontsize=9.5)
        place_legend(figure, _handles(phases, planes, look), grow=size is None)
        if caption:
            place_caption(figure, _caption(phases), look)
        settle(figure)
        for plane in planes:
            label(plane, look, small=not single, largest=LABELLED)
    return figure


def _caption(phases: Sequence[Phase]) -> str:
    names = ", ".join(dict.fromkeys(display_name(phase.activation) for phase in phases))
    return SEPARATOR.join([names, "fixed point that q = 1 moves to", OF_WIDE])


def _draw(
    axes: Axes,
    phase: Phase,
    dots: Sequence[tuple[float, float]],
    look: Style,
    *,
    contour: str,
    variance: bool,
    small: bool,
) -> Plane:
    """Draw the plane of one activation, without names and numbers."""
    power = 2 if variance else 1
    x, y = phase.weight_gain**power, phase.bias_std**power
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    axes.tick_params(which="both", colors=look.ink, labelsize=7.5 if small else 8.5)
    endless = phase.explodes.T
    with np.errstate(divide="ignore"):
        growth = np.log(phase.gradient_growth.T)
    ordered, chaotic = (growth < 0) & ~endless, (growth > 0) & ~endless
    tints = [blend(color, look.ground, TINT) for color in look.cycle[:2]]
    parts = {"ordered": ordered, "chaotic": chaotic}
    at = np.reshape([(gain**power, bias**power) for gain, bias in dots], (-1, 2))
    plane = Plane(axes, (x, y), parts, dict(zip(parts, tints, strict=True)), at)
    shown = np.ma.masked_where(endless, np.clip(growth, -1e3, 1e3))
    if not shown.mask.all():
        axes.contourf(x, y, shown, levels=[-1e4, 0.0, 1e4], colors=tints, zorder=1)
    if endless.any() and min(endless.shape) > 1:
        # From the last points that settle on.
        axes.contourf(
            x, y, np.where(endless, 1.0, 0.0), levels=[0.5, 2.0], colors="none",
            hatches=["////"], zorder=1,
        ).set(edgecolor=look.faint, linewidth=0.0)  # fmt: skip
        plane.borders["endless"] = axes.contour(
            x, y, np.where(endless, 1.0, 0.0), levels=[0.5], colors=[look.faint],
            linewidths=0.7, zorder=1.5,
        )  # fmt: skip
    for name, values, dash in (
        ("xi_c", phase.correlation_depth_scale, "solid"),
        ("xi_q", phase.depth_scale, DASHED),
    ):
        if contour in (name, "both"):
            drawn = _contours(axes, (x, y), values.T, look, dash=dash)
            if drawn is not None:
                plane.contours[name] = drawn
    if ordered.any() and chaotic.any():
        line = np.ma.masked_where(endless, growth)
        plane.borders["critical"] = axes.contour(
            x, y, line, levels=[0.0], colors=[look.ink], linewidths=2.0, zorder=3
        )
    _vanishing(axes, phase, x, y, look)
    if at.size:
        axes.plot(
            at[:, 0], at[:, 1], "o", color=look.ink, markeredgecolor=look.ground,
            markersize=6, clip_on=False, zorder=5,
        )  # fmt: skip
    return plane


def _contours(
    axes: Axes,
    at: tuple[FloatArray, FloatArray],
    values: FloatArray,
    look: Style,
    *,
    dash: Any,
) -> ContourSet | None:
    """Draw contours of the logarithm of a depth scale, None where there are none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.ma.masked_invalid(np.log10(np.minimum(values, 1e6)))
    known = logs.compressed()
    levels = [level for level in LEVELS if known.size and known.min() < math.log10(level)]
    if not levels or known.max() <= math.log10(levels[0]):
        return None
    return axes.contour(
        *at, logs, levels=np.log10(levels), colors=[look.ink], linewidths=0.7, alpha=0.75,
        linestyles=[dash], zorder=2,
    )  # fmt: skip


def _vanishing(axes: Axes, phase: Phase, x: FloatArray, y: FloatArray, look: Style) -> None:
    """Draw a thick line where the signal vanishes, which is without biases only."""
    row, column = np.nonzero(phase.vanishes.T)
    if row.size:
        axes.plot(
            [x[column.min()], x[column.max()]], [y[row[0]]] * 2, color=look.cycle[4],
            linewidth=3.0, solid_capstyle="butt", clip_on=False, zorder=4,
        )  # fmt: skip


def _handles(phases: Sequence[Phase], planes: Sequence[Plane], look: Style) -> list[Any]:
    """Return the legend's entries: of what is there."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    if any(plane.has_border("critical") for plane in planes):
        handles.append(Line2D([], [], color=look.ink, linewidth=2.0, label="χ = 1"))
    depth_scales: tuple[tuple[str, str, Any], ...] = (
        ("xi_c", "ξ$_c$ of correlations", "solid"),
        ("xi_q", "ξ$_q$ of second moments", DASHED),
    )
    for name, words, dash in depth_scales:
        levels = sorted({level for plane in planes for level in plane.levels(name)})
        if levels:
            at = ", ".join(f"{level:g}" for level in levels)
            handles.append(
                Line2D([], [], color=look.ink, linewidth=0.7, linestyle=dash,
                       label=f"{words}: {at} layer{'s' if levels != [1.0] else ''}")
            )  # fmt: skip
    if any(phase.explodes.any() for phase in phases):
        handles.append(
            Patch(facecolor="none", edgecolor=look.faint, hatch="////", linewidth=0.0,
                  label="q* infinite: the signal grows without bound")
        )  # fmt: skip
    if any(phase.vanishes.any() for phase in phases):
        handles.append(
            Line2D([], [], color=look.cycle[4], linewidth=3.0, label="q* = 0: the signal vanishes")
        )
    if any(plane.dots.size for plane in planes):
        handles.append(
            Line2D([], [], color=look.ink, marker="o", linestyle="", markersize=6,
                   label="saved runs")
        )  # fmt: skip
    return handles
