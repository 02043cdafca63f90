"""One statistic of one run in a panel of bokeh, with the numbers of its record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from snstat.errors import escaped
from snstat.report.figures.panel import (
    FAINT,
    Drawn,
    curve,
    drawable,
    ends,
    error_bars,
    inner,
    marked_layers,
    quantile_band,
)
from snstat.report.figures.style import Style
from snstat.report.interactive.axis import Axis
from snstat.report.numbers import alike, quantity, score

if TYPE_CHECKING:
    from snstat.results import Run, Statistic

# Diameters of markers in pixels, and of the points of layers between them.
MARK, POINT = 8, 4
# Marker of matplotlib -> that of bokeh, and its angle in radians.
MARKERS = {
    "o": ("circle", 0.0),
    "s": ("square", 0.0),
    "^": ("triangle", 0.0),
    "D": ("square", np.pi / 4),
    "v": ("inverted_triangle", 0.0),
    "P": ("plus", 0.0),
    "X": ("plus", np.pi / 4),
    "<": ("triangle", np.pi / 2),
}
MISSING = "unknown"


def draw_run(
    panel: Any, entry: Drawn, name: str, number: int, axes: tuple[Axis, Axis], look: Style
) -> tuple[list[Any], list[Any]]:
    """Draw one statistic of one run. Return all that was drawn, and what hover is for."""
    from bokeh.models import ColumnDataSource

    (across, up), color = axes, entry.series.color
    found = [
        panel.vspan(
            x=across.places(np.array([layer])).tolist(),
            line_color=color,
            line_dash=dashes_of(line),
            line_width=1,
        )
        for layer, line, _ in ends(entry.run)
    ]
    statistic = entry.statistic(name)
    if statistic is None or not len(statistic.theory):
        return found, []
    layers = curve(entry.run, len(statistic.theory))
    x, theory = across.places(layers), up.places(drawable(statistic.reference[layers]))
    expected = np.isfinite(statistic.expected)
    limit = FAINT if expected.any() else 1.0
    for part, alpha in ((expected, 1.0), (statistic.infinite_width, limit)):
        if np.isfinite(theory[part[layers]]).any():
            y = np.where(part[layers], theory, np.nan)
            found.append(
                panel.line(
                    x.tolist(),
                    y.tolist(),
                    color=color,
                    alpha=alpha,
                    line_width=2,
                    line_dash=dashes_of(entry.series.line),
                )
            )
    estimate = drawable(statistic.estimate[layers])
    below, above = error_bars(statistic, estimate, layers)
    low, high = up.places(estimate - below, clip=True), up.places(estimate + above)
    bars = marked_layers(layers, number)
    simulated = bool(np.isfinite(estimate).any())
    if simulated:
        band = (low, high)
        if entry.quantiles and statistic.trials is not None:
            ends_of_band = quantile_band(statistic.trials[:, layers])
            band = up.places(ends_of_band[0], clip=True), up.places(ends_of_band[1])
        found += [
            panel.varea(x.tolist(), *(end.tolist() for end in band), color=color, alpha=0.3),
            panel.segment(
                *(own[bars].tolist() for own in (x, low, x, high)), color=color, line_width=1.3
            ),
        ]
    if simulated:
        every = np.union1d(layers, inner(entry.run, len(statistic.theory)))
        y = up.places(drawable(statistic.estimate[every]))
    else:  # the pointer finds the line of theory
        every, y = layers, theory
    large, beside = np.isin(every, layers[bars]) & simulated, ~np.isin(every, layers)
    columns = _columns(entry.run, statistic, every)
    columns |= {
        "x": across.places(every).tolist(),
        "y": y.tolist(),
        "size": np.where(large, MARK, POINT).tolist(),
        "alpha": np.where(beside, FAINT, 1.0).tolist(),
    }
    shape, angle = MARKERS[entry.series.marker]
    points = panel.scatter(
        "x",
        "y",
        size="size",
        alpha="alpha",
        marker=shape,
        angle=angle,
        line_color=color,
        fill_color=look.ground,
        line_width=1.4,
        name=escaped(entry.label),
        source=ColumnDataSource(columns),
    )
    return [*found, points], [points]


def _columns(run: Run, statistic: Statistic, layers: npt.NDArray[np.intp]) -> dict[str, list[Any]]:
    """Return the numbers of the record as they are, and as hover shows them."""
    estimate, stderr, error, theory, z = (
        values[layers].tolist()
        for values in (
            statistic.estimate,
            statistic.stderr,
            statistic.error,
            statistic.reference,
            statistic.z,
        )
    )
    rows = [run.row(layer) for layer in layers.tolist()]
    return {
        "layer": layers.tolist(),
        "name": [escaped(row.name) for row in rows],
        "kind": [escaped(row.kind) for row in rows],
        "estimate": estimate,
        "stderr": stderr,
        "theory": theory,
        "z": z,
        "shown": [text or MISSING for text in map(quantity, estimate, error)],
        "shown_theory": [text or MISSING for text in map(alike, theory, estimate, error)],
        "shown_z": [text or MISSING for text in map(score, z)],
    }


def dashes_of(line: Any) -> str:
    """Return the dashes of a line of matplotlib in pixels."""
    return "solid" if line == "-" else " ".join(f"{max(round(2 * part), 1)}" for part in line[1])
