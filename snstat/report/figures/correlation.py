"""The correlation map with its diagonal and fixed points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from snstat.report.figures.style import (
    DASHES,
    MARKERS,
    WIDTH,
    drawing,
    dress,
    settle,
    style_named,
)
from snstat.report.words import display_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from snstat.results import CorrelationCurve


def draw_correlation(curves: Sequence[CorrelationCurve], style: str = "light") -> Figure:
    """Return the correlation of two inputs after one layer over that before it.

    Fixed points are filled when stable, open when not. Raises UnknownNameError for an unknown
    style.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    look = style_named(style)
    with drawing(look):
        figure = Figure(figsize=(WIDTH, 4.7), layout="compressed")
        axes = figure.subplots()
        dress(axes, look)
        low = min(0.0, *(float(curve.correlations[0]) for curve in curves))
        axes.plot([low, 1], [low, 1], color=look.faint, linewidth=1.0, zorder=1.5)
        handles = []
        for number, curve in enumerate(curves):
            color = look.cycle[number % len(look.cycle)]
            line = DASHES[number % len(DASHES)]
            marker = MARKERS[number % len(MARKERS)]
            axes.plot(curve.correlations, curve.images, color=color, linestyle=line, zorder=2)
            # Of fixed points that coincide, later ones are smaller and stand inside.
            for point in curve.fixed_points:
                axes.plot(
                    [point.value],
                    [point.value],
                    marker=marker,
                    markersize=7 + 4 * (len(curves) - 1 - number),
                    color=color,
                    markerfacecolor=color if point.stable else look.ground,
                    markeredgewidth=1.4,
                    clip_on=False,
                    zorder=3,
                )
            handles.append(
                Line2D([], [], color=color, linestyle=line, marker=marker, label=_label(curve))
            )
        dot: dict[str, Any] = {"linestyle": "", "marker": "o", "color": look.ink, "markersize": 6}
        handles += [
            Line2D([], [], color=look.faint, linewidth=1.0, label="unchanged"),
            Line2D([], [], label="stable", **dot),
            Line2D([], [], label="not stable", markerfacecolor=look.ground, **dot),
        ]
        # Marks in the corners keep clear of the frame and its labels.
        room = 0.04 * (1 - low)
        axes.set_xlim(low - room, 1 + room)
        axes.set_ylim(low - room, 1 + room)
        axes.set_box_aspect(1)
        axes.set_xlabel("correlation of two inputs' pre-activations")
        axes.set_ylabel("their correlation one layer later")
        figure.legend(handles=handles, loc="outside right center")
        settle(figure)
    return figure


def _label(curve: CorrelationCurve) -> str:
    """Return what the curve was computed for."""
    text = f"{display_name(curve.activation)}\ngain {curve.weight_gain:.4g}"
    if curve.bias_std:
        text += f", bias std {curve.bias_std:.4g}"
    return f"{text}\nq = {curve.second_moment:.4g}"
