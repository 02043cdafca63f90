"""Densities of the singular values of Jacobians, layer by layer, beside theory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from snstat.errors import InvalidValueError
from snstat.report.figures.style import (
    WIDTH,
    Style,
    drawing,
    dress,
    page,
    place_caption,
    settle,
    style_named,
)
from snstat.report.network_words import layer_words, network_name, network_words, sampling_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from snstat.results import FloatArray, LayerSpectrum, Spectrum

# Layers of one picture, each of one colour.
MOST_LAYERS = 7
# Decades below the largest value of all that are shown.
DECADES = 8.0
BINS = 80
FILL, LINE = 0.25, 1.6


def draw_spectrum(
    spectrum: Spectrum,
    style: str = "light",
    *,
    caption: bool = True,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of the density of log₁₀ σ of each layer, of all trials together.

    Filled steps are measured, lines are theory at infinite width. At most eight decades are shown;
    the legend tells the share of singular values below them, zeros included. `size` is (width,
    height) in inches. Raises UnknownNameError for an unknown style, and InvalidValueError for more
    layers than there are colours, and where no singular value is finite and above 0.
    """
    look = style_named(style)
    layers = spectrum.layers
    if len(layers) > MOST_LAYERS:
        bound = f"at most {MOST_LAYERS} in a picture"
        raise InvalidValueError("number of layers", len(layers), bound, "choose with --layers")
    low, high = _range(layers)
    with drawing(look):
        figure = page(WIDTH, 3.6, size)
        axes = figure.subplots()
        for layer, color in zip(layers, look.cycle, strict=False):
            name = layer_words(spectrum.subject, layer.layer)
            _draw(axes, layer, f"layer {name}", color, (low, high))
        dress(axes, look)
        axes.set_xlim(low, high)
        axes.set_ylim(bottom=0.0)
        axes.set_xlabel("log₁₀ of singular values of the Jacobian")
        axes.set_ylabel("density")
        axes.set_title(network_name(spectrum.subject), loc="left")
        _legend(figure, axes, layers, look)
        if caption:
            sampling = sampling_words(spectrum.subject, spectrum.simulation)
            place_caption(figure, f"{network_words(spectrum.subject)} · {sampling}", look)
        settle(figure)
    return figure


def _range(layers: tuple[LayerSpectrum, ...]) -> tuple[float, float]:
    """Return the ends of the axis, in log₁₀ σ."""
    found = [_logs(layer.singular_values) for layer in layers]
    logs = np.concatenate(found)
    if not logs.size:
        bound = "above 0 and finite in at least one trial"
        raise InvalidValueError("singular values", "0 or not finite", bound, "change the gain")
    high = float(logs.max()) + 0.2
    low = max(float(logs.min()) - 0.2, high - DECADES)
    return low, high


def _logs(values: FloatArray) -> FloatArray:
    positive: FloatArray = np.log10(values[np.isfinite(values) & (values > 0)])
    return positive


def _draw(
    axes: Axes, layer: LayerSpectrum, name: str, color: str, ends: tuple[float, float]
) -> None:
    """Draw the density of a layer over all of its singular values, and theory as a line."""
    total = int(np.isfinite(layer.singular_values).sum())
    counts, edges = np.histogram(_logs(layer.singular_values), BINS, ends)
    if total:
        below = 1.0 - counts.sum() / total
        label = f"{name}, {below:.0%} below" if below > 0 else name
        density = counts / (total * (edges[1] - edges[0]))
        axes.stairs(density, edges, fill=True, color=color, alpha=FILL, label=label)
    if layer.theory.density is not None and layer.theory.log_values is not None:
        # From the natural logarithm.
        unit = math.log(10.0)
        places = layer.theory.log_values / unit
        axes.plot(places, layer.theory.density * unit, color=color, linewidth=LINE, zorder=3)


def _legend(figure: Figure, axes: Axes, layers: tuple[LayerSpectrum, ...], look: Style) -> None:
    from matplotlib.lines import Line2D

    handles, _ = axes.get_legend_handles_labels()
    if any(layer.theory.density is not None for layer in layers):
        line = Line2D([], [], color=look.ink, linewidth=LINE, label="theory at infinite width")
        handles = [*handles, line]
    figure.legend(handles=handles, loc="outside right upper")
