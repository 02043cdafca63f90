"""The style of all figures: a colour-blind-safe palette, light or dark, and the page."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.errors import InvalidValueError, UnknownNameError

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 6.8  # inches: the text width of most journals' two columns
DOTS_PER_INCH = 200
LEGEND_WIDTH = 0.95  # at most, as a fraction of the page's width
# The function that makes figures instead of matplotlib's class, such as pyplot's.
new_figure: ContextVar[Callable[..., Figure] | None] = ContextVar("new_figure", default=None)
# Font size in points, and characters of that size per inch.
CAPTION_SIZE, CAPTION_CHARACTERS = 6.5, 17
# The least width of a page, and the least share of its usual height.
LEAST_WIDTH, LEAST_SHARE = 3.0, 0.45
LEGEND_HEIGHT = 0.5  # inches reserved in a figure's height: two rows
# Dashes of a line beside a solid one.
DASHED: Any = (0, (4, 2))


@dataclass(frozen=True, slots=True)
class Style:
    """Colours of one style: `cycle` distinguishes activations, the others belong to none."""

    ground: str
    ink: str
    faint: str
    cycle: tuple[str, ...]


# Okabe and Ito, Color Universal Design (2008), without yellow, which is hard to see on white.
_CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# The same hues, lighter.
_DARK_CYCLE = ("#1F93DB", "#F36B00", "#00B383", "#DD93BC", "#FFBC2E", "#9AD7FA")

STYLES = {
    "light": Style("#ffffff", "#1a1a1a", "#8c8c8c", (*_CYCLE, "#000000")),
    "dark": Style("#14171a", "#e8e8e8", "#8f969c", (*_DARK_CYCLE, "#ffffff")),
}


def style_named(name: str) -> Style:
    """Return the style called `name`; raise UnknownNameError if there is none."""
    if name not in STYLES:
        raise UnknownNameError("style", name, STYLES)
    return STYLES[name]


def blend(color: str, ground: str, share: float) -> tuple[float, float, float]:
    """Return the mix of two colours, `share` being the fraction of `color`."""
    from matplotlib.colors import to_rgb

    mixed = share * np.array(to_rgb(color)) + (1 - share) * np.array(to_rgb(ground))
    return (float(mixed[0]), float(mixed[1]), float(mixed[2]))


@contextmanager
def drawing(style: Style) -> Iterator[None]:
    """Set matplotlib's parameters within the block, over its defaults, not the user's."""
    import matplotlib as mpl

    parameters: dict[Any, Any] = {
        "figure.facecolor": style.ground,
        "savefig.facecolor": style.ground,
        "figure.dpi": 100,
        "savefig.dpi": DOTS_PER_INCH,
        "figure.constrained_layout.use": True,
        "axes.facecolor": style.ground,
        "axes.edgecolor": style.ink,
        "axes.labelcolor": style.ink,
        "axes.titlecolor": style.ink,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.labelsize": 9.5,
        "axes.grid": False,
        "font.size": 9,
        "font.family": "DejaVu Sans",
        "text.color": style.ink,
        "xtick.color": style.ink,
        "ytick.color": style.ink,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "legend.fontsize": 8.5,
        "svg.fonttype": "none",
        "legend.frameon": False,
        "lines.linewidth": 1.5,
        "lines.markersize": 4,
    }
    # Axes compute powers beyond those that they show, which may overflow.
    with mpl.rc_context(), np.errstate(over="ignore"):
        mpl.rcdefaults()
        mpl.rcParams.update(parameters)
        yield


def page(width: float, height: float, size: tuple[float, float] | None) -> Figure:
    """Return a figure of `size` (width, height) in inches, by default `width` and `height`.

    Raises InvalidValueError for a size in which the panels have no room.
    """
    from matplotlib.figure import Figure

    if size is not None:
        least = LEAST_WIDTH, math.ceil(10.0 * LEAST_SHARE * height) / 10.0
        if size[0] < least[0] or size[1] < least[1]:
            shown, wanted = (f"{one[0]:g}x{one[1]:g}" for one in (size, least))
            bound = f"at least {wanted}, for panels that can be read"
            raise InvalidValueError("size", shown, bound)

    make = new_figure.get() or Figure
    return make(figsize=size or (width, height))


def place_legend(figure: Figure, handles: Sequence[Artist], *, grow: bool = True) -> None:
    """Put the legend above all axes, in as few rows as the page's width allows.

    If `grow`, the page grows by the rows that do not fit. Without `handles` there is no legend.
    """
    if not handles:
        return
    for rows in range(1, len(handles) + 1):
        columns = math.ceil(len(handles) / rows)
        legend = figure.legend(handles=handles, loc="outside upper center", ncols=columns)
        box = legend.get_window_extent()
        if box.width <= LEGEND_WIDTH * figure.bbox.width or columns == 1:
            break
        legend.remove()
    if grow:
        width, height = figure.get_size_inches()
        figure.set_size_inches(width, height + max(box.height / figure.dpi - LEGEND_HEIGHT, 0.0))


def place_caption(figure: Figure, text: str, style: Style) -> None:
    """Put a small caption at the foot of the page, wrapped to its width."""
    if not text:
        return
    characters = int(figure.get_size_inches()[0] * CAPTION_CHARACTERS)
    figure.supxlabel(
        textwrap.fill(text, characters),
        fontsize=CAPTION_SIZE,
        color=style.faint,
        x=0.01,
        horizontalalignment="left",
    )


def settle(figure: Figure) -> None:
    """Lay out the figure and fix the layout.

    Constrained layout changes slightly with every draw, but a figure that is saved twice must not.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)  # draws nothing
        figure.set_layout_engine("none")


def dress(axes: Axes, style: Style) -> None:
    """Colour the ticks, and draw a grid that stays behind the data."""
    # Ticks are made when the figure is saved, outside `drawing`, so their style is set here.
    axes.tick_params(which="both", colors=style.ink, labelsize=8.5)
    axes.grid(visible=True, color=style.faint, alpha=0.22, linewidth=0.6)
    axes.set_axisbelow(True)
