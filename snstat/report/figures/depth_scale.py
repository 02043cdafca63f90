"""How deep a signal reaches: depth scales over the weight gain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from snstat.activation import display_name
from snstat.errors import InvalidValueError
from snstat.report.figures.captions import OF_WIDE
from snstat.report.figures.series import series_of
from snstat.report.figures.style import (
    WIDTH,
    drawing,
    dress,
    page,
    place_caption,
    place_legend,
    settle,
    style_named,
)
from snstat.report.network_words import sampling_words
from snstat.report.words import SEPARATOR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from snstat.report.figures.series import Series
    from snstat.report.figures.style import Style
    from snstat.results import BoolArray, Phase, Run

# Networks of up to about so many ξ_c are trained (Schoenholz et al., arXiv:1611.01232).
TRAINABLE = 6.0
MOST_CURVES = 7
# The ends of the axis of layers, beyond which scales are cut off.
LOWEST, HIGHEST = 0.5, 3e3
STRENGTH = 0.13


def draw_depth_scales(
    phases: Sequence[Phase],
    style: str = "light",
    *,
    runs: Sequence[Run] = (),
    caption: bool = True,
    size: tuple[float, float] | None = None,
) -> Figure:
    """Return a figure of ξ_c and of the trainable depth 6 ξ_c over the weight gain.

    Each of `phases` has one bias deviation. The thick curve is ξ_c, the thin one 6 ξ_c: deeper
    networks lose the difference between inputs. Curves are cut off at 3,000 layers, and end where
    signals vanish or grow without bound. The measured cosine of two inputs in every layer of
    `runs`, at least two uniform stacks with evenly spaced gains, is drawn as shades. `size` is
    (width, height) in inches. Raises UnknownNameError for an unknown style, and
    InvalidValueError for more curves than colours, and where there is nothing to draw.
    """
    from matplotlib.lines import Line2D

    look = style_named(style)
    if len(phases) > MOST_CURVES:
        bound = f"at most {MOST_CURVES} in a picture"
        raise InvalidValueError("number of curves", len(phases), bound, "draw fewer")
    looks = series_of([phase.activation for phase in phases], look)
    shaded = len(runs) > 1  # fewer have no distance between gains
    if not shaded and not any(_seen(phase).any() for phase in phases):
        raise _unseen(phases)
    biases = {float(phase.bias_std[0]) for phase in phases}
    with drawing(look):
        figure = page(WIDTH, 4.0, size)
        axes = figure.subplots()
        dress(axes, look)
        axes.set_yscale("log")
        axes.set_xlim(
            min(float(phase.weight_gain[0]) for phase in phases),
            max(float(phase.weight_gain[-1]) for phase in phases),
        )
        axes.set_ylim(LOWEST, HIGHEST)
        axes.set_xlabel("weight gain G")
        axes.set_ylabel("layers")
        handles = []
        for phase, series in zip(phases, looks, strict=True):
            _draw(axes, phase, series, alone=len(phases) == 1 and not shaded)
            words = display_name(phase.activation)
            if len(biases) > 1:
                words += f", bias std {phase.bias_std[0]:.4g}"
            handles.append(Line2D([], [], color=series.color, linestyle=series.line, label=words))
        handles += _meanings(look)
        if shaded:
            _shade(axes, runs, look)
        place_legend(figure, handles, grow=size is None)
        if caption:
            parts = [OF_WIDE]
            if len(biases) == 1:
                parts.insert(0, f"bias std {biases.pop():.4g}")
            if shaded:
                sizes = f"{runs[0].depth:,} layers of {runs[0].subject.row(1).shape[-1]:,}"
                sampled = sampling_words(runs[0].subject, runs[0].simulation)
                parts = [
                    *parts[:-1],
                    "curves: theory at infinite width",
                    f"shades: {sizes}",
                    sampled,
                ]
            place_caption(figure, SEPARATOR.join(parts), look)
        settle(figure)
    return figure


def _seen(phase: Phase) -> BoolArray:
    """Return at which gains ξ_c or 6 ξ_c is on the axis, (gains,)."""
    scale = phase.correlation_depth_scale[:, 0]
    return (TRAINABLE * scale >= LOWEST) & (scale <= HIGHEST)


def _unseen(phases: Sequence[Phase]) -> InvalidValueError:
    """Return the error of `phases` without a depth scale on the axis."""
    names = ", ".join(dict.fromkeys(display_name(phase.activation) for phase in phases))
    layers = f"depth scale of {names} from {LOWEST:g} to {HIGHEST:,.0f} layers"
    for phase in phases:
        if not phase.bias_std[0] and phase.vanishes.any():
            bound = f"above 0 for a {layers}"
            return InvalidValueError("bias_std", 0.0, bound, "signals vanish without biases")
    ends = [f"{phases[0].weight_gain[place]:g}" for place in (0, -1)]
    remedy = "signals grow without bound, choose smaller gains"
    endless = all(phase.explodes.all() for phase in phases)
    bound = f"a range with a {layers}"
    return InvalidValueError("weight_gain", ":".join(ends), bound, remedy if endless else "")


def _draw(axes: Axes, phase: Phase, series: Series, *, alone: bool) -> None:
    gain, scale = phase.weight_gain, phase.correlation_depth_scale[:, 0]
    # Beyond the axis, so that a curve leaves it where ξ_c is infinite.
    shown = np.minimum(scale, 10.0 * HIGHEST)
    axes.plot(gain, shown, color=series.color, linestyle=series.line, linewidth=2.2, zorder=3)
    trainable = TRAINABLE * shown
    axes.plot(gain, trainable, color=series.color, linestyle=series.line, linewidth=0.9, zorder=3)
    if alone:
        axes.fill_between(
            gain, LOWEST, np.where(np.isfinite(trainable), trainable, LOWEST),
            color=series.color, alpha=STRENGTH, linewidth=0, zorder=1,
        )  # fmt: skip


def _shade(axes: Axes, runs: Sequence[Run], look: Style) -> None:
    """Draw the cosine of every run and layer as a cell around its gain and its layer, nothing where
    it is unknown."""
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    # Greys, on which every colour of a curve is seen.
    greys = LinearSegmentedColormap.from_list("cosines", [look.ground, look.faint])

    gains = np.array([stack.weight_gain for run in runs if (stack := run.stack) is not None])
    depth = max(len(run.finite) for run in runs) - 1
    cosines = np.full((depth, len(runs)), np.nan)
    for place, run in enumerate(runs):
        values = run.statistics["cosine"].estimate[1:]
        cosines[: len(values), place] = values
    half = 0.5 * (gains[1] - gains[0])
    cells = axes.pcolormesh(
        np.append(gains - half, gains[-1] + half), np.arange(depth + 1) + 0.5, cosines,
        cmap=greys, norm=Normalize(min(0.0, float(np.nan_to_num(cosines).min())), 1.0),
        rasterized=True, zorder=1,
    )  # fmt: skip
    bar = axes.figure.colorbar(cells, ax=axes, pad=0.02, aspect=30, shrink=0.9)
    bar.set_label("cosine of two inputs, simulated")
    bar.ax.tick_params(which="both", colors=look.ink)
    bar.outline.set_visible(False)


def _meanings(look: Style) -> list[Line2D]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=look.ink, linewidth=2.2, label="ξ$_c$"),
        Line2D([], [], color=look.ink, linewidth=0.9, label="6 ξ$_c$, about the trainable depth"),
    ]
