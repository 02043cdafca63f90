"""Moments over depth: simulation with its error band, theory, and the target (0, 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from snstat.report.figures.style import (
    DASHES,
    MARKERS,
    WIDTH,
    Style,
    drawing,
    dress,
    place_legend,
    settle,
    style_named,
)
from snstat.report.figures.ticks import set_power_ticks, set_signed_ticks
from snstat.report.words import display_name
from snstat.results import GRADIENT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from snstat.results import FloatArray, Run

LABELS = {"cosine": "cosine of\ntwo inputs", GRADIENT: "squared gradient\nover the last"}
TARGETS = {"mean": 0.0, "variance": 1.0}
DOTTED = (0, (1, 2))
# Lines where a run broke off: values that are not finite, or an interruption.
BROKEN = (0, (6, 2))
CUT = (0, (6, 2, 1, 2))
# A range of more than this many-fold is drawn on a logarithmic axis.
WIDE = 30.0
# Stacks deeper than this get a logarithmic layer axis.
DEEP = 300
# Curves end where numbers are larger, and beyond HUGE an axis ends near its data: axes reckon with
# powers beyond those that they show.
LARGEST = 1e290
HUGE = 1e150
SLIGHT = 0.02
# About how many layers carry a marker, and the most points that a curve is drawn with.
MARKED = 14
POINTS = 2000


def draw_trajectory(runs: Sequence[Run], style: str = "light") -> Figure:
    """Return mean, variance and, where measured, cosine and gradient over depth, all overlaid.

    Markers with ±1 standard error bars and a band are simulation, lines are theory; a thin
    vertical line stands where a run stopped being finite or was interrupted. Raises
    UnknownNameError for an unknown style.
    """
    from matplotlib.figure import Figure

    look = style_named(style)
    names = ["mean", "variance"]
    if any(np.isfinite(run.statistics["cosine"].estimate).any() for run in runs):
        names.append("cosine")
    if any(GRADIENT in run.statistics for run in runs):
        names.append(GRADIENT)
    with drawing(look):
        figure = Figure(figsize=(WIDTH, 1.75 * len(names) + 0.8))
        panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
        for name, axes in zip(names, panels, strict=True):
            _draw_panel(axes, runs, name, look)
        panels[-1].set_xlabel("layer")
        _legend(figure, runs, look)
        if max(len(run.finite) for run in runs) > DEEP:
            # Linear from 0 to 1, so that the input has its place on a logarithmic axis.
            panels[-1].set_xscale("symlog", linthresh=1.0)
        else:
            panels[-1].xaxis.get_major_locator().set_params(integer=True)
        panels[-1].set_xlim(left=0 if len(runs[0].finite) > DEEP else None)
        settle(figure)
    return figure


def _draw_panel(axes: Axes, runs: Sequence[Run], name: str, look: Style) -> None:
    """Draw one statistic of every run."""
    axes.set_ylabel(LABELS.get(name, f"activation\n{name}"))
    dress(axes, look)
    if name in TARGETS:
        axes.axhline(TARGETS[name], color=look.ink, linewidth=0.9, linestyle=DOTTED, zorder=1.5)
    for number, run in enumerate(runs):
        if len(run.finite) and name in run.statistics:
            _draw_run(axes, run, name, number, look)
        for layer, line, _ in _ends(run):
            color = look.cycle[number % len(look.cycle)]
            axes.axvline(layer, color=color, linewidth=0.8, linestyle=line, zorder=1.4)
    _set_scale(axes, runs, name)


def _draw_run(axes: Axes, run: Run, name: str, number: int, look: Style) -> None:
    """Draw one statistic of one run: theory as a line, simulation as a band and markers."""
    statistic = run.statistics[name]
    layers = _thinned(len(run.finite))
    color = look.cycle[number % len(look.cycle)]
    estimate = _drawable(statistic.estimate[layers])
    # An error beyond all that is drawn reaches the end of the axis.
    stderr = np.minimum(np.nan_to_num(statistic.error[layers]), LARGEST)
    axes.fill_between(
        layers, estimate - stderr, estimate + stderr, color=color, alpha=0.3, linewidth=0
    )
    axes.plot(
        layers,
        _drawable(statistic.theory[layers]),
        color=color,
        linestyle=DASHES[number % len(DASHES)],
        zorder=2.5,
    )
    marked = _marked(layers, number)
    axes.errorbar(
        layers[marked],
        estimate[marked],
        yerr=stderr[marked],
        fmt=MARKERS[number % len(MARKERS)],
        color=color,
        markerfacecolor=look.ground,
        markeredgewidth=1.1,
        elinewidth=1.0,
        capsize=0,
        zorder=3,
    )


def _set_scale(axes: Axes, runs: Sequence[Run], name: str) -> None:
    """Choose a scale that shows the values: logarithmic where they span decades."""
    if name == "cosine":
        low = min(0.0, *(float(np.nanmin(_shown(run, name))) for run in runs if _any(run, name)))
        axes.set_ylim(low - 0.05, 1.05)
        return
    values = np.concatenate([_shown(run, name) for run in runs if name in run.statistics])
    values = values[np.isfinite(values)]
    if not values.size:
        return
    low, high = float(values.min()), float(values.max())
    values = np.abs(values)
    if values.max() > HUGE:
        axes.margins(y=SLIGHT)
    if name in {"variance", GRADIENT}:
        positive = values[values > 0]
        if positive.size and positive.max() > WIDE * positive.min():
            if positive.min() < 1 / LARGEST:
                axes.set_ylim(bottom=positive.min())
            axes.set_yscale("log")
            if values.max() > HUGE or positive.min() < 1 / HUGE:
                set_power_ticks(axes)
        else:
            _include(axes, 0.9, 1.1)
    elif values.max() > WIDE:
        axes.set_yscale("symlog", linthresh=1.0)
        # An error bar that crosses zero would reach as far down as the values reach up.
        if low >= -1.0:
            axes.set_ylim(bottom=-1.0)
        if high <= 1.0:
            axes.set_ylim(top=1.0)
        set_signed_ticks(axes)
    else:
        _include(axes, -0.05, 0.05)


def _ends(run: Run) -> list[tuple[int, Any, str]]:
    """Return where a run stopped being finite or was interrupted: layer, dashes and words."""
    ends: list[tuple[int, Any, str]] = []
    if run.first_nonfinite is not None:
        layer = run.first_nonfinite
        ends.append((layer, BROKEN, f"not finite from layer {layer}"))
    if run.partial:
        last = max(len(run.finite) - 1, 0)
        ends.append((last, CUT, f"interrupted at layer {last} of {run.stack.depth}"))
    return ends


def _include(axes: Axes, low: float, high: float) -> None:
    """Widen the axis to hold [low, high]: noise about the target is not to fill the panel."""
    bottom, top = axes.get_ylim()
    axes.set_ylim(min(bottom, low), max(top, high))


def _shown(run: Run, name: str) -> FloatArray:
    statistic = run.statistics[name]
    return _drawable(np.concatenate([statistic.estimate, statistic.theory]))


def _drawable(values: FloatArray) -> FloatArray:
    """Return `values` with NaN, which is not drawn, where they are larger than axes can show."""
    return np.where(np.abs(values) <= LARGEST, values, np.nan)


def _any(run: Run, name: str) -> bool:
    return bool(np.isfinite(_shown(run, name)).any())


def _thinned(layers: int) -> npt.NDArray[np.intp]:
    """Return at most about `POINTS` layers, log-spaced in deep stacks as the axis is."""
    if layers <= POINTS:
        return np.arange(layers)
    return np.unique(np.append(0, np.geomspace(1, layers - 1, POINTS).astype(np.intp)))


def _marked(layers: npt.NDArray[np.intp], number: int) -> npt.NDArray[np.intp]:
    """Return which of `layers` carry a marker of run `number`: evenly spaced on the axis.

    Staggered, so that markers of runs that coincide stand beside each other.
    """
    last = int(layers[-1])
    shift = number % 3 / 3
    if last >= DEEP:
        wanted = np.geomspace(1, last, MARKED) ** (1 - shift / MARKED)
        return np.unique(np.append(0, np.searchsorted(layers, wanted)))
    step = max(last // MARKED, 1)
    return np.unique(np.append(0, np.arange(int(step * shift), last + 1, step)))


def _legend(figure: Figure, runs: Sequence[Run], look: Style) -> None:
    """Put the legend above the panels, where no data can be."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=look.cycle[number % len(look.cycle)],
            linestyle=DASHES[number % len(DASHES)],
            marker=MARKERS[number % len(MARKERS)],
            markerfacecolor=look.ground,
            label=_label(run, runs),
        )
        for number, run in enumerate(runs)
    ]
    handles += [
        Line2D([], [], color=look.ink, linestyle="", marker="o", markerfacecolor=look.ground,
               label="simulation ± 1 s.e."),
        Line2D([], [], color=look.ink, label="theory"),
        Line2D([], [], color=look.ink, linewidth=0.9, linestyle=DOTTED, label="target (0, 1)"),
    ]  # fmt: skip
    for number, run in enumerate(runs):
        color = look.cycle[number % len(look.cycle)]
        handles += [
            Line2D([], [], color=color, linewidth=0.8, linestyle=line, label=words)
            for _, line, words in _ends(run)
        ]
    place_legend(figure, handles)


def _label(run: Run, runs: Sequence[Run]) -> str:
    """Return the activation, and the initialiser where the runs differ in it."""
    name = display_name(run.stack.activation)
    same = len({other.stack.activation for other in runs}) == len(runs)
    return name if same else f"{name}, {run.stack.init}, width {run.stack.width}"
