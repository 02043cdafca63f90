"""Activation densities layer by layer, as ridges beside theory at infinite width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from snstat.report.figures.ridge import FILL, GAUSSIAN_DASHES, LAW_WIDTH, Scale, draw_ridge
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
from snstat.report.network_words import (
    layer_words,
    network_name,
    network_words,
    sampling_words,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from snstat.results import Densities, FloatArray

# Inches for each ridge, at most and at least, and the height that a figure exceeds only if its
# ridges need it.
ROOMY, TIGHT = 0.55, 0.19
PAGE = 9.0
# The input and 100 layers: a figure of 20 inches.
MOST_RIDGES = 101
# Variances that differ by more than this factor cannot share an axis.
APART = 9.0


def draw_histogram(
    densities: Densities,
    style: str = "light",
    *,
    caption: bool = True,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure with one ridge for every layer of `densities`, the first at the top.

    Ridges have the colour of the activation. Filled, they are measured densities; lines with the
    dashes of the activation are densities at infinite width. Where those are unknown, dashed lines
    in the colour of the text are the Gaussian of the measured mean and variance. A value with
    positive probability, such as ReLU's 0, is a stem with that height: a marker for the measured
    probability, a horizontal bar for that at infinite width. If scales differ widely, every ridge
    is in units of its own standard deviation. `size` is (width, height) in inches. Raises
    UnknownNameError for an unknown style.
    """
    look = style_named(style)
    (series,) = series_of([densities.subject.called], look)
    count = len(densities.layers)
    scale = Scale(
        own=scales_differ(densities),
        typical=_typical_height(densities, scaled=scales_differ(densities)),
    )
    with drawing(look):
        height = max(min(1.6 + ROOMY * count, PAGE), 1.6 + TIGHT * count)
        figure = page(WIDTH, height, size)
        axes = figure.subplots()
        drawn = {
            kind
            for row in range(count)
            for kind in draw_ridge(axes, densities, row, series, look, scale)
        }
        dress(axes, look)
        axes.grid(visible=False, axis="y")
        axes.set_yticks(
            [float(-row) for row in range(count)],
            [layer_words(densities.subject, layer) for layer in densities.layers.tolist()],
        )
        axes.set_ylim(-count + 0.85, axes.dataLim.y1 + 0.15)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_ylabel("layer")
        axes.set_xlabel("(activation − mean) / standard deviation" if scale.own else "activation")
        axes.set_title(network_name(densities.subject), loc="left")
        _legend(figure, series, look, drawn, grow=size is None)
        if caption:
            sampling = sampling_words(densities.subject, densities.simulation)
            words = f"{network_words(densities.subject)} · {sampling}"
            place_caption(figure, words, look)
        settle(figure)
    return figure


def scales_differ(densities: Densities) -> bool:
    """Return whether a common axis would hide some layers."""
    known = densities.variance[np.isfinite(densities.variance) & (densities.variance > 0)]
    return bool(known.size and known.max() / APART > known.min())


def _typical_height(densities: Densities, *, scaled: bool) -> float:
    """Return the height of a typical ridge: the median peak of the Gaussians."""
    if scaled:
        return 1 / math.sqrt(2 * math.pi)
    variance: FloatArray = densities.variance
    known = variance[np.isfinite(variance) & (variance > 0)]
    return float(np.median(1 / np.sqrt(2 * math.pi * known))) if known.size else 1.0


def _legend(figure: Figure, series: Series, look: Style, drawn: set[str], *, grow: bool) -> None:
    """Put a legend of the parts that were drawn above the ridges."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries = {
        "simulation": Patch(facecolor=series.color, alpha=FILL, label="simulation"),
        "law": Line2D([], [], color=series.color, linestyle=series.line, linewidth=LAW_WIDTH,
                      label="theory at infinite width"),
        "gaussian": Line2D([], [], color=look.ink, linestyle=GAUSSIAN_DASHES,
                           linewidth=1.0, label="Gaussian of the same mean and variance"),
        "atom": Line2D([], [], color=look.ink, marker="o", markerfacecolor=look.ground,
                       linewidth=1.0, label="probability of a single value"),
        "cut": Line2D([], [], color=look.ink, marker="^", linestyle="", markersize=4,
                      label="cut off"),
    }  # fmt: skip
    place_legend(figure, [entries[kind] for kind in entries if kind in drawn], grow=grow)
