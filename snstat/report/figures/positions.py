"""The signal at every position of a grid, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.report.figures.captions import OF_WIDE
from snstat.report.figures.style import (
    WIDTH,
    Style,
    blend,
    drawing,
    page,
    place_caption,
    settle,
    style_named,
)
from snstat.report.network_words import network_words
from snstat.report.short_names import shortened
from snstat.report.words import SEPARATOR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    from snstat.results import FloatArray
    from snstat.results.overview import PositionShares

# Pictures in a row, the height of each in inches, and the letters that fit above it.
COLUMNS, ROW_HEIGHT, LETTERS = 4, 1.8, 19
# The height of a picture of time, and the layers that have names under it.
TIME_HEIGHT, MOST_TICKS, LETTERS_BELOW = 3.9, 26, 22
# The scale goes from 1/x to x, and what is beyond the last of these x has the last colours.
LEAST_SCALE, MOST_SCALE = 1.1, 10.0
TICKS = {
    1.0: (0.9, 0.95, 1.0, 1.05, 1.1),
    1.2: (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4),
    1.6: (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0),
    4.5: (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
}
LABEL = "second moment over the average"
# How much of a colour there is at the ends of the scale, beside ink.
SHARE_OF_COLOR = 0.55


def draw_positions(
    found: PositionShares,
    style: str = "light",
    *,
    caption: bool = True,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of the second moment at every position, over the average of the layer.

    Layers with one axis are the columns of one panel. Layers with two have a picture each, as the
    grid lies. The colour of 1, the average, is that of the ground. `size` is (width, height) in
    inches. Raises UnknownNameError for an unknown style.
    """
    look, shares = style_named(style), found.shares
    flat = all(share.ndim == 1 for share in shares.values())
    with drawing(look):
        rows = math.ceil(len(shares) / COLUMNS)
        figure = page(WIDTH, TIME_HEIGHT if flat else 0.6 + ROW_HEIGHT * rows, size)
        norm = _norm(list(shares.values()))
        drawn = _columns if flat else _pictures
        axes = drawn(figure, found, norm, look)
        _bar(figure, axes, list(shares.values()), norm, look)
        if caption:
            words = network_words(found.subject)
            place_caption(figure, SEPARATOR.join([words, OF_WIDE]), look)
        settle(figure)
    return figure


def _norm(shares: Sequence[FloatArray]) -> Normalize:
    """Return a logarithmic scale with 1 in the middle."""
    from matplotlib.colors import LogNorm

    most = max(float(share.max()) for share in shares)
    least = min(float(share.min()) for share in shares)
    far = max(most, 1.0 / least if least > 0 else MOST_SCALE, LEAST_SCALE)
    far = min(far, MOST_SCALE)
    return LogNorm(1.0 / far, far, clip=True)


def shades_of(look: Style) -> Any:
    """Return colours of less than the average, the ground for the average, and those of more."""
    from matplotlib.colors import LinearSegmentedColormap

    less, more = look.cycle[0], look.cycle[1]
    ends = [blend(color, look.ink, SHARE_OF_COLOR) for color in (less, more)]
    steps: list[Any] = [ends[0], less, look.ground, more, ends[1]]
    return LinearSegmentedColormap.from_list("positions", steps)


def _names(found: PositionShares, limit: int) -> list[str]:
    names = [found.subject.row(number).name for number in found.shares]
    return list(shortened(names, limit))


def _columns(figure: Figure, found: PositionShares, norm: Normalize, look: Style) -> list[Axes]:
    """Draw every layer as a column from the first position, at the foot, to the last."""
    axes, shares = figure.subplots(), found.shares
    most = max(share.size for share in shares.values())
    for place, share in enumerate(shares.values()):
        # Shorter grids are stretched: a position is where it would be in the longest.
        edges = np.linspace(0.0, most, share.size + 1) - 0.5
        axes.pcolormesh(
            [place - 0.5, place + 0.5], edges, share[:, None], cmap=shades_of(look), norm=norm,
            rasterized=True,
        )  # fmt: skip
    names = _names(found, LETTERS_BELOW)
    shown = range(0, len(names), math.ceil(len(names) / MOST_TICKS))
    axes.set_xticks(shown, [names[place] for place in shown])
    axes.tick_params(axis="x", rotation=60.0, labelsize=7)
    for label in axes.get_xticklabels():
        label.set(ha="right", rotation_mode="anchor")
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)
    axes.set_ylabel("position")
    return [axes]


def _pictures(figure: Figure, found: PositionShares, norm: Normalize, look: Style) -> list[Axes]:
    """Draw a picture of every layer; time is one row of it."""
    shares = found.shares
    columns = min(COLUMNS, len(shares))
    every = figure.subplots(math.ceil(len(shares) / columns), columns, squeeze=False).ravel()
    names = _names(found, LETTERS)
    for axes, name, (number, share) in zip(every, names, shares.items(), strict=False):
        axes.imshow(
            share.reshape(-1, share.shape[-1]), cmap=shades_of(look), norm=norm,
            interpolation="nearest",
        )  # fmt: skip
        axes.set_title(name, fontsize=8.5)
        axes.set_xticks([])
        axes.set_yticks([])
        grid = " × ".join(map(str, share.shape))
        axes.set_xlabel(f"layer {number:,}{SEPARATOR}{grid}" if number else grid, fontsize=7)
        for spine in axes.spines.values():
            spine.set_visible(True)
            spine.set_color(look.faint)
    for axes in every[len(shares) :]:
        axes.remove()
    return list(every[: len(shares)])


def _bar(
    figure: Figure, axes: Sequence[Axes], shares: Sequence[FloatArray], norm: Normalize, look: Style
) -> None:
    """Draw the scale, with a point at either end beyond which there are values."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = float(norm.vmin or 0.0), float(norm.vmax or 0.0)
    below = any(float(share.min()) < 0.999 * low for share in shares)
    above = any(float(share.max()) > 1.001 * high for share in shares)
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}
    bar = figure.colorbar(
        ScalarMappable(norm, shades_of(look)), ax=list(axes), pad=0.02, aspect=30, shrink=0.9,
        extend=extend.get((below, above), "neither"),
    )  # fmt: skip
    ticks = next(own for least, own in reversed(TICKS.items()) if high >= least)
    bar.ax.yaxis.set_major_locator(FixedLocator([x for x in ticks if low <= x <= high]))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.set_label(LABEL, fontsize=8)  # fits beside one row
    bar.ax.tick_params(which="both", colors=look.ink)
    bar.outline.set_visible(False)
