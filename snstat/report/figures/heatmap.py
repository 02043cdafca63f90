"""The density of activations, layer by layer, as one picture of shades."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from snstat.errors import InvalidValueError
from snstat.report.figures.histogram import scales_differ
from snstat.report.figures.style import (
    WIDTH,
    Style,
    drawing,
    page,
    place_caption,
    settle,
    style_named,
)
from snstat.report.network_words import (
    layer_words,
    network_name,
    network_words,
    sampling_words,
)
from snstat.report.words import SEPARATOR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, LogNorm
    from matplotlib.figure import Figure

    from snstat.results import Densities

# Decades below the largest density that have shades of their own, and labels of layers at most.
DECADES, MOST_TICKS = 3.0, 13
# The part of the colour map on a dark and on a light ground, its colours, and the share of them
# that fade into the ground.
SHADES, STEPS, FADED = ((0.08, 1.0), (0.0, 0.92)), 256, 0.08
# The largest dot of a single value, in points squared: that of probability 1.
DOT = 40.0


def draw_heatmap(
    densities: Densities,
    style: str = "light",
    *,
    caption: bool = True,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of the measured densities: a column for every layer, values upward.

    Shades are logarithmic over three decades. Where scales differ widely, values are in standard
    deviations from the mean of their layer. A value with positive probability, such as ReLU's 0,
    is a dot whose area is the probability. `size` is (width, height) in inches. Raises
    UnknownNameError for an unknown style, and InvalidValueError where no density is above 0.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm

    look = style_named(style)
    own = scales_differ(densities)
    units = np.sqrt(densities.variance) if own else np.ones(len(densities.layers))
    centres = densities.mean if own else np.zeros(len(densities.layers))
    scaled = densities.density * units[:, None]
    known = scaled[np.isfinite(scaled) & (scaled > 0)]
    if not known.size:
        raise InvalidValueError("density", "0 in all layers", "above 0 in at least one")
    most = float(known.max())
    norm = LogNorm(most / 10.0**DECADES, most)
    with drawing(look):
        figure = page(WIDTH, 4.2, size)
        axes = figure.subplots()
        dots = False
        for place in range(len(densities.layers)):
            edges = densities.edges[place]
            if units[place] > 0 and np.isfinite(edges).all():
                at = (float(centres[place]), float(units[place]))
                dots |= _column(axes, densities, place, at, norm, look)
        _finish(axes, densities, look, own=own)
        bar = figure.colorbar(
            ScalarMappable(norm, shades_of(look)), ax=axes, pad=0.02, aspect=30, shrink=0.9
        )
        bar.set_label("density")
        bar.ax.tick_params(which="both", colors=look.ink)
        bar.outline.set_visible(False)
        if caption:
            words = [network_words(densities.subject)]
            words.append(sampling_words(densities.subject, densities.simulation))
            words += ["dots: probability of a single value"] if dots else []
            place_caption(figure, SEPARATOR.join(words), look)
        settle(figure)
    return figure


def shades_of(look: Style) -> Colormap:
    """Return colours of densities, from the ground, where there is none, to what differs most from
    it. Equal steps look equal: it is "magma", whose lightness is linear."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap, to_rgb

    light = sum(to_rgb(look.ground)) > sum(to_rgb(look.ink))
    colors = colormaps["magma_r" if light else "magma"](np.linspace(*SHADES[light], STEPS))[:, :3]
    share = np.minimum(np.arange(STEPS) / (FADED * STEPS), 1.0)[:, None]
    return ListedColormap([*(share * colors + (1.0 - share) * np.array(to_rgb(look.ground)))])


def _column(
    axes: Axes,
    densities: Densities,
    place: int,
    at: tuple[float, float],
    norm: LogNorm,
    look: Style,
) -> bool:
    """Draw the layer at `place`, in units `at` (centre, unit). Return whether it has dots."""
    centre, unit = at
    edges = (densities.edges[place] - centre) / unit
    values = np.clip(densities.density[place] * unit, norm.vmin, None)
    axes.pcolormesh(
        [place - 0.5, place + 0.5], edges, values[:, None], cmap=shades_of(look), norm=norm,
        rasterized=True, zorder=1,
    )  # fmt: skip
    drawn = False
    pairs = zip(densities.atoms.tolist(), densities.atom_shares[place].tolist(), strict=True)
    for atom, share in pairs:
        if math.isfinite(share) and share > 0:
            axes.scatter(
                [place], [(atom - centre) / unit], s=DOT * share, color=look.cycle[2],
                linewidths=0, zorder=3, clip_on=False,
            )  # fmt: skip
            drawn = True
    return drawn


def _finish(axes: Axes, densities: Densities, look: Style, *, own: bool) -> None:
    count = len(densities.layers)
    shown = range(0, count, math.ceil(count / MOST_TICKS))
    names = [layer_words(densities.subject, layer) for layer in densities.layers.tolist()]
    axes.set_xticks(shown, [names[place] for place in shown])
    axes.set_xlim(-0.5, count - 0.5)
    axes.tick_params(which="both", colors=look.ink, labelsize=8.5)
    axes.set_xlabel("layer")
    axes.set_ylabel("(activation − mean) / standard deviation" if own else "activation")
    axes.set_title(network_name(densities.subject), loc="left")
