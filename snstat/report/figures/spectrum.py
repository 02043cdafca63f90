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
from snstat.report.spectrum import source_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from snstat.results import FloatArray, Lanczos, LayerSpectrum, Spectrum

# Layers of one picture, each of one colour.
MOST_LAYERS = 7
# Decades below the largest value of all that are shown.
DECADES = 8.0
BINS = 80
# Of estimates: how far apart bounds of a share may be, and the bins where they are close.
WIDEST_RANGE, FEW_BINS = 0.1, 12
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
    the legend tells the share of singular values below them, zeros included. What the Lanczos
    method has found is shown where shares are known to ±0.05 in wider steps, and the legend says
    so. `size` is (width,
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
        by = f" by the output of {source_words(spectrum)}" if spectrum.source else ""
        batch = spectrum.simulation.batch
        of = f" of one of {batch:,} samples" if batch > 1 else ""
        axes.set_xlabel(f"log₁₀ of singular values of the Jacobian{of}{by}")
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
    logs = np.concatenate([_logs(layer.singular_values) for layer in layers])
    if not logs.size:
        bound = "above 0 and finite in at least one trial"
        raise InvalidValueError("singular values", "0 or not finite", bound, "change the gain")
    high = float(logs.max()) + 0.2
    lows = [
        _known_from(layer, layer.lanczos, high)
        if layer.lanczos is not None
        else float(_logs(layer.singular_values).min(initial=high))
        for layer in layers
    ]
    low = max(min(lows) - 0.2, high - DECADES)
    return low, high


def _known_from(layer: LayerSpectrum, lanczos: Lanczos, high: float) -> float:
    """Return from which log₁₀ σ on shares are known, of all finite trials together; `high` where
    there are none."""
    if not np.isfinite(layer.singular_values).any():
        return high
    places = np.linspace(high - DECADES, high, int(DECADES * BINS) + 1)
    bounds = np.broadcast_to(10.0**places, (len(layer.singular_values), places.size)).copy()
    low, high_shares = (np.nanmean(own, axis=0) for own in lanczos.shares(bounds))
    wide = np.flatnonzero(high_shares - low > WIDEST_RANGE)
    return float(places[min(wide[-1] + 1, places.size - 1)]) if wide.size else float(places[0])


def _logs(values: FloatArray) -> FloatArray:
    positive: FloatArray = np.log10(values[np.isfinite(values) & (values > 0)])
    return positive


def _draw(
    axes: Axes, layer: LayerSpectrum, name: str, color: str, ends: tuple[float, float]
) -> None:
    """Draw the density of a layer over all of its singular values, and theory as a line."""
    values = layer.singular_values
    found = np.isfinite(values)
    if layer.lanczos is None:
        weights, bins = np.ones(values.shape), BINS
    else:
        # Values that stand for many are no density in bins with few of them.
        weights, bins = layer.lanczos.weights, FEW_BINS
        ends = _known_from(layer, layer.lanczos, ends[1]), ends[1]
    total = float(weights[found].sum())
    shown = found & (values > 0)
    counts, edges = np.histogram(np.log10(values[shown]), bins, ends, weights=weights[shown])
    if total:
        below = max(1.0 - float(counts.sum()) / total, 0.0)
        where = "below" if layer.lanczos is None else "below, by the Lanczos method"
        label = f"{name}, {below:.0%} {where}" if below > 1e-12 else name
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
