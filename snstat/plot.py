"""The figures of `snstat plot` in Python. Each function returns matplotlib axes.

Figures belong to `matplotlib.pyplot`: a notebook shows them, and elsewhere `plt.show()` does. With
`ax`, one statistic is drawn on your own axes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.checks.module_case import ModuleCase
from snstat.checks.request import Request
from snstat.errors import InvalidValueError, SnstatError, UnknownNameError
from snstat.experiment.densities import densities, with_densities
from snstat.experiment.plans import plan_again
from snstat.results import GRADIENT, OF_POSITIONS, STATISTICS, Run
from snstat.results.statistic import BANDS
from snstat.values import integer, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from snstat.checks.case import Case
    from snstat.report.figures import Options

__all__ = [
    "correlation",
    "histogram",
    "moment_map",
    "phase",
    "positions",
    "statistic",
    "trajectory",
]

TRAJECTORY = "trajectory"
HISTOGRAM = "histogram"
# The least and the greatest width and height of a picture in inches.
SIZES = (1.0, 100.0)
DRAWN = (*STATISTICS, *OF_POSITIONS, GRADIENT)
KINDS = (TRAJECTORY, HISTOGRAM, *DRAWN)


def trajectory(
    *runs: Run,
    statistics: Sequence[str] = (),
    residuals: bool = False,
    caption: bool = True,
    band: str = "stderr",
    style: str = "light",
    size: tuple[float, float] | None = None,
) -> list[Axes]:
    """Draw statistics of `runs` over depth and return the axes, one for each statistic.

    Parameters
    ----------
    *runs
        Results of `snstat.propagate` or `snstat.load`; more than seven get separate axes.
    statistics
        Names of statistics; by default mean, variance, and cosine and gradient if known.
    residuals
        Add axes with z, (estimate − theory)/standard error, below each.
    caption
        Write network, trials and seed below the axes.
    band
        "stderr" (one standard error to either side) or "quantile" (5 to 95 % of the trials, all of
        fewer than 20, of runs with `keep_trials=True`).
    style
        "light" or "dark".
    size
        Width and height in inches.

    Raises
    ------
    snstat.errors.SnstatError
        For an unknown statistic, band or style, runs without the values of trials, or no run at
        all.
    """
    from snstat.report import figures

    _require_runs(runs)
    if isinstance(statistics, str):
        raise InvalidValueError("statistics", statistics, "a list of names", "put it in brackets")
    for name in statistics:
        _known(name, DRAWN)
    _require_size(size)
    options = trajectory_options(
        runs,
        band=band,
        statistics=tuple(statistics),
        residuals=residuals,
        caption=caption,
        size=size,
    )
    with _in_pyplot():
        return list(figures.draw_trajectory(runs, style, options).axes)


def statistic(name: str, *runs: Run, ax: Axes, style: str = "light") -> Axes:
    """Draw one statistic of `runs` over depth on `ax`, and return it.

    Raises as `trajectory`, and InvalidValueError if `ax` is not one matplotlib Axes.
    """
    from snstat.report.figures.layer_axis import make_room, set_layers
    from snstat.report.figures.panel import draw_panel
    from snstat.report.figures.style import style_named
    from snstat.report.figures.trajectory import drawables

    _known(name, DRAWN)
    _require_runs(runs)
    _require_axes(ax)
    look = style_named(style)
    drawn = drawables(runs, look, trajectory_options(runs))
    draw_panel(ax, drawn, name, look)
    layers = max(len(run.finite) for run in runs)
    set_layers(ax, layers)
    make_room([ax], layers)
    ax.set_xlabel("layer")
    return ax


def histogram(run: Run, layers: Iterable[int] | None = None, *, style: str = "light") -> Axes:
    """Simulate the network of `run` again, draw the densities of its activations and return the
    axes.

    `layers` are numbers of layers; by default 0, 1, 2, 4, 8, ... and the last. Raises SnstatError
    for a layer that the run lacks, and for a run that cannot be reproduced.
    """
    from snstat.report import figures
    from snstat.report.selection import LOG

    _require_runs([run])
    last = len(run.finite) - 1
    chosen = LOG.rows(last) if layers is None else _layers(layers, last)
    measured = densities(plan_again(run), with_densities(run.subject, chosen))
    with _in_pyplot():
        return figures.draw_histogram(measured, style).axes[0]


def positions(run: Run, layers: Iterable[int] | None = None, *, style: str = "light") -> Axes:
    """Draw the second moment at every position of a grid, by theory of the network of `run`, and
    return the first axes.

    `layers` are numbers of layers; by default the first and the last, and those that differ from
    the one before. Raises SnstatError for a layer that the run lacks, and where theory knows no
    layer on a grid.
    """
    from snstat.experiment.positions import position_shares
    from snstat.report import figures

    _require_runs([run])
    chosen = None if layers is None else _layers(layers, len(run.finite) - 1)
    found = position_shares(plan_again(run), chosen)
    with _in_pyplot():
        return figures.draw_positions(found, style).axes[0]


def correlation(
    activation: str, *, weight_gain: float = 1.0, bias_std: float = 0.0, style: str = "light"
) -> Axes:
    """Draw the correlation map with its fixed points and return the axes.

    Raises as `snstat.correlation_map`.
    """
    from snstat.report import figures
    from snstat.theory.pictures import correlation_curve

    curve = correlation_curve(activation, weight_gain=weight_gain, bias_std=bias_std)
    with _in_pyplot():
        return figures.draw_correlation([curve], style).axes[0]


def phase(
    *activations: str,
    weight_gain: tuple[float, float] = (0.5, 3.0),
    bias_std: tuple[float, float] = (0.0, 1.0),
    contour: str = "xi_c",
    variance: bool = False,
    style: str = "light",
) -> list[Axes]:
    """Draw the ordered and the chaotic phase of each activation and return the axes.

    `weight_gain` and `bias_std` are (low, high). `contour` is the depth scale whose contours are
    drawn: "xi_c", "xi_q", "both" or "none". With `variance` the axes are G² and b². Raises as
    `snstat.phase`, and InvalidValueError for an empty or a reversed range, or no activation.
    """
    from snstat.report import figures
    from snstat.results.phase import CONTOURS
    from snstat.theory.pictures import phase_plane

    if not activations:
        raise InvalidValueError("number of activations", 0, "at least 1")
    if contour not in CONTOURS:
        raise UnknownNameError("contour", contour, CONTOURS)
    planes = [phase_plane(name, weight_gain, bias_std, variance=variance) for name in activations]
    with _in_pyplot():
        drawn = figures.draw_phase(planes, style, contour=contour, variance=variance)
    return [axes for axes in drawn.axes if axes.get_visible()]


def moment_map(activation: str = "selu", *, style: str = "light", **parameters: Any) -> Axes:
    """Draw a map of mean and variance as a field of arrows and return the axes.

    `parameters` are those of `snstat.theory.pictures.map_field`: map, weight_gain, bias_std,
    weight_sum, weight_square_sum, mean_range, variance_range. Raises as `snstat.fixed_points`.
    """
    from snstat.report import figures
    from snstat.theory.pictures import map_field

    field = map_field(activation, **parameters)
    with _in_pyplot():
        return figures.draw_map(field, style).axes[0]


def run_plot(run: Run, kind: str = TRAJECTORY, ax: Axes | None = None) -> Any:
    """Draw a run: see `snstat.results.Run.plot`."""
    _known(kind, KINDS)
    if ax is not None:
        if kind == HISTOGRAM:
            bound = "left out with a histogram, which has axes of its own"
            raise InvalidValueError("ax", _named(ax), bound)
        return statistic("variance" if kind == TRAJECTORY else kind, run, ax=ax)
    if kind == HISTOGRAM:
        return histogram(run)
    if kind == TRAJECTORY:
        return np.array(trajectory(run), dtype=object)
    return trajectory(run, statistics=(kind,))[0]


def trajectory_options(runs: Sequence[Run], *, band: str = BANDS[0], **others: Any) -> Options:
    """Return the options for drawing `runs`, with what their records lack: the theoretical
    gradient and the target of each run. `others` are further fields of `Options`. Raises
    UnknownNameError for an unknown band, and InvalidValueError for bands of quantiles of a run that
    kept no trials."""
    from snstat.report.figures import Options

    if band not in BANDS:
        raise UnknownNameError("band", band, BANDS)
    kept = all(any(own.trials is not None for own in run.statistics.values()) for run in runs)
    if band == "quantile" and not kept:
        cure = "simulate them again with keep_trials"
        raise InvalidValueError("band", band, f"{BANDS[0]} for runs without their trials", cure)
    others["quantiles"] = band == "quantile"
    cases = [_case(run) for run in runs]
    with np.errstate(over="ignore"):
        gradients = [
            None if case is None or isinstance(case, ModuleCase) else np.exp(case.gradients)
            for case in cases
        ]
    targets = [None if case is None else case.target for case, run in zip(cases, runs, strict=True)]
    return Options(gradients=gradients, targets=targets, **others)


def _case(run: Run) -> Case | None:
    """Return the case that the rules judge, None if they cannot judge the run."""
    try:
        return Request.build({}, saved=run).case(run)
    except SnstatError:
        return None


def _require_runs(runs: Sequence[Any]) -> None:
    if not runs:
        raise InvalidValueError("number of runs", 0, "at least 1")
    for run in runs:
        if not isinstance(run, Run):
            cure = "make one with snstat.propagate, or read one with snstat.load"
            if isinstance(run, list | tuple):
                cure = "write * before a list of runs"
            raise InvalidValueError("run", _named(run), "a run", cure)


def _require_axes(ax: Any) -> None:
    from matplotlib.axes import Axes

    if isinstance(ax, Axes):
        return
    cure = "use matplotlib.pyplot.gca()"
    if isinstance(ax, np.ndarray | list | tuple):
        first = "ax.flat[0]" if isinstance(ax, np.ndarray) else "ax[0]"
        cure = f"give one of them, such as {first}, for each statistic"
    raise InvalidValueError("ax", _named(ax), "one matplotlib Axes", cure)


def _named(value: Any) -> Any:
    """Return `value` as messages name it: text as it is, other objects by their type."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return value if isinstance(value, str) else f"of type {type(value).__name__}"


def _layers(layers: Any, last: int) -> list[int]:
    """Return the numbers of layers 0..`last`, validated and ascending."""
    if not np.iterable(layers):
        bound = "a list of whole numbers"
        raise InvalidValueError("layers", layers, bound, "put it in brackets")
    return sorted({integer("layers", layer, 0, last) for layer in layers})


def _require_size(size: Any) -> None:
    if size is None:
        return
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise InvalidValueError("size", size, "two numbers: width and height in inches")
    for entry in size:
        number("size", entry, *SIZES)


def _known(name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise UnknownNameError("kind", name, names)


@contextmanager
def _in_pyplot() -> Iterator[None]:
    """Make figures within the block belong to pyplot."""
    import matplotlib.pyplot as plt

    from snstat.report.figures.style import new_figure

    token = new_figure.set(plt.figure)
    try:
        yield
    finally:
        new_figure.reset(token)


def __dir__() -> list[str]:
    return sorted(__all__)
