"""A map of mean and variance as arrows, after figure 2 of the SNN paper (arXiv:1706.02515)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from snstat.activation import display_name
from snstat.report.figures.captions import field_caption
from snstat.report.figures.series import Series, series_of
from snstat.report.figures.style import (
    WIDTH,
    Style,
    blend,
    drawing,
    dress,
    page,
    place_caption,
    settle,
    style_named,
)
from snstat.report.figures.ticks import shade_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from snstat.results import FixedPoint, FloatArray, MapField

# The approximate number of arrows along each axis, and the length of an arrow in inches.
ARROWS = 18
ARROW_LENGTH = 0.17
# Steps below this fraction of the largest coordinate are rounding errors and count as 0.
ROUNDING = 1e-12
# Line styles of the nullclines of mean and variance.
NULLCLINES: tuple[Any, ...] = ("dashed", "dashdot")


def draw_map(
    field: MapField,
    style: str = "light",
    *,
    caption: bool = True,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of `field`: arrows, nullclines, trajectories, fixed points and domain.

    Arrows show the direction of one layer's step as it appears on the page; their shade shows
    its length. Nullclines and fixed points have the colour of the activation. `size` is (width,
    height) in inches. Raises UnknownNameError for an unknown style.
    """
    look = style_named(style)
    # Two curves of one activation: those of the mean and of the variance.
    looks = series_of([field.activation] * 2, look)
    with drawing(look):
        figure = page(WIDTH, 5.0, size)
        axes = figure.subplots()
        axes.set_xlim(field.means[0], field.means[-1])
        axes.set_ylim(field.variances[0], field.variances[-1])
        axes.set_xlabel("activation mean")
        axes.set_ylabel("activation variance")
        parameters = ", ".join(
            f"{name.replace('_', ' ')} {value:.4g}" for name, value in field.parameters.items()
        )
        axes.set_title(f"{display_name(field.activation)} {field.map} map, {parameters}")
        dress(axes, look)
        _draw_arrows(figure, axes, field, look)
        _draw_nullclines(axes, field, looks)
        _draw_trajectories(axes, field, look)
        _draw_marks(axes, field, looks[0].color, look)
        _legend(figure, field, looks, look)
        if caption:
            place_caption(figure, field_caption(field), look)
        settle(figure)
    return figure


def _draw_arrows(figure: Figure, axes: Axes, field: MapField, look: Style) -> None:
    """Draw unit arrows along the steps, shaded by the logarithm of their length."""
    from matplotlib.colors import LinearSegmentedColormap

    rows, columns = (_spread(len(array)) for array in (field.variances, field.means))
    step_mean, step_variance = (step[np.ix_(rows, columns)] for step in _steps(field))
    # Directions on the page, where the axes have different scales.
    across = step_mean / np.ptp(field.means)
    up = step_variance / np.ptp(field.variances)
    length = np.hypot(across, up)
    if not (length > 0).any():
        return
    # Points that do not move have no arrow.
    length[length == 0] = np.nan
    shade = LinearSegmentedColormap.from_list(
        "steps", [blend(look.ink, look.ground, share) for share in (0.22, 0.85)]
    )
    aspect = _page_aspect(figure)
    run, rise = across * aspect / length, up / length
    norm = np.hypot(run, rise)
    shades = np.log10(np.maximum(length, 1e-3))
    arrows = axes.quiver(
        field.means[columns],
        field.variances[rows],
        run / norm,
        rise / norm,
        shades,
        cmap=shade,
        angles="uv",
        pivot="mid",
        scale_units="inches",
        scale=1 / ARROW_LENGTH,
        width=0.0024,
        headwidth=4.5,
        headlength=5.0,
        zorder=1.5,
    )
    bar = figure.colorbar(arrows, ax=axes, pad=0.02, aspect=30, shrink=0.8)
    bar.set_label("length of one step, relative to the axes")
    known = shades[np.isfinite(shades)]
    ticks = shade_ticks(float(known.min()), float(known.max())) if known.size else []
    bar.set_ticks(np.log10(ticks).tolist(), labels=[f"{tick:g}" for tick in ticks])
    bar.outline.set_visible(False)


def _draw_nullclines(axes: Axes, field: MapField, looks: Sequence[Series]) -> None:
    """Draw the curves on which the mean, or the variance, does not change."""
    for step, series, line in zip(_steps(field), looks, NULLCLINES, strict=True):
        if _crosses(step):
            axes.contour(
                field.means,
                field.variances,
                step,
                levels=[0.0],
                colors=[series.color],
                linestyles=[line],
                linewidths=1.6,
                zorder=2,
            )


def _steps(field: MapField) -> tuple[FloatArray, FloatArray]:
    """Return the change of mean and variance in one layer, each (rows, columns), 0 if rounding."""
    step_mean = field.new_mean - field.means
    step_variance = field.new_variance - field.variances[:, np.newaxis]
    for step, coordinates in ((step_mean, field.means), (step_variance, field.variances)):
        step[np.abs(step) <= ROUNDING * np.abs(coordinates).max()] = 0.0
    return step_mean, step_variance


def _crosses(step: FloatArray) -> bool:
    """Return whether a coordinate rises in one part of the plane and falls in another."""
    return bool(np.nanmin(step) < 0 < np.nanmax(step))


def _draw_trajectories(axes: Axes, field: MapField, look: Style) -> None:
    """Draw each trajectory with a dot for every layer, a larger open one at its start."""
    for path in field.trajectories:
        axes.plot(path[:, 0], path[:, 1], "-o", color=look.ink, linewidth=1.0, markersize=2.2)
        # Starts often lie on the frame, and must not be clipped.
        axes.plot(
            path[:1, 0],
            path[:1, 1],
            "o",
            color=look.ink,
            markerfacecolor=look.ground,
            markersize=5,
            clip_on=False,
            zorder=3,
        )


def _draw_marks(axes: Axes, field: MapField, color: str, look: Style) -> None:
    """Outline theorem 1's domain and mark the fixed points: filled when stable."""
    from matplotlib.patches import Rectangle

    if field.domain is not None:
        left, right, low, high = field.domain
        axes.add_patch(
            Rectangle(
                (left, low), right - left, high - low, fill=False, edgecolor=look.ink,
                linewidth=1.4, linestyle=(0, (1, 1.2)), zorder=3,
            )
        )  # fmt: skip
    for point in _in_frame(field):
        axes.plot(
            [point.mean],
            [point.variance],
            marker="*",
            markersize=13,
            color=color,
            markerfacecolor=color if point.stable else look.ground,
            markeredgecolor=look.ink,
            markeredgewidth=0.8,
            clip_on=False,
            zorder=4,
        )


def _legend(figure: Figure, field: MapField, looks: Sequence[Series], look: Style) -> None:
    """Put the legend above the plane."""
    from matplotlib.lines import Line2D

    star: dict[str, Any] = {
        "linestyle": "",
        "marker": "*",
        "markersize": 11,
        "markeredgecolor": look.ink,
    }
    handles = []
    for name, step, series, line in zip(
        ("mean", "variance"), _steps(field), looks, NULLCLINES, strict=True
    ):
        if _crosses(step):
            handles.append(
                Line2D([], [], color=series.color, linestyle=line, label=f"{name}′ = {name}")
            )
        elif not step.any():
            handles.append(Line2D([], [], linestyle="", label=f"{name}′ = {name} everywhere"))
    if any(point.stable for point in _in_frame(field)):
        handles.append(Line2D([], [], color=looks[0].color, label="stable fixed point", **star))
    if any(not point.stable for point in _in_frame(field)):
        handles.append(
            Line2D([], [], color=looks[0].color, markerfacecolor=look.ground,
                   label="unstable fixed point", **star)
        )  # fmt: skip
    if len(field.trajectories):
        handles.append(
            Line2D([], [], color=look.ink, marker="o", markersize=2.5, linewidth=1.0,
                   label="trajectory")
        )  # fmt: skip
    if field.domain is not None:
        handles.append(
            Line2D([], [], color=look.ink, linestyle=(0, (1, 1.2)), linewidth=1.4,
                   label="theorem 1's domain")
        )  # fmt: skip
    figure.legend(handles=handles, loc="outside upper center", ncols=3)


def _in_frame(field: MapField) -> list[FixedPoint]:
    """Return the fixed points within the plotted plane."""
    (left, right), (low, high) = field.means[[0, -1]], field.variances[[0, -1]]
    return [
        point
        for point in field.fixed_points
        if left <= point.mean <= right and low <= point.variance <= high
    ]


def _spread(points: int) -> npt.NDArray[np.intp]:
    """Return about `ARROWS` evenly spaced indices away from the edges."""
    step = max(points // ARROWS, 1)
    return np.arange(max(step // 2, 1), points - 1, step)


def _page_aspect(figure: Figure) -> float:
    """Return the approximate ratio of width to height of the plane on the page."""
    width, height = figure.get_size_inches()
    return float(0.78 * width / (0.8 * height))
