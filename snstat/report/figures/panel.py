"""One statistic over depth on its own axes: simulation with its error band, theory, the target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from snstat.report.figures.layer_axis import DEEP
from snstat.report.figures.style import Style, dress
from snstat.report.figures.ticks import set_end_ticks, set_power_ticks, set_signed_ticks
from snstat.results import GRADIENT, SHARES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from snstat.report.figures.series import Series
    from snstat.results import FloatArray, Run, Statistic

LABELS = {
    "mean": "activation\nmean",
    "variance": "activation\nvariance",
    "cosine": "cosine of\ntwo inputs",
    "position_cosine": "cosine of\ntwo positions",
    GRADIENT: "squared gradient\nover the last",
}
# Panels that always include 1, so that noise around it does not fill them.
ABOUT_ONE = ("variance", "second_moment", GRADIENT)
DOTTED = (0, (1, 2))
# Line styles where a run ends: at values that are not finite, or at an interruption.
BROKEN = (0, (6, 2))
CUT = (0, (6, 2, 1, 2))
ENDS = {BROKEN: "not finite from here", CUT: "interrupted here"}
# Values that span more than this factor get a logarithmic axis.
WIDE = 30.0
# Values above LARGEST are not drawn. Above HUGE an axis ends near its data, because axes compute
# powers beyond those that they show.
LARGEST = 1e290
HUGE = 1e150
SLIGHT = 0.02
# The approximate number of markers on a curve, and the most points of a curve.
MARKED = 14
POINTS = 2000
# From so many repetitions on, a curve connects only the last layers of each.
REPEATED = 4
# Opacity of theory at infinite width beside theory at the simulated width.
FAINT = 0.4
# The share of trials below a band of quantiles, and below its upper end; and the trials without
# which there is no such share, so that the band is their range.
BAND, LEAST_TRIALS = (0.05, 0.95), 20
# The residual strip reaches at least this many standard errors.
LEAST_RESIDUAL = 3.5


@dataclass(frozen=True, slots=True)
class Drawn:
    """A run to draw: its look, its theoretical `gradient` (layers,), used if none was measured, its
    target (mean, variance) or None, and whether bands are `quantiles` of trials."""

    run: Run
    series: Series
    label: str
    gradient: FloatArray | None = None
    target: tuple[float, float] | None = None
    quantiles: bool = False

    def statistic(self, name: str) -> Statistic | None:
        """Return a statistic of the run. A gradient that was not measured has theory only."""
        from snstat.results import Statistic

        found = self.run.statistics.get(name)
        if found is None and name == GRADIENT and self.gradient is not None:
            nothing = np.full_like(self.gradient, np.nan)
            found = Statistic(nothing, nothing, self.gradient, logarithmic=True)
        return found

    def goal(self, name: str) -> float | None:
        """Return the target of a statistic."""
        if self.target is None or name not in {"mean", "variance"}:
            return None
        return self.target[name == "variance"]


def draw_panel(axes: Axes, drawn: Sequence[Drawn], name: str, look: Style) -> None:
    """Draw one statistic of every run."""
    axes.set_ylabel(LABELS.get(name, name.replace("_", " ")))
    dress(axes, look)
    for goal in {entry.goal(name) for entry in drawn} - {None}:
        assert goal is not None  # noqa: S101  # for the type checker
        axes.axhline(goal, color=look.ink, linewidth=0.9, linestyle=DOTTED, zorder=1.5)
    for number, entry in enumerate(drawn):
        if entry.statistic(name) is not None:
            _draw_run(axes, entry, name, number, look)
        for layer, line, _ in ends(entry.run):
            axes.axvline(layer, color=entry.series.color, linewidth=0.8, linestyle=line, zorder=1.4)
    _set_scale(axes, drawn, name)


def draw_residuals(axes: Axes, drawn: Sequence[Drawn], name: str, look: Style) -> None:
    """Draw z, (estimate − theory) / standard error, of one statistic of every run."""
    dress(axes, look)
    axes.set_ylabel("z")
    for level, width in ((0.0, 0.8), (-2.0, 0.5), (2.0, 0.5)):
        axes.axhline(level, color=look.faint, linewidth=width, zorder=1.5)
    reach = LEAST_RESIDUAL
    for number, entry in enumerate(drawn):
        statistic = entry.statistic(name)
        if statistic is None or not len(entry.run.finite):
            continue
        layers = curve(entry.run, len(statistic.theory))
        marked = layers[marked_layers(layers, number)]
        z = statistic.z[marked]
        known = np.abs(z[np.isfinite(z)])
        # Room for whole markers at the edges.
        reach = max(reach, 1.25 * min(float(known.max(initial=0.0)), LARGEST))
        axes.plot(
            marked, z, entry.series.marker, color=entry.series.color,
            markerfacecolor=look.ground, markeredgewidth=1.0, markersize=3,
        )  # fmt: skip
    if reach > WIDE:
        # Linear between the lines at 2 and -2.
        axes.set_yscale("symlog", linthresh=2.0)
    axes.set_ylim(-reach, reach)
    set_end_ticks(axes)


def ends(run: Run) -> list[tuple[int, Any, str]]:
    """Return where a run stopped being finite or was interrupted: layer, dashes and label."""
    found: list[tuple[int, Any, str]] = []
    if run.first_nonfinite is not None:
        layer = run.first_nonfinite
        found.append((layer, BROKEN, f"not finite from layer {layer}"))
    if run.partial:
        last = max(len(run.finite) - 1, 0)
        found.append((last, CUT, f"interrupted at layer {last} of {run.depth}"))
    return found


def curve(run: Run, layers: int) -> npt.NDArray[np.intp]:
    """Return which of `layers` layers a curve connects: at most about `POINTS`, log-spaced in deep
    networks like the axis, and none within a residual or a turn of a block."""
    return thinned(connected(run, layers))


def thinned(layers: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return `layers`, at most about `POINTS` of them, log-spaced, with both ends."""
    if len(layers) > POINTS:
        places = np.geomspace(1, len(layers) - 1, POINTS).astype(np.intp)
        layers = layers[np.unique(np.append(0, places))]
    return layers


def connected(run: Run, layers: int) -> npt.NDArray[np.intp]:
    """Return the layers outside residuals; of a block that is repeated, the last of each turn. Of a
    traced module, activations and outputs of blocks."""
    if run.module is not None:
        return np.array([number for number in run.module.main if number < layers], dtype=np.intp)
    if run.network is None:
        return np.arange(layers)
    listed = enumerate(run.network.form["layers"])
    repeated = {own.get("name", str(n)) for n, own in listed if own.get("times", 1) >= REPEATED}
    last: dict[tuple[str, ...], int] = {}
    for number, row in enumerate(run.network.layers[:layers]):
        if not row.inner:
            name = tuple(row.name.split("."))
            last[name[:2] if name[0] in repeated else name] = number
    return np.array(list(last.values()), dtype=np.intp)


def inner(run: Run, layers: int) -> npt.NDArray[np.intp]:
    """Return which of `layers` layers no curve connects, none where there are too many to be seen
    as points."""
    there = np.arange(layers)
    if run.module is not None:
        there = np.intersect1d(there, run.module.distinct)
    rest = np.setdiff1d(there, connected(run, layers))
    found: npt.NDArray[np.intp] = rest if len(rest) <= POINTS else rest[:0]
    return found


def _draw_run(axes: Axes, entry: Drawn, name: str, number: int, look: Style) -> None:
    """Draw one statistic of one run: theory as a line, simulation as a band and markers."""
    statistic, series = entry.statistic(name), entry.series
    if statistic is None or not len(statistic.theory):
        return
    layers = curve(entry.run, len(statistic.theory))
    estimate = drawable(statistic.estimate[layers])
    theory, known = drawable(statistic.reference[layers]), np.isfinite(statistic.expected)
    limit = FAINT if known.any() else 1.0
    for part, alpha in ((known[layers], 1.0), (statistic.infinite_width[layers], limit)):
        if part.any():
            axes.plot(
                layers,
                np.where(part, theory, np.nan),
                color=series.color,
                linestyle=series.line,
                marker="_" if part.sum() == 1 else "",  # one point has no line
                alpha=alpha,
                zorder=2.5,
            )
    if not np.isfinite(estimate).any():
        return
    within = inner(entry.run, len(statistic.theory))
    axes.plot(
        within, drawable(statistic.estimate[within]), ".", color=series.color, alpha=FAINT,
        markersize=3, zorder=2,
    )  # fmt: skip
    below, above = error_bars(statistic, estimate, layers)
    low, high = estimate - below, estimate + above
    if entry.quantiles and statistic.trials is not None:
        low, high = quantile_band(statistic.trials[:, layers])
    axes.fill_between(layers, low, high, color=series.color, alpha=0.3, linewidth=0)
    marked = marked_layers(layers, number)
    axes.errorbar(
        layers[marked],
        estimate[marked],
        yerr=(below[marked], above[marked]),
        fmt=series.marker,
        color=series.color,
        markerfacecolor=look.ground,
        markeredgewidth=1.1,
        elinewidth=1.0,
        capsize=0,
        zorder=3,
    )


def quantile_band(trials: FloatArray) -> FloatArray:
    """Return what 5 and 95 % of the `trials` (trials, layers) are below, (2, layers), and of fewer
    than 20 the least and the largest; NaN where a trial is not finite."""
    known = np.abs(trials) <= LARGEST
    shares = BAND if len(trials) >= LEAST_TRIALS else (0.0, 1.0)
    found: FloatArray = np.quantile(np.where(known, trials, 0.0), shares, axis=0)
    return np.where(known.all(axis=0), found, np.nan)


def band_words(runs: Iterable[Run]) -> str:
    """Return what bands of quantiles are."""
    few = {run.simulation.trials < LEAST_TRIALS for run in runs}
    kinds = {False: "5 to 95 % of trials", True: "range of trials"}
    return " or ".join(kinds[own] for own in sorted(few))


def error_bars(
    statistic: Statistic, estimate: FloatArray, layers: npt.NDArray[np.intp]
) -> tuple[FloatArray, FloatArray]:
    """Return how far one standard error is below and above the estimates, (layers,) both. Larger
    errors extend to the end of the axis."""
    stderr = np.nan_to_num(statistic.stderr[layers])
    if not statistic.logarithmic:
        return np.minimum(stderr, LARGEST), np.minimum(stderr, LARGEST)
    with np.errstate(over="ignore", invalid="ignore"):
        below, above = -estimate * np.expm1(-stderr), estimate * np.expm1(stderr)
    return below, np.minimum(np.nan_to_num(above), LARGEST)


def _set_scale(axes: Axes, drawn: Sequence[Drawn], name: str) -> None:
    """Choose a scale that shows the values: logarithmic if they span decades."""
    found = [statistic for entry in drawn if (statistic := entry.statistic(name)) is not None]
    values = np.concatenate([_shown(statistic) for statistic in found] or [np.empty(0)])
    values = values[np.isfinite(values)]
    if not values.size:
        return
    low, high = float(values.min()), float(values.max())
    if name in {"cosine", "position_cosine"} or name in SHARES:
        axes.set_ylim(min(0.0, low) - 0.05, 1.05)
        return
    values = np.abs(values)
    if values.max() > HUGE:
        axes.margins(y=SLIGHT)
    if low >= 0 and name != "mean":
        positive = values[values > 0]
        if positive.size and positive.max() > WIDE * positive.min():
            if positive.min() < 1 / LARGEST:
                axes.set_ylim(bottom=positive.min())
            axes.set_yscale("log")
            if values.max() > HUGE or positive.min() < 1 / HUGE:
                set_power_ticks(axes)
        elif name in ABOUT_ONE:
            _include(axes, 0.9, 1.1)
    elif values.max() > WIDE:
        axes.set_yscale("symlog", linthresh=1.0)
        # Otherwise an error bar that crosses 0 extends as far down as the values extend up.
        if low >= -1.0:
            axes.set_ylim(bottom=-1.0)
        if high <= 1.0:
            axes.set_ylim(top=1.0)
        set_signed_ticks(axes)
    else:
        _include(axes, -0.05, 0.05)


def _include(axes: Axes, low: float, high: float) -> None:
    """Widen the axis to include [low, high], so that noise does not fill the panel."""
    bottom, top = axes.get_ylim()
    axes.set_ylim(min(bottom, low), max(top, high))


def _shown(statistic: Statistic) -> FloatArray:
    return drawable(np.concatenate([statistic.estimate, statistic.reference]))


def drawable(values: FloatArray) -> FloatArray:
    """Return `values` with NaN, which is not drawn, in place of values above `LARGEST`."""
    return np.where(np.abs(values) <= LARGEST, values, np.nan)


def marked_layers(layers: npt.NDArray[np.intp], number: int) -> npt.NDArray[np.intp]:
    """Return which of `layers` carry a marker of run `number`: the ends, and evenly spaced ones.

    Those between are staggered between runs, so that markers of equal curves do not overlap.
    """
    last, end = int(layers[-1]), len(layers) - 1
    ends = [0, end]
    shift = number % 3 / 3
    if last >= DEEP:
        wanted = np.geomspace(1, last, MARKED) ** (1 - shift / MARKED)
        return np.unique(np.append(ends, np.searchsorted(layers, wanted)))
    step = max(end // MARKED, 1)
    return np.unique(np.append(ends, np.arange(int(step * shift), end + 1, step)))
