"""The panels, the legend and the hover of a trajectory. What is drawn, its colours, markers and
scales are those of matplotlib's figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.errors import escaped
from snstat.report.figures.captions import run_caption
from snstat.report.figures.layer_axis import LEAST_ROOM, set_layers
from snstat.report.figures.panel import DOTTED, LABELS, Drawn, band_words, draw_panel, ends
from snstat.report.figures.style import Style, drawing, style_named
from snstat.report.figures.trajectory import (
    Options,
    banded,
    drawables,
    mixed,
    shown_statistics,
    simulated,
    within_words,
)
from snstat.report.interactive.axis import Axis, axis_of
from snstat.report.interactive.loading import load_bokeh
from snstat.report.interactive.page import InteractivePage
from snstat.report.interactive.run import dashes_of, draw_run

if TYPE_CHECKING:
    from snstat.results import Run

# Heights in pixels: of a panel, of the label of the layers, of a row of the legend; runs in a row.
PANEL, LABEL, LEGEND_ROW, ACROSS = 230, 22, 34, 4
# Pixels between the left edge and the axes, the same for all panels.
LEFT = 90
TOOLTIPS = [
    ("run", "$name"),
    ("layer", "@layer"),
    ("name", "@name"),
    ("kind", "@kind"),
    ("simulation", "@shown"),
    ("theory", "@shown_theory"),
    ("z", "@shown_z"),
]


def draw_interactive(
    runs: Sequence[Run], style: str = "light", options: Options | None = None
) -> InteractivePage:
    """Return a page of mean, variance and, if known, cosine and gradient over depth.

    All runs share the panels, and the panels the axis of layers. The legend hides and shows runs.
    Markers with bars of ±1 standard error are at the layers where `draw_trajectory` has them, and
    points at the others that it connects, at most 2,000 of a run. Each has the numbers of the
    record in columns layer, estimate, stderr (of the logarithm where the statistic is), theory (the
    one of z) and z. Of `options`, `residuals`, `size` and `panel` have no effect. Raises
    UnknownNameError for an unknown style, and SnstatError without bokeh.
    """
    load_bokeh()
    from bokeh.layouts import gridplot
    from bokeh.models import Range1d

    look, options = style_named(style), options or Options()
    drawn = drawables(runs, look, options)
    names = list(options.statistics) or shown_statistics(drawn)
    across, up = _axes(drawn, names, look)
    shared = Range1d(across.low, across.high)
    panels: list[Any] = []
    shown: list[list[Any]] = [[] for _ in drawn]
    for name, axis in zip(names, up, strict=True):
        panel = _panel(LABELS.get(name, name.replace("_", " ")), shared, across, axis, look)
        for goal in sorted({goal for entry in drawn if (goal := entry.goal(name)) is not None}):
            places = axis.places(np.array([goal])).tolist()
            panel.hspan(y=places, line_color=look.ink, line_dash=dashes_of(DOTTED))
        hovered = []
        for number, entry in enumerate(drawn):
            found, points = draw_run(panel, entry, name, number, (across, axis), look)
            shown[number] += found
            hovered += points
        _hover(panel, hovered)
        panels.append(panel)
    panels[-1].xaxis.axis_label = "layer"
    panels[-1].height += LABEL
    _place_legend(panels[0], drawn, shown, look)
    grid = gridplot(
        [[panel] for panel in panels],
        merge_tools=True,
        toolbar_location="right",
        sizing_mode="stretch_width",
        toolbar_options={"logo": None},
    )
    return InteractivePage(
        grid,
        ", ".join(entry.label for entry in drawn),
        _key(drawn, names),
        run_caption(runs) if options.caption else "",
        look,
    )


def _axes(drawn: Sequence[Drawn], names: Sequence[str], look: Style) -> tuple[Axis, list[Axis]]:
    """Return the axis of layers, and that of each statistic, as matplotlib's figure has them."""
    from matplotlib.figure import Figure

    last = max(len(entry.run.finite) for entry in drawn) - 1
    with drawing(look):
        panels = Figure().subplots(len(names), 1, squeeze=False)[:, 0]
        for axes, name in zip(panels, names, strict=True):
            draw_panel(axes, drawn, name, look)
        set_layers(panels[-1], last + 1)
        layers = axis_of(panels[-1].xaxis).around(0.0, max(last, 1), LEAST_ROOM)
        return layers, [axis_of(axes.yaxis) for axes in panels]


def _panel(label: str, shared: Any, across: Axis, up: Axis, look: Style) -> Any:
    """Return an empty panel with its axes and tools."""
    from bokeh.models import Range1d
    from bokeh.plotting import figure

    panel = figure(
        height=PANEL,
        x_range=shared,
        y_range=Range1d(up.low, up.high),
        y_axis_type="log" if up.scale == "log" else "linear",
        y_axis_label=label,
        tools="pan,box_zoom,wheel_zoom,reset,save",
        active_scroll=None,
        min_border_left=LEFT,
        background_fill_color=look.ground,
        border_fill_color=look.ground,
        outline_line_color=None,
    )
    across.dress(panel.xaxis)
    up.dress(panel.yaxis)
    for axis in panel.axis:
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = look.ink
        axis.major_label_text_color = axis.axis_label_text_color = look.ink
        axis.axis_label_text_font_style = "normal"
    panel.grid.grid_line_color = look.faint
    panel.grid.grid_line_alpha = 0.22
    return panel


def _hover(panel: Any, points: Sequence[Any]) -> None:
    """Show what is known of the layer under the pointer."""
    from bokeh.models import HoverTool

    panel.add_tools(HoverTool(renderers=list(points), tooltips=TOOLTIPS))


def _place_legend(
    panel: Any, drawn: Sequence[Drawn], shown: Sequence[Sequence[Any]], look: Style
) -> None:
    """Put the legend above the first panel; a click hides or shows a run in all panels."""
    from bokeh.models import Legend, LegendItem

    items = [
        LegendItem(label=escaped(entry.label), renderers=list(found))
        for entry, found in zip(drawn, shown, strict=True)
    ]
    panel.add_layout(
        Legend(
            items=items,
            click_policy="hide",
            orientation="horizontal",
            location="top_left",
            spacing=16,
            ncols=ACROSS,
            border_line_color=None,
            background_fill_color=look.ground,
            label_text_color=look.ink,
            inactive_fill_color=look.ground,
        ),
        "above",
    )
    panel.height += LEGEND_ROW * -(-len(drawn) // ACROSS)


def _key(drawn: Sequence[Drawn], names: Sequence[str]) -> str:
    """Return what markers and lines mean, and where runs end."""
    shown = [(entry, name) for entry in drawn for name in names if simulated(entry, name)]
    quantiles = any(banded(*own) for own in shown)
    parts = []
    if shown:
        runs = [entry.run for entry in drawn]
        band = band_words(runs) if quantiles else "±1 standard error"
        parts = ["Markers: simulation ±1 standard error", f"Bands: {band}"]
    parts.append("Lines: theory")
    if any(mixed(entry, name) for entry in drawn for name in names):
        parts.append("Faint lines: theory at infinite width")
    parts += [f"Faint points: {words}" for words in within_words(drawn)]
    targets = dict.fromkeys(entry.target for entry in drawn if entry.target is not None)
    parts += [f"Dotted: target ({mean:g}, {variance:g})" for mean, variance in targets]
    parts += [f"{entry.label}: {end[2]}" for entry in drawn for end in ends(entry.run)]
    return ". ".join([*parts, "A click on the legend hides a run."])
