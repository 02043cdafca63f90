"""The correlation map with its diagonal and fixed points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from snstat.activation import display_name
from snstat.report.figures.captions import curves_caption
from snstat.report.figures.series import Series, series_of
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path as MarkerPath

    from snstat.results import CorrelationCurve

# More curves than these get separate axes: this many side by side, each this many inches high.
MOST_OVERLAID = 7
ACROSS = 4
SMALL = 2.2
# In points: the size of a marker, and of the circle of sectors where fixed points are equal.
MARK, CIRCLE = 7.0, 13.0
# Half the gap between sectors, as a share of their radius.
GAP = 0.1
# Fixed points this close count as equal.
SAME = 1e-6


def draw_correlation(
    curves: Sequence[CorrelationCurve],
    style: str = "light",
    *,
    caption: bool = True,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of the correlation of two inputs after one layer against that before it.

    Stable fixed points are filled, others are open. Equal fixed points of several curves are the
    sectors of one circle, clockwise from its top in the order of the curves. More than
    seven curves get separate axes. `size` is (width, height) in inches. Raises UnknownNameError for
    an unknown style.
    """
    look = style_named(style)
    looks = series_of([curve.activation for curve in curves], look)
    low = min(0.0, *(float(curve.correlations[0]) for curve in curves))
    with drawing(look):
        if len(curves) <= MOST_OVERLAID:
            figure = page(WIDTH, 4.9, size)
            figure.set_layout_engine("compressed")
            axes = figure.subplots()
            shared = _draw(axes, curves, looks, low, look)
            axes.set_xlabel("correlation of two inputs' pre-activations")
            axes.set_ylabel("their correlation one layer later")
            handles = [*_names(curves, looks), *_meanings(look, shared=shared)]
            figure.legend(handles=handles, loc="outside right center")
        else:
            figure = _small_multiples(curves, looks, low, look, size)
        if caption:
            place_caption(figure, curves_caption(curves), look)
        settle(figure)
    return figure


def _small_multiples(
    curves: Sequence[CorrelationCurve],
    looks: Sequence[Series],
    low: float,
    look: Style,
    size: tuple[float, float] | None,
) -> Figure:
    """Return a figure with separate axes for each curve."""
    rows = -(-len(curves) // ACROSS)
    figure = page(WIDTH * 1.2, rows * SMALL + 0.7, size)
    # The labels of the axes belong to a part of the page, so that the caption stands below them.
    body = figure.add_subfigure(figure.add_gridspec(1, 1)[0])
    grid = body.subplots(rows, ACROSS, sharex=True, sharey=True, squeeze=False)
    for axes, curve, series in zip(grid.flat, curves, looks, strict=False):
        _draw(axes, [curve], [series], low, look)
        axes.set_title(_label(curve), color=series.color, fontsize=7.5)
    for axes in grid.flat[len(curves) :]:
        axes.set_visible(False)
    body.supxlabel("correlation of two inputs' pre-activations", fontsize=9.5)
    body.supylabel("their correlation one layer later", fontsize=9.5)
    place_legend(figure, _meanings(look, shared=False), grow=size is None)
    return figure


def _draw(
    axes: Axes,
    curves: Sequence[CorrelationCurve],
    looks: Sequence[Series],
    low: float,
    look: Style,
) -> bool:
    """Draw curves with fixed points, and the diagonal. Return whether curves share a point."""
    dress(axes, look)
    axes.plot([low, 1], [low, 1], color=look.faint, linewidth=1.0, zorder=1.5)
    places: list[list[tuple[float, bool, Series]]] = []
    for curve, series in zip(curves, looks, strict=True):
        axes.plot(
            curve.correlations, curve.images, color=series.color, linestyle=series.line, zorder=2
        )
        for point in curve.fixed_points:
            mark = (point.value, point.stable, series)
            near = [place for place in places if abs(place[0][0] - point.value) <= SAME]
            if near:
                near[0].append(mark)
            else:
                places.append([mark])
    # Room for markers in the corners, clear of the frame and its labels.
    room = 0.05 * (1 - low)
    axes.set_xlim(low - room, 1 + room)
    axes.set_ylim(low - room, 1 + room)
    axes.set_box_aspect(1)
    for place in places:
        _draw_marks(axes, place, look)
    return any(len(place) > 1 for place in places)


def _draw_marks(axes: Axes, place: Sequence[tuple[float, bool, Series]], look: Style) -> None:
    """Draw one fixed point, or equal ones as the sectors of a circle, all where they are."""
    for number, (value, stable, series) in enumerate(place):
        marker: Any = series.marker
        size, edge = MARK, 1.4
        if len(place) > 1:
            marker = _sector(number, len(place))
            # Matplotlib scales the farthest point of a marker to half of its size.
            size, edge = CIRCLE * float(abs(marker.vertices).max()), 1.0
        axes.plot(
            [value],
            [value],
            marker=marker,
            markersize=size,
            color=series.color,
            markerfacecolor=series.color if stable else look.ground,
            markeredgewidth=edge,
            clip_on=False,
            zorder=3,
        )


def _sector(number: int, count: int) -> MarkerPath:
    """Return one of `count` equal sectors of the unit circle, clockwise from the top, moved outward
    to leave a gap between them."""
    from matplotlib.path import Path
    from matplotlib.transforms import Affine2D

    angle = 360.0 / count
    middle = math.radians(90.0 - (number + 0.5) * angle)
    away = GAP / math.sin(math.radians(angle / 2.0))
    moved = Affine2D().translate(away * math.cos(middle), away * math.sin(middle))
    whole = Path.wedge(90.0 - (number + 1) * angle, 90.0 - number * angle)
    return whole.transformed(moved)


def _names(curves: Sequence[CorrelationCurve], looks: Sequence[Series]) -> list[Any]:
    """Return a legend entry for each curve."""
    from matplotlib.lines import Line2D

    return [
        Line2D(
            [], [], color=series.color, linestyle=series.line, marker=series.marker,
            label=_label(curve),
        )
        for curve, series in zip(curves, looks, strict=True)
    ]  # fmt: skip


def _meanings(look: Style, *, shared: bool) -> list[Any]:
    """Return the legend entries that apply to all curves. Fixed points may be `shared`."""
    from matplotlib.lines import Line2D
    from matplotlib.path import Path

    dot: dict[str, Any] = {"linestyle": "", "marker": "o", "color": look.ink, "markersize": 6}
    handles = [
        Line2D([], [], color=look.faint, linewidth=1.0, label="unchanged"),
        Line2D([], [], label="stable", **dot),
        Line2D([], [], label="not stable", markerfacecolor=look.ground, **dot),
    ]
    if shared:
        dot |= {"marker": Path.make_compound_path(*(_sector(n, 3) for n in range(3)))}
        dot |= {"markersize": CIRCLE, "markerfacecolor": look.ground}
        handles.append(Line2D([], [], label="of several\ncurves", **dot))
    return handles


def _label(curve: CorrelationCurve) -> str:
    """Return the label of a curve: its activation and parameters."""
    text = f"{display_name(curve.activation)}\ngain {curve.weight_gain:.4g}"
    if curve.bias_std:
        text += f", bias std {curve.bias_std:.4g}"
    return f"{text}\nq = {curve.second_moment:.4g}"
