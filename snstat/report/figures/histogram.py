"""Activation densities layer by layer, as ridges beside Gaussians of the same moments."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from snstat.report.figures.style import WIDTH, Style, drawing, dress, settle, style_named
from snstat.report.words import display_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from snstat.results import Densities, FloatArray

# A ridge stays below its neighbour's baseline: it rises over at most this share of the distance.
TALLEST_SHARE = 0.95
# Taller peaks are cut here, in units of the typical one: a spike at zero, such as ReLU's, would
# flatten all the rest.
TALLEST = 1.25
GAUSSIAN_POINTS = 301
# Inches for each ridge, at most and at least, and the height that a figure outgrows only where its
# ridges need it.
ROOMY, TIGHT = 0.55, 0.19
PAGE = 9.0
# The input and 100 layers: a picture of 20 inches.
MOST_RIDGES = 101


def draw_histogram(densities: Densities, style: str = "light") -> Figure:
    """Return one ridge for every layer of `densities`, the first at the top.

    Filled ridges are the measured densities, lines the Gaussian of the same mean and variance;
    every ridge is drawn over its own standard deviations where scales differ widely. Raises
    UnknownNameError for an unknown style.
    """
    from matplotlib.figure import Figure

    look = style_named(style)
    count = len(densities.layers)
    scaled = _scales_differ(densities)
    with drawing(look):
        height = max(min(1.4 + ROOMY * count, PAGE), 1.4 + TIGHT * count)
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.subplots()
        typical = _typical_height(densities, scaled=scaled)
        for row in range(count):
            _draw_ridge(axes, densities, row, look, typical, scaled=scaled)
        dress(axes, look)
        axes.grid(visible=False, axis="y")
        axes.set_yticks(
            [float(-row) for row in range(count)], [str(layer) for layer in densities.layers]
        )
        axes.set_ylim(-count + 0.85, axes.dataLim.y1 + 0.15)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_ylabel("layer")
        axes.set_xlabel("(activation − mean) / standard deviation" if scaled else "activation")
        stack = densities.stack
        axes.set_title(
            f"{display_name(stack.activation)}, {stack.init} (gain {stack.weight_gain:.4g}), "
            f"width {stack.width}",
            loc="left",
        )
        _legend(figure, look)
        settle(figure)
    return figure


def _draw_ridge(
    axes: Axes, densities: Densities, row: int, look: Style, height: float, *, scaled: bool
) -> None:
    """Draw the density of one layer above its baseline, and its Gaussian."""
    mean, std = float(densities.mean[row]), math.sqrt(max(float(densities.variance[row]), 0.0))
    edges, density = densities.edges[row], densities.density[row]
    if not np.isfinite(density).all() or not np.isfinite(edges).all():
        axes.text(0.0, -row + 0.1, "not finite", color=look.accent, transform=axes.transData)
        return
    if not math.isfinite(mean) or not math.isfinite(std):
        # Finite activations beyond 1e154 have a variance beyond any float.
        axes.text(0.0, -row + 0.1, "variance not finite", color=look.accent)
        return
    if scaled and std > 0:
        edges, density, mean, std = (edges - mean) / std, density * std, 0.0, 1.0
    color = look.cycle[0]
    order = 2 + row * 0.01
    tops = -row + np.minimum(density / height, TALLEST) * TALLEST_SHARE / TALLEST
    axes.stairs(tops, edges, baseline=-row, fill=True, color=look.ground, zorder=order)
    axes.stairs(tops, edges, baseline=-row, fill=True, color=color, alpha=0.45, zorder=order)
    axes.stairs(tops, edges, baseline=-row, color=color, linewidth=0.9, zorder=order + 0.002)
    if std > 0:
        x = np.linspace(mean - 4 * std, mean + 4 * std, GAUSSIAN_POINTS)
        gaussian = np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))
        axes.plot(
            x,
            -row + np.minimum(gaussian / height, TALLEST) * TALLEST_SHARE / TALLEST,
            color=look.accent,
            linewidth=1.2,
            linestyle=(0, (4, 1.5)),
            zorder=order + 0.004,
        )


def _scales_differ(densities: Densities) -> bool:
    """Return whether one axis in the activations' own units would hide some layers."""
    known = densities.variance[np.isfinite(densities.variance) & (densities.variance > 0)]
    return bool(known.size and known.max() / 9.0 > known.min())


def _typical_height(densities: Densities, *, scaled: bool) -> float:
    """Return the height that a ridge of ordinary shape reaches: the Gaussians' median peak."""
    if scaled:
        return 1 / math.sqrt(2 * math.pi)
    variance: FloatArray = densities.variance
    known = variance[np.isfinite(variance) & (variance > 0)]
    return float(np.median(1 / np.sqrt(2 * math.pi * known))) if known.size else 1.0


def _legend(figure: Figure, look: Style) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figure.legend(
        handles=[
            Patch(facecolor=look.cycle[0], alpha=0.6, label="simulation"),
            Line2D([], [], color=look.accent, linestyle=(0, (4, 1.5)), linewidth=1.2,
                   label="Gaussian of the same mean and variance"),
        ],
        loc="outside upper center",
        ncols=2,
    )  # fmt: skip
