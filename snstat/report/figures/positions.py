"""The signal at every position of a grid, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.report.figures.captions import OF_WIDE
from snstat.report.figures.style import (
    WIDTH,
    Style,
    drawing,
    page,
    place_caption,
    settle,
    style_named,
)
from snstat.report.network_words import network_words
from snstat.report.words import SEPARATOR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    from snstat.results import FloatArray
    from snstat.results.overview import PositionShares

# Pictures in a row, and the height of each in inches.
COLUMNS, ROW_HEIGHT = 4, 1.75
TIME_HEIGHT, MOST_TICKS = 3.6, 13
# Colours are logarithmic if the largest value exceeds the least by more.
WIDE = 30.0
# Values below this share of the largest have the last colour.
FAINTEST = 1e-6
LABEL = "second moment over the average"


def draw_positions(
    found: PositionShares,
    style: str = "light",
    *,
    caption: bool = True,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of the second moment at every position, over the average of the layer.

    Layers with one axis are the columns of one panel. Layers with two have a picture each, as the
    grid lies. `size` is (width, height) in inches. Raises UnknownNameError for an unknown style.
    """
    look, shares = style_named(style), found.shares
    flat = all(share.ndim == 1 for share in shares.values())
    with drawing(look):
        rows = math.ceil(len(shares) / COLUMNS)
        figure = page(WIDTH, TIME_HEIGHT if flat else 0.6 + ROW_HEIGHT * rows, size)
        norm = _norm(list(shares.values()))
        drawn = _columns if flat else _pictures
        axes = drawn(figure, shares, norm, look)
        _bar(figure, axes, norm, look)
        if caption:
            words = network_words(found.subject)
            place_caption(figure, SEPARATOR.join([words, OF_WIDE]), look)
        settle(figure)
    return figure


def _norm(shares: Sequence[FloatArray]) -> Normalize:
    from matplotlib.colors import LogNorm, Normalize

    most = max(float(share.max()) for share in shares)
    least = max(min(float(share.min()) for share in shares), FAINTEST * most)
    return LogNorm(least, most) if most > WIDE * least else Normalize(0.0, most)


def shades_of(look: Style) -> Any:
    """Return colours from the ground, for no signal, ever further away from it."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    steps = [look.ground, look.cycle[0], look.cycle[5], look.ink]
    steps.sort(key=lambda color: abs(sum(to_rgb(color)) - sum(to_rgb(look.ground))))
    return LinearSegmentedColormap.from_list("positions", steps)


def _columns(
    figure: Figure, shares: Mapping[int, FloatArray], norm: Normalize, look: Style
) -> list[Axes]:
    """Draw every layer as a column from the first position, at the foot, to the last."""
    axes = figure.subplots()
    most = max(share.size for share in shares.values())
    for place, share in enumerate(shares.values()):
        # Shorter grids are stretched: a position is where it would be in the longest.
        edges = np.linspace(0.0, most, share.size + 1) - 0.5
        axes.pcolormesh(
            [place - 0.5, place + 0.5], edges, share[:, None], cmap=shades_of(look), norm=norm,
            rasterized=True,
        )  # fmt: skip
    numbers = list(shares)
    shown = range(0, len(numbers), math.ceil(len(numbers) / MOST_TICKS))
    axes.set_xticks(shown, [f"{numbers[place]:,}" for place in shown])
    axes.set_xlabel("layer")
    axes.set_ylabel("position")
    return [axes]


def _pictures(
    figure: Figure, shares: Mapping[int, FloatArray], norm: Normalize, look: Style
) -> list[Axes]:
    """Draw a picture of every layer; time is one row of it."""
    columns = min(COLUMNS, len(shares))
    every = figure.subplots(math.ceil(len(shares) / columns), columns, squeeze=False).ravel()
    for axes, (number, share) in zip(every, shares.items(), strict=False):
        axes.imshow(
            share.reshape(-1, share.shape[-1]), cmap=shades_of(look), norm=norm,
            interpolation="nearest",
        )  # fmt: skip
        axes.set_title(f"layer {number:,}" if number else "input", fontsize=8.5)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel(" × ".join(map(str, share.shape)), fontsize=7)
        for spine in axes.spines.values():
            spine.set_visible(True)
            spine.set_color(look.faint)
    for axes in every[len(shares) :]:
        axes.remove()
    return list(every[: len(shares)])


def _bar(figure: Figure, axes: Sequence[Axes], norm: Normalize, look: Style) -> None:
    from matplotlib.cm import ScalarMappable

    shown = ScalarMappable(norm, shades_of(look))
    bar = figure.colorbar(shown, ax=list(axes), pad=0.02, aspect=30, shrink=0.9)
    bar.set_label(LABEL)
    bar.ax.tick_params(which="both", colors=look.ink)
    bar.outline.set_visible(False)
