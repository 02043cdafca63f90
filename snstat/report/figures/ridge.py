"""The ridge of one layer: the density above its baseline, theory, and atoms."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from snstat.report.figures.series import Series
    from snstat.report.figures.style import Style
    from snstat.results import Densities, FloatArray

# The most that a ridge covers of the distance to the baseline above it.
TALLEST_SHARE = 0.95
# Taller peaks, in units of the typical height, are cut off here and marked.
TALLEST = 1.25
GAUSSIAN_POINTS = 301
GAUSSIAN_DASHES = (0, (4, 1.5))
LAW_WIDTH = 1.4
# Opacity of the measured density and of its outline, and the width of the border that sets theory,
# which has the same colour, off from them.
FILL, OUTLINE, BORDER = 0.35, 0.7, 1.0
# The size in points of a mark on a bar that is cut off: about the width of a bar.
CUT_SIZE = 2.5
# The height of a stem whose probability is 1.
STEM = 0.9
# Stems of smaller probabilities have no label.
LEAST_SHARE = 0.005
# Labels are drawn over all ridges, whose order is 2 to 4.
LABELS = 5


@dataclass(frozen=True, slots=True)
class Scale:
    """The scale of ridges: whether each is in units of its `own` standard deviation, and the
    `typical` peak density."""

    own: bool
    typical: float

    def heights(self, density: FloatArray) -> FloatArray:
        """Return the heights of densities above the baseline, cut off at `TALLEST`."""
        return np.minimum(density / self.typical, TALLEST) * TALLEST_SHARE / TALLEST

    def cut(self, density: FloatArray) -> npt.NDArray[np.bool_]:
        """Return which of these densities are cut off."""
        return density > TALLEST * self.typical


def draw_ridge(
    axes: Axes, densities: Densities, row: int, series: Series, look: Style, scale: Scale
) -> Iterator[str]:
    """Draw one layer of `densities` in the look of its activation, and yield what was drawn:
    "simulation", "law", "gaussian", "atom" and "cut"."""
    from matplotlib.patheffects import withStroke

    mean, std = float(densities.mean[row]), math.sqrt(max(float(densities.variance[row]), 0.0))
    edges, density, law = densities.edges[row], densities.density[row], densities.law[row]
    if not np.isfinite(density).all() or not np.isfinite(edges).all():
        axes.text(0.0, -row + 0.1, "not finite", color=look.ink, transform=axes.transData)
        return
    if not math.isfinite(mean) or not math.isfinite(std):
        # The variance of finite activations beyond 1e154 overflows.
        axes.text(0.0, -row + 0.1, "variance not finite", color=look.ink)
        return
    shift, unit = (mean, std) if scale.own and std > 0 else (0.0, 1.0)
    edges, density, law = (edges - shift) / unit, density * unit, law * unit
    color, order = series.color, 2 + row * 0.01
    tops = -row + scale.heights(density)
    axes.stairs(tops, edges, baseline=-row, fill=True, color=look.ground, zorder=order)
    axes.stairs(tops, edges, baseline=-row, fill=True, color=color, alpha=FILL, zorder=order)
    axes.stairs(tops, edges, baseline=-row, color=color, alpha=OUTLINE, linewidth=0.6,
                zorder=order + 0.002)  # fmt: skip
    yield "simulation"
    middles = (edges[1:] + edges[:-1]) / 2
    cut = scale.cut(density)
    if np.isfinite(law).all():
        axes.plot(middles, -row + scale.heights(law), color=color, linestyle=series.line,
                  linewidth=LAW_WIDTH, zorder=order + 0.004, path_effects=[
                      withStroke(linewidth=LAW_WIDTH + BORDER, foreground=look.ground)
                  ])  # fmt: skip
        cut |= scale.cut(law)
        yield "law"
    elif std > 0:
        mean, std = (mean - shift) / unit, std / unit
        x = np.linspace(mean - 4 * std, mean + 4 * std, GAUSSIAN_POINTS)
        axes.plot(x, -row + scale.heights(_gaussian(x, mean, std)), color=look.ink, linewidth=1.0,
                  linestyle=GAUSSIAN_DASHES, zorder=order + 0.004)  # fmt: skip
        cut |= scale.cut(_gaussian(middles, mean, std))
        yield "gaussian"
    if cut.any():
        # Every bar, so that none looks whole.
        tops = np.full(int(cut.sum()), -row + TALLEST_SHARE)
        axes.plot(middles[cut], tops, "^", color=look.ink, markersize=CUT_SIZE,
                  markeredgewidth=0.0, zorder=order + 0.005)  # fmt: skip
        yield "cut"
    for number, atom in enumerate(densities.atoms.tolist()):
        if math.isfinite(densities.atom_shares[row, number]):
            _draw_atom(axes, densities, row, number, (atom - shift) / unit, color=color, look=look)
            yield "atom"


def _gaussian(x: FloatArray, mean: float, std: float) -> FloatArray:
    """Return the density of the Gaussian with this mean and standard deviation at each of `x`."""
    density: FloatArray = np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))
    return density


def _draw_atom(
    axes: Axes,
    densities: Densities,
    row: int,
    number: int,
    place: float,
    *,
    color: str,
    look: Style,
) -> None:
    """Draw a stem as high as the probability of one value, and a bar at that of theory."""
    share = float(densities.atom_shares[row, number])
    chance = float(densities.atom_law[row, number])
    order = 2 + row * 0.01 + 0.006
    axes.plot([place, place], [-row, -row + STEM * share], color=look.ink, linewidth=1.0,
              zorder=order)  # fmt: skip
    axes.plot([place], [-row + STEM * share], "o", color=look.ink, markersize=3.5,
              markerfacecolor=look.ground, zorder=order + 0.001, clip_on=False)  # fmt: skip
    if math.isfinite(chance):
        axes.plot(
            [place], [-row + STEM * chance], "_", color=color, markersize=12,
            markeredgewidth=1.6, zorder=order, clip_on=False,
        )  # fmt: skip
    if share < LEAST_SHARE:
        return
    # The label stands beside the bar of theory, where the density is lower, over all ridges.
    edges, density = densities.edges[row], densities.density[row]
    middles, atom = (edges[1:] + edges[:-1]) / 2, float(densities.atoms[number])
    left = density[middles < atom].sum() < density[middles > atom].sum()
    axes.annotate(
        f"{share:.2f}", (place, -row + STEM * share), xytext=(-8 if left else 8, 0),
        textcoords="offset points", horizontalalignment="right" if left else "left",
        verticalalignment="center", fontsize=6.5, color=look.ink, zorder=LABELS,
        bbox={"facecolor": look.ground, "edgecolor": "none", "pad": 0.6},
    )  # fmt: skip
