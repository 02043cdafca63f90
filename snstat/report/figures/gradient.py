"""Squared gradients by layer, with the factor per layer of each run written beside its name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from snstat.errors import InvalidValueError
from snstat.report.figures.captions import run_labels
from snstat.report.figures.style import style_named
from snstat.report.figures.trajectory import MOST_OVERLAID, Options, draw_trajectory, drawables
from snstat.report.numbers import quantity
from snstat.results import GRADIENT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from snstat.report.figures.panel import Drawn
    from snstat.results import Run

# The height of a single panel in inches.
TALL = 3.0


def draw_gradient(
    runs: Sequence[Run], style: str = "light", options: Options | None = None
) -> Figure:
    """Return a figure of the mean squared gradient of each run over depth, relative to the last
    layer.

    Beside the name of a run stand χ, the factor per layer backward at the fixed point, and the
    measured one: the geometric mean over all layers, with its standard error. A run without a
    measured gradient has the line of theory alone, from `options.gradients`. Raises
    UnknownNameError for an unknown style, and InvalidValueError where no run has either.
    """
    options = options or Options()
    drawn = drawables(runs, style_named(style), options)
    if all(entry.statistic(GRADIENT) is None for entry in drawn):
        raise InvalidValueError("gradient", "unknown in all runs", "measured", "add --backward")
    apart = "\n" if len(runs) > MOST_OVERLAID else " · "
    labels = [
        apart.join([label, *_factors(entry)])
        for label, entry in zip(run_labels(runs), drawn, strict=True)
    ]
    own = replace(options, statistics=(GRADIENT,), targets=(), labels=labels, panel=TALL)
    return draw_trajectory(runs, style, own)


def _factors(entry: Drawn) -> list[str]:
    """Return the factors per layer of a run in words: χ by theory, and the measured one."""
    found = []
    outlook, statistic = entry.run.outlook, entry.statistic(GRADIENT)
    if outlook is not None and outlook.gradient_growth is not None:
        found.append(f"χ = {outlook.gradient_growth:.4g}")
    if statistic is None:
        return found
    known = np.flatnonzero(np.isfinite(statistic.estimate) & (statistic.estimate > 0))
    if known.size > 1:
        first, last = int(known[0]), int(known[-1])
        ratio = float(statistic.estimate[first] / statistic.estimate[last])
        factor = ratio ** (1.0 / (last - first))
        error = factor * float(statistic.stderr[first]) / (last - first)
        found.append(f"measured {quantity(factor, error if error > 0 else math.nan)}")
    return found
