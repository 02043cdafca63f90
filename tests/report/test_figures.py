"""Figures show the data, have labels, and give the same bytes for the same input."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.text import Text

import snstat
from snstat.activation import display_name
from snstat.errors import InvalidValueError, UnknownNameError
from snstat.report.figures import (
    STYLES,
    Options,
    draw_correlation,
    draw_histogram,
    draw_map,
    draw_spectrum,
    draw_trajectory,
    save_figure,
)
from snstat.report.figures.captions import run_caption
from snstat.report.figures.histogram import MOST_RIDGES
from snstat.report.figures.series import ORDER, series_of
from snstat.report.figures.ticks import power_ticks, shade_ticks, signed_ticks
from tests.report.builders import (
    make_curves,
    make_densities,
    make_field,
    make_report,
    make_run,
    make_spectrum,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from snstat.results import FloatArray

# Fields of a histogram that have a row per layer.
PARTS = ("edges", "density", "mean", "variance", "law", "atom_shares", "atom_law")
ROOT = Path(__file__).parents[2]
DRAWINGS: dict[str, Callable[[str], Figure]] = {
    "trajectory": lambda style: draw_trajectory([make_run(), make_run("tanh", growth=0.5)], style),
    "map": lambda style: draw_map(make_field(), style),
    "histogram": lambda style: draw_histogram(make_densities(), style),
    "correlation": lambda style: draw_correlation(make_curves(), style),
    "spectrum": lambda style: draw_spectrum(make_spectrum(), style),
}


def bytes_of(figure: Figure, form: str) -> bytes:
    buffer = io.BytesIO()
    save_figure(figure, buffer, form)
    return buffer.getvalue()


def words_of(figure: Figure) -> set[str]:
    return {text.get_text() for text in figure.findobj(Text) if text.get_text()}


@pytest.mark.parametrize(
    ("form", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_formats(form: str, magic: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"figure.{form}"
    figure = draw_correlation(make_curves())
    save_figure(figure, path, form)
    assert path.read_bytes().startswith(magic)
    assert path.read_bytes() == bytes_of(figure, form)


HASHES = """
from tests.report.test_figures import hashes
print(*hashes(), sep="\\n")
"""


def hashes() -> list[str]:
    """Return a line with the hash of every drawing in the vector formats, and of one PNG."""
    lines = []
    for name, draw in DRAWINGS.items():
        figure = draw("light")
        for form in ("svg", "pdf", "png") if name == "correlation" else ("svg", "pdf"):
            digest = hashlib.sha256(bytes_of(figure, form)).hexdigest()
            lines.append(f"{name} {form} {digest}")
    return lines


def test_bytes_are_the_same_in_another_process_on_another_date(tmp_path: Path) -> None:
    # Another hash seed, another date, and a user's own matplotlib settings.
    (tmp_path / "matplotlibrc").write_text("font.size: 20\naxes.grid: True\nsvg.fonttype: none\n")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "123",
        "SOURCE_DATE_EPOCH": "86400",
        "MATPLOTLIBRC": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", HASHES],
        env=environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == hashes()


@pytest.mark.parametrize("name", DRAWINGS)
def test_styles_differ_only_in_colours(name: str) -> None:
    from matplotlib.colors import to_hex

    light, dark = (DRAWINGS[name](style) for style in ("light", "dark"))
    assert words_of(light) == words_of(dark)
    for figure, style in ((light, "light"), (dark, "dark")):
        assert to_hex(figure.get_facecolor()) == STYLES[style].ground.lower()
        for axes in figure.axes:
            for label in axes.get_xticklabels() + axes.get_yticklabels():
                # Every tick label contrasts with the background.
                assert not label.get_text() or to_hex(label.get_color()) == STYLES[style].ink
    assert bytes_of(light, "svg") != bytes_of(dark, "svg")


@pytest.mark.parametrize("name", DRAWINGS)
def test_all_artists_are_on_the_page(name: str) -> None:
    figure = DRAWINGS[name]("light")
    inches = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    # One pixel of tolerance at screen resolution.
    assert min(inches.x0, inches.y0) >= -0.01
    assert inches.x1 <= width + 0.01
    assert inches.y1 <= height + 0.01


def test_errors_on_styles_and_formats_list_the_valid_ones() -> None:
    with pytest.raises(UnknownNameError, match="dark, light"):
        draw_trajectory([make_run()], "drak")
    with pytest.raises(UnknownNameError, match="pdf, png, svg"):
        save_figure(draw_correlation(make_curves()), io.BytesIO(), "jpg")


def test_trajectory_shows_simulation_theory_and_target() -> None:
    runs = [make_run(), make_run("gelu", drift=0.1, seed=1)]
    figure = draw_trajectory(runs, options=Options(targets=[(0.0, 1.0), None]))
    mean, variance, cosine = figure.axes
    assert [axes.get_ylabel().replace("\n", " ") for axes in figure.axes] == [
        "activation mean", "activation variance", "cosine of two inputs",
    ]  # fmt: skip
    assert cosine.get_xlabel() == "layer"
    for axes, name, target in ((mean, "mean", 0.0), (variance, "variance", 1.0)):
        lines = [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]
        assert any(len(line) == 2 and set(line) == {target} for line in lines)
        for run in runs:
            statistic = run.statistics[name]
            assert any(np.array_equal(line, statistic.theory) for line in lines)
            band = [collection.get_paths()[0].vertices for collection in axes.collections]
            top = (statistic.estimate + statistic.stderr)[30]
            assert any(np.isclose(vertices, [30.0, top]).all(axis=1).any() for vertices in band)
    assert {"SELU", "GELU", "theory", "simulation ± 1 s.e.", "target (0, 1)"} <= words_of(figure)


def test_the_band_of_a_geometric_mean_is_a_factor() -> None:
    """The gradient's standard error is that of its logarithm."""
    run = make_run()
    gradient = replace(run.statistics["variance"], stderr=np.full(65, 2.0), logarithmic=True)
    run = replace(run, statistics={**run.statistics, "gradient": gradient})
    axes = draw_trajectory([run]).axes[-1]
    band = [collection.get_paths()[0].vertices for collection in axes.collections]
    for end in np.exp([-2.0, 2.0]) * gradient.estimate[30]:
        assert any(np.isclose(vertices, [30.0, end]).all(axis=1).any() for vertices in band)


def test_theory_of_a_single_layer_is_drawn() -> None:
    run = make_run(depth=4)
    variance = run.statistics["variance"]
    known = np.where(np.arange(5) < 4, variance.theory, np.nan)
    run = replace(run, statistics={**run.statistics, "variance": replace(variance, expected=known)})
    lines = draw_trajectory([run]).axes[1].lines
    single = [line for line in lines if np.isfinite(np.asarray(line.get_ydata(), float)).sum() == 1]
    assert single
    assert all(line.get_marker() == "_" for line in single)


def test_runs_are_distinguishable_without_colour() -> None:
    figure = draw_trajectory([make_run(name) for name in ("selu", "relu", "tanh")])
    (legend,) = figure.legends
    lines = legend.get_lines()[:3]
    assert len({line.get_marker() for line in lines}) == 3
    assert len({str(line._dash_pattern) for line in lines}) == 3


def test_scales_follow_the_data() -> None:
    steady = draw_trajectory([make_run()])
    assert [axes.get_yscale() for axes in steady.axes] == ["linear"] * 3
    low, high = steady.axes[1].get_ylim()
    assert low <= 0.9
    assert high >= 1.1
    wild = draw_trajectory([make_run(growth=1.7, drift=0.3, nonfinite_from=40)])
    assert [axes.get_yscale() for axes in wild.axes] == ["symlog", "log", "linear"]
    deep = draw_trajectory([make_run(depth=100_000)])
    assert deep.axes[0].get_xscale() == "symlog"
    assert max(len(line.get_xdata()) for line in deep.axes[0].lines) <= 2001


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (-1.0, 3e41, [0.0, 1e9, 1e18, 1e27, 1e36]),
        (-2e8, 2e8, [-1e8, -1e4, 0.0, 1e4, 1e8]),
        (-1.0, 50.0, [-1.0, 0.0, 1.0, 10.0]),
    ],
)
def test_ticks_of_many_decades_do_not_overlap(low: float, high: float, wanted: list[float]) -> None:
    assert signed_ticks(low, high) == wanted


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0.9, 2e239, [1.0, 1e48, 1e96, 1e144, 1e192]),
        (3e-300, 1e290, [1e-236, 1e-118, 1.0, 1e118, 1e236]),
        (0.5, 700.0, [1.0, 10.0, 100.0]),
    ],
)
def test_ticks_of_a_logarithmic_axis(low: float, high: float, wanted: list[float]) -> None:
    assert power_ticks(low, high) == wanted


def labels_along(figure: Figure, number: int, axis: int) -> list[tuple[float, float]]:
    """Return the start and end of each tick label of an axis of a figure that is drawn, in
    order."""
    axes = figure.axes[number]
    low, high = axes.get_ylim() if axis else axes.get_xlim()
    ticks = axes.get_yticklabels() if axis else axes.get_xticklabels()
    boxes = [
        label.get_window_extent()
        for label in ticks
        if label.get_text() and low <= label.get_position()[axis] <= high
    ]
    return sorted((box.y0, box.y1) if axis else (box.x0, box.x1) for box in boxes)


def test_labels_of_an_exploding_mean_do_not_overlap() -> None:
    figure = draw_trajectory([make_run("relu", depth=128, growth=4.5, drift=0.3)])
    figure.draw_without_rendering()
    spans = labels_along(figure, 0, 1)
    assert len(spans) >= 4
    assert all(before[1] < after[0] for before, after in pairwise(spans))


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("lowest", [1.0, 1e-300, 5e-324])
@pytest.mark.parametrize("highest", [1e150, 2e239, 1e289, 1.7e308])
def test_curves_show_exact_values_or_gaps(lowest: float, highest: float) -> None:
    run = make_run()
    values = 10.0 ** np.linspace(np.log10(lowest), np.log10(highest), 65)
    huge = {
        name: replace(run.statistics[name], estimate=values, stderr=values / 9, theory=values)
        for name in ("mean", "variance")
    }
    figure = draw_trajectory([replace(run, statistics={**run.statistics, **huge})])
    assert bytes_of(figure, "png").startswith(b"\x89PNG")
    for axes in figure.axes[:2]:
        curves = [np.asarray(line.get_ydata()) for line in axes.lines]
        (theory,) = [curve for curve in curves if len(curve) == len(values)]
        shown = np.isfinite(theory)
        assert (theory[shown] == values[shown]).all()
        assert shown.sum() > 60
        assert axes.get_ylim()[1] >= theory[shown].max()


@pytest.mark.parametrize("count", [1, 3, 7, 8, 12])
@pytest.mark.parametrize("broken", [False, True])
def test_the_legend_fits_the_page_for_any_number_of_runs(count: int, broken: bool) -> None:
    ends = [30 + number if broken else None for number in range(count)]
    runs = [
        make_run(name, nonfinite_from=end)
        for name, end in zip(snstat.activations, ends, strict=False)
    ]
    figure = draw_trajectory(runs, options=Options(targets=[(0.0, 1.0)] * count))
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
    assert box.y1 <= figure.bbox.height
    top = figure.axes[0].get_window_extent()
    assert box.y0 > top.y1
    overlaid = count <= 7
    assert top.height > (1.0 if overlaid else 0.6) * figure.dpi
    assert len(legend.get_texts()) == 3 + (count * (1 + broken) if overlaid else broken)
    words = words_of(figure)
    assert {display_name(run.stack.activation) for run in runs} <= words


def test_trajectory_marks_where_a_run_ends() -> None:
    runs = [make_run("relu", growth=2.0, nonfinite_from=41), make_run("tanh", completed=37)]
    figure = draw_trajectory(runs)
    assert {"not finite from layer 41", "interrupted at layer 37 of 64"} <= words_of(figure)
    for axes in figure.axes:
        upright = {
            float(line.get_xdata()[0])
            for line in axes.lines
            if len(line.get_xdata()) == 2 and len(set(line.get_xdata())) == 1
        }
        assert upright == {41.0, 37.0}
    assert not any("layer " in word for word in words_of(draw_trajectory([make_run()])))


def test_a_run_interrupted_before_any_layer_is_drawn() -> None:
    assert len(draw_trajectory([make_run(completed=-1)]).axes) == 2


def test_ticks_of_layers_are_whole_numbers() -> None:
    axes = draw_trajectory([make_run(depth=1)]).axes[-1]
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_runs_of_one_activation_are_labelled_by_their_stack() -> None:
    figure = draw_trajectory([make_run(), make_run(width=64)])
    assert {"SELU, width 1,024", "SELU, width 64"} <= words_of(figure)


def test_a_run_without_any_values_is_drawn() -> None:
    run = make_run(nonfinite_from=0)
    empty = {
        name: replace(value, theory=np.full_like(value.theory, np.nan))
        for name, value in run.statistics.items()
    }
    figure = draw_trajectory([replace(run, statistics=empty)])
    assert len(figure.axes) == 2


def test_map_shows_arrows_nullclines_paths_and_domain() -> None:
    from matplotlib.contour import QuadContourSet
    from matplotlib.patches import Rectangle
    from matplotlib.quiver import Quiver

    field = make_field()
    axes = draw_map(field).axes[0]
    (arrows,) = [item for item in axes.collections if isinstance(item, Quiver)]
    # The fake map moves every mean toward (nearly) 0 and every variance toward 1.
    outside = np.abs(arrows.X) > 0.3
    assert (np.sign(arrows.U[outside]) == -np.sign(arrows.X[outside])).all()
    away = np.abs(arrows.Y - 1) > 0.3
    assert (np.sign(arrows.V[away]) == -np.sign(arrows.Y[away] - 1)).all()
    nullclines = [item for item in axes.collections if isinstance(item, QuadContourSet)]
    assert len(nullclines) == 2
    # mean' = mean where 0.98 mean = 0.09 (variance - 1), up to the interpolation on the grid, which
    # is exact for a linear residual.
    vertices = nullclines[0].get_paths()[0].vertices
    assert np.allclose(0.98 * vertices[:, 0], 0.09 * (vertices[:, 1] - 1), atol=1e-12)
    (outline,) = [item for item in axes.patches if isinstance(item, Rectangle)]
    assert outline.get_bbox().bounds == pytest.approx((-0.1, 0.8, 0.2, 0.7))
    paths = [np.asarray(line.get_xydata()) for line in axes.lines]
    assert all(any(np.array_equal(path, line) for line in paths) for path in field.trajectories)
    assert any(line.shape == (1, 2) and tuple(line[0]) == (0.0, 1.0) for line in paths)


def test_map_without_extras() -> None:
    (point,) = make_report().fixed_points
    field = make_field(
        trajectories=(), domain=None, fixed_points=(replace(point, stable=False),),
        new_mean=np.full((51, 49), 3.0), new_variance=np.full((51, 49), 5.0),
    )  # fmt: skip
    figure = draw_map(field)
    words = words_of(figure)
    assert "unstable fixed point" in words
    assert words.isdisjoint({"stable fixed point", "trajectory", "theorem 1's domain"})


def noisy(values: FloatArray) -> FloatArray:
    """Return `values` with the rounding error of a map."""
    rounding: FloatArray = np.random.default_rng(0).uniform(-4e-16, 4e-16, values.shape)
    return values + rounding


def test_no_nullcline_is_drawn_if_it_fills_the_plane() -> None:
    from matplotlib.contour import QuadContourSet

    field = make_field()
    still = np.broadcast_to(field.variances[:, np.newaxis], field.new_variance.shape)
    figure = draw_map(replace(field, new_variance=noisy(still)))
    lines = [item for item in figure.axes[0].collections if isinstance(item, QuadContourSet)]
    assert len(lines) == 1
    assert "variance′ = variance everywhere" in words_of(figure)
    assert "variance′ = variance" not in words_of(figure)


def test_no_arrow_is_drawn_where_nothing_moves() -> None:
    from matplotlib.quiver import Quiver

    field = make_field()
    mean, variance = np.meshgrid(field.means, field.variances)
    moves = mean > 0
    half = replace(
        field,
        new_mean=noisy(mean),
        new_variance=np.where(moves, 0.5 * variance, noisy(variance)),
    )
    axes = draw_map(half).axes[0]
    (arrows,) = [item for item in axes.collections if isinstance(item, Quiver)]
    shown = ~np.ma.getmaskarray(np.ma.masked_invalid(arrows.U)) & ~arrows.Umask
    assert shown.any()
    assert (shown == (arrows.X > 0)).all()
    figure = draw_map(replace(field, new_mean=noisy(mean), new_variance=noisy(variance)))
    assert not figure.axes[0].collections
    assert len(figure.axes) == 1  # no colour bar
    assert {"mean′ = mean everywhere", "variance′ = variance everywhere"} <= words_of(figure)


@pytest.mark.parametrize(
    ("low", "high"), [(-3.0, 0.0), (-3.0, 30.0), (-0.5, 0.1), (29.9, 30.6), (-3.0, 300.0)]
)
def test_shades_have_a_few_round_ticks(low: float, high: float) -> None:
    ticks = shade_ticks(low, high)
    assert 1 <= len(ticks) <= 5
    assert all(low <= np.log10(tick) <= high for tick in ticks)
    assert all(float(f"{tick:.0e}") == pytest.approx(tick, rel=1e-12) for tick in ticks)


def test_the_map_lists_only_fixed_points_within_its_axes() -> None:
    (point,) = make_report().fixed_points
    outside = replace(point, variance=5.0, stable=False)
    figure = draw_map(make_field(fixed_points=(point, outside)))
    assert "stable fixed point" in words_of(figure)
    assert "unstable fixed point" not in words_of(figure)


@pytest.mark.parametrize("growth", [1.0, 1.3])
def test_histogram_has_a_ridge_for_every_layer(growth: float) -> None:
    from matplotlib.patches import StepPatch

    densities = make_densities(growth=growth)
    axes = draw_histogram(densities).axes[0]
    outlines = [item for item in axes.patches if isinstance(item, StepPatch)]
    baselines = sorted({float(item.get_data().baseline) for item in outlines}, reverse=True)
    assert baselines == [-float(row) for row in range(8)]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        str(layer) for layer in densities.layers
    ]
    # 1.3**64 in variance does not fit on a common axis; equal variances keep the activation's
    # units.
    own_units = axes.get_xlabel() == "activation"
    assert own_units == (growth == 1.0)
    assert len(axes.lines) == 8
    # The Gaussian peaks at the mean of the layer, in units of the axis.
    for row, line in enumerate(axes.lines):
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        wanted = densities.mean[row] if own_units else 0.0
        step = x[1] - x[0]
        assert x[y.argmax()] == pytest.approx(wanted, abs=step)


@pytest.mark.parametrize("count", [1, 8, 14, 41, MOST_RIDGES])
def test_labels_of_the_ridges_do_not_overlap(count: int) -> None:
    densities = make_densities()
    rows = np.arange(count) % 8
    parts = {name: densities[name][rows] for name in PARTS}
    figure = draw_histogram(replace(densities, layers=np.arange(count) + 10, **parts))
    figure.draw_without_rendering()
    spans = labels_along(figure, 0, 1)
    assert len(spans) == count
    assert all(before[1] < after[0] for before, after in pairwise(spans))
    assert figure.get_size_inches()[1] <= 21


def test_histogram_states_that_a_layer_overflowed() -> None:
    densities = make_densities()
    broken = densities.density.copy()
    broken[3] = np.nan
    assert "not finite" in words_of(draw_histogram(replace(densities, density=broken)))
    still = replace(densities, variance=np.zeros(8))
    assert len(draw_histogram(still).axes[0].lines) == 0


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_histogram_states_that_a_variance_overflowed() -> None:
    densities = make_densities(growth=1.3)
    edges, variance = densities.edges.copy(), densities.variance.copy()
    edges[-1], variance[-1] = edges[-1] * 1e160, np.inf
    figure = draw_histogram(replace(densities, edges=edges, variance=variance))
    assert "variance not finite" in words_of(figure)
    assert any("lecun_normal (gain 1)" in words for words in words_of(figure))


def test_a_fixed_point_at_correlation_one_is_drawn_at_the_corner() -> None:
    (relu, _) = make_curves()
    attracting = replace(relu.fixed_points[0], stable=True)
    axes = draw_correlation([replace(relu, fixed_points=(attracting,))]).axes[0]
    (mark,) = [line for line in axes.lines if len(line.get_xdata()) == 1]
    assert (float(mark.get_xdata()[0]), float(mark.get_ydata()[0])) == (1.0, 1.0)
    assert not mark.get_clip_on()
    assert mark.get_markerfacecolor() != STYLES["light"].ground


def test_correlation_fixed_points_are_filled_when_stable() -> None:
    curves = make_curves()
    figure = draw_correlation(curves)
    axes = figure.axes[0]
    ground = STYLES["light"].ground
    marks = {
        (round(float(line.get_xdata()[0]), 6), line.get_markerfacecolor() != ground)
        for line in axes.lines
        if len(line.get_xdata()) == 1
    }
    assert marks == {(0.25, True), (1.0, False)}
    lines = [np.asarray(line.get_xydata()) for line in axes.lines]
    assert any(np.array_equal(line, [[0, 0], [1, 1]]) for line in lines)
    for curve in curves:
        wanted = np.column_stack([curve.correlations, curve.images])
        assert any(np.array_equal(line, wanted) for line in lines)
    assert axes.get_xlim() == axes.get_ylim()
    assert "tanh\ngain 1.5, bias std 0.1\nq = 0.7" in words_of(figure)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours by WCAG 2."""
    from matplotlib.colors import to_rgb

    def light(color: str) -> float:
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)
        ]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    dark, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dark + 0.05)


def test_an_activation_has_the_same_style_in_every_figure() -> None:
    look = STYLES["light"]
    alone = {name: series_of([name], look)[0] for name in ORDER}
    assert len({(series.color, series.marker) for series in alone.values()}) == len(ORDER)
    assert series_of(["tanh", "selu", "leaky_relu:0.2"], look) == [
        alone["tanh"], alone["selu"], alone["leaky_relu"],
    ]  # fmt: skip
    # Runs of one activation differ in shade and dashes, and look like no other activation.
    several = series_of(["tanh", "relu", "relu", "relu"], look)
    assert several[:2] == [alone["tanh"], alone["relu"]]
    assert {series.marker for series in several[1:]} == {alone["relu"].marker}
    assert len({series.color for series in several}) == 4
    assert not {series.color for series in several[2:]} & {each.color for each in alone.values()}
    # In the order of the runs they are seen ever better.
    for style in STYLES.values():
        many = [contrast(each.color, style.ground) for each in series_of(["tanh"] * 9, style)]
        assert (np.diff(many) > 0).all()
    # Pictures of all versions agree: a new activation comes last.
    assert ORDER[:20] == (
        "selu", "relu", "tanh", "gelu", "elu", "silu", "leaky_relu", "sigmoid", "softplus", "erf",
        "hard_tanh", "identity", "mish", "relu6", "softsign", "hard_sigmoid", "hard_swish",
        "gelu_tanh", "relu_squared", "sine",
    )  # fmt: skip
    assert set(ORDER) == set(snstat.activations)


def test_a_colour_has_one_hue_in_both_styles_and_is_seen_on_its_ground() -> None:
    import colorsys

    from matplotlib.colors import to_rgb

    for one, other in zip(STYLES["light"].cycle, STYLES["dark"].cycle, strict=True):
        (hue, _, grey), (dark_hue, _, dark_grey) = (
            colorsys.rgb_to_hls(*to_rgb(color)) for color in (one, other)
        )
        assert (grey == 0) == (dark_grey == 0)
        # Five of 360 degrees; the nearest hues of different activations are 15 degrees apart.
        assert abs(hue - dark_hue) < 5 / 360
        # WCAG 2 asks for a contrast of 3 in graphics.
        assert contrast(other, STYLES["dark"].ground) > 3


@pytest.mark.parametrize("name", ["relu", "silu", "tanh"])
@pytest.mark.parametrize("style", STYLES)
def test_histograms_and_maps_have_the_colour_of_the_activation(name: str, style: str) -> None:
    from matplotlib.colors import to_hex
    from matplotlib.contour import QuadContourSet

    look = STYLES[style]
    series, shade = series_of([name, name], look)
    densities = make_densities()
    rows = len(densities.layers)
    known = replace(
        densities, subject=make_run(name).stack, law=densities.density, atoms=np.array([0.0]),
        atom_shares=np.full((rows, 1), 0.25), atom_law=np.full((rows, 1), 0.5),
    )  # fmt: skip
    figure = draw_histogram(known, style)
    (axes,) = figure.axes
    ridges = {
        to_hex(patch.get_facecolor() if patch.get_fill() else patch.get_edgecolor())
        for patch in axes.patches
    }
    assert ridges == {series.color.lower(), look.ground.lower()}
    laws = [line for line in axes.lines if len(line.get_xdata()) == densities.density.shape[1]]
    bars = [line for line in axes.lines if line.get_marker() == "_"]
    assert len(laws) == len(bars) == rows
    assert {line.get_color() for line in (*laws, *bars)} == {series.color}
    # The legend of trajectories shows the same dashes.
    (legend,) = draw_trajectory([make_run(name)], style).legends
    dashes = legend.get_lines()[0]._unscaled_dash_pattern
    assert all(line._unscaled_dash_pattern == dashes for line in laws)
    (legend,) = figure.legends
    shown = {line.get_label(): line for line in legend.get_lines()}["theory at infinite width"]
    assert (shown.get_color(), shown._unscaled_dash_pattern) == (series.color, dashes)
    assert to_hex(legend.get_patches()[0].get_facecolor()) == series.color.lower()
    axes = draw_map(make_field(activation=name, trajectories=()), style).axes[0]
    curves = [item for item in axes.collections if isinstance(item, QuadContourSet)]
    assert [to_hex(curve.get_edgecolor()[0]) for curve in curves] == [
        series.color.lower(), shade.color,
    ]  # fmt: skip
    assert [line.get_color() for line in axes.lines if line.get_marker() == "*"] == [series.color]


def test_a_target_is_drawn_only_if_given() -> None:
    assert not any("target" in words for words in words_of(draw_trajectory([make_run("tanh")])))
    figure = draw_trajectory([make_run()], options=Options(targets=[(0.5, 2.0)]))
    assert "target (0.5, 2)" in words_of(figure)
    for axes, goal in zip(figure.axes, (0.5, 2.0), strict=False):
        assert any(set(np.asarray(line.get_ydata()).tolist()) == {goal} for line in axes.lines)


def test_the_theoretical_gradient_is_drawn_without_a_simulated_one() -> None:
    gradient = 1.07 ** np.arange(64, -1, -1.0)
    figure = draw_trajectory([make_run()], options=Options(gradients=[gradient]))
    axes = figure.axes[-1]
    assert axes.get_ylabel() == "squared gradient\nover the last"
    (line,) = [line for line in axes.lines if len(line.get_xdata()) == 65]
    assert np.array_equal(line.get_ydata(), gradient)
    assert not axes.collections


def test_residual_strips_show_z() -> None:
    run = make_run()
    figure = draw_trajectory([run], options=Options(residuals=True))
    assert [axes.get_ylabel() for axes in figure.axes[1::2]] == ["z"] * 3
    for axes, name in zip(figure.axes[1::2], ("mean", "variance", "cosine"), strict=True):
        (marks,) = [line for line in axes.lines if line.get_marker() == "o"]
        layers = np.asarray(marks.get_xdata())
        assert np.array_equal(marks.get_ydata(), run.statistics[name].z[layers])
        low, high = axes.get_ylim()
        assert low < np.nanmin(marks.get_ydata())
        assert high > np.nanmax(marks.get_ydata())


def test_small_panels_have_residual_strips_too() -> None:
    names = list(snstat.activations)[:9]
    runs = [make_run(name, depth=8, seed=number) for number, name in enumerate(names)]
    figure = draw_trajectory(runs, options=Options(residuals=True))
    figure.draw_without_rendering()
    for number, run in enumerate(runs):
        band, column = divmod(number, 4)
        for place, name in enumerate(("mean", "variance", "cosine")):
            panel, strip = (
                figure.axes[(6 * band + 2 * place + below) * 4 + column] for below in (0, 1)
            )
            (marks,) = [line for line in strip.lines if line.get_marker() not in {"", "None"}]
            layers = np.asarray(marks.get_xdata())
            assert np.array_equal(marks.get_ydata(), run.statistics[name].z[layers])
            # Below its panel, and high enough for two labels.
            top, box = panel.get_window_extent(), strip.get_window_extent()
            assert box.y1 < top.y0
            assert 0.25 * figure.dpi < box.height < 0.6 * top.height
            spans = labels_along(figure, figure.axes.index(strip), 1)
            assert len(spans) == 3
            assert all(before[1] < after[0] for before, after in pairwise(spans))
    # Nothing is drawn of the tenth to the twelfth, and the panels above them tell their layers.
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 9 * 6
    told = [axes for axes in shown if axes.get_xlabel() == "layer"]
    assert [figure.axes.index(axes) for axes in told] == [45, 46, 47, 68]
    assert all(any(label.get_visible() for label in axes.get_xticklabels()) for axes in told)


@pytest.mark.parametrize(
    ("size", "labels"),
    [(0.5, ["−3", "0", "3"]), (9.0, ["−10", "0", "10"]), (1e40, ["$-10^{40}$", "0", "$10^{40}$"])],
)
def test_a_strip_is_logarithmic_if_z_is_large(size: float, labels: list[str]) -> None:
    run = make_run()
    old = run.statistics["mean"]
    z = np.where(np.arange(65) == 64, size, 0.0)
    known = replace(old, estimate=old.theory + z * old.stderr)
    figure = draw_trajectory(
        [replace(run, statistics={**run.statistics, "mean": known})],
        options=Options(residuals=True),
    )
    strip = figure.axes[1]
    assert strip.get_yscale() == ("symlog" if size > 30 else "linear")
    assert [label.get_text() for label in strip.get_yticklabels()] == labels
    assert strip.get_ylim()[1] > size


def test_a_run_without_z_has_no_strip_among_small_panels() -> None:
    alone = make_run("relu", depth=8, trials=1)
    runs = [alone, *(make_run(name, depth=8) for name in list(snstat.activations)[1:8])]
    figure = draw_trajectory(runs, options=Options(residuals=True))
    assert [figure.axes[4 + column].get_visible() for column in range(4)] == [False, *[True] * 3]


def test_a_statistic_that_was_not_measured_has_no_strip_of_z() -> None:
    gradient = 1.07 ** np.arange(64, -1, -1.0)
    options = Options(gradients=[gradient], residuals=True)
    figure = draw_trajectory([make_run()], options=options)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels.count("z") == 3
    assert labels[-1] == "squared gradient\nover the last"


def test_a_picture_shows_the_theory_behind_z() -> None:
    run = make_run()
    old = run.statistics["variance"]
    expected = np.full(65, 0.9)
    known = replace(old, expected=expected)
    figure = draw_trajectory([replace(run, statistics={**run.statistics, "variance": known})])
    curves = [np.asarray(line.get_ydata()) for line in figure.axes[1].lines]
    assert any(np.array_equal(curve, expected) for curve in curves)
    # Where only infinite width is known the line is faint and separate.
    expected = np.where(np.arange(65) < 40, 0.9, np.nan)
    known = replace(old, expected=expected)
    figure = draw_trajectory([replace(run, statistics={**run.statistics, "variance": known})])
    lines = [line for line in figure.axes[1].lines if len(line.get_xdata()) == 65]
    assert [line.get_alpha() for line in lines] == [1.0, 0.4]
    assert np.array_equal(lines[0].get_ydata(), expected, equal_nan=True)
    assert np.isnan(lines[1].get_ydata()[:40]).all()
    assert np.array_equal(lines[1].get_ydata()[40:], old.theory[40:])
    assert "theory at infinite width" in words_of(figure)
    assert "theory at infinite width" not in words_of(draw_trajectory([run]))


def test_the_caption_states_common_settings() -> None:
    runs = [make_run(), make_run("tanh")]
    (caption,) = [words for words in words_of(draw_trajectory(runs)) if "trials" in words]
    assert caption.replace("\n", " ") == (
        "64 layers of 1,024 · lecun_normal (gain 1) · 8 trials × batch 64 · float32, dense, seed 0"
    )
    other = replace(runs[1], simulation=replace(runs[1].simulation, sampler="matrix-free"))
    assert run_caption([runs[0], other]).endswith(" · float32, seed 0")
    without = draw_trajectory(runs, options=Options(caption=False))
    assert not any("trials" in words for words in words_of(without))
    assert not any(
        "trials" in words for words in words_of(draw_histogram(make_densities(), caption=False))
    )


def test_pictures_of_theory_have_a_caption_too() -> None:
    def caption(figure: Figure) -> list[str]:
        return [words.replace("\n", " ") for words in words_of(figure) if "theory" in words]

    curves = make_curves()
    theory = "theory at infinite width, no trials"
    (words,) = caption(draw_correlation(curves))
    assert words == f"ReLU, tanh · weight gain 1.414, 1.5 · bias std 0, 0.1 · {theory}"
    (words,) = caption(draw_correlation(curves[1:]))
    assert words == f"tanh · weight gain 1.5 · bias std 0.1 · {theory}"
    field = make_field(domain=None)
    (words,) = caption(draw_map(field))
    assert words == "SELU · unit map: weight sum 0, weight square sum 1 · theory, no trials"
    ensemble = replace(field, map="ensemble", parameters={"weight_gain": 1.5, "bias_std": 0.1})
    (words,) = caption(draw_map(ensemble))
    assert words == f"SELU · ensemble map: weight gain 1.5, bias std 0.1 · {theory}"
    assert not caption(draw_map(field, caption=False))
    assert not caption(draw_correlation(curves, caption=False))
    # Of small panels, the caption stands below the label of their axes.
    figure = draw_correlation([replace(curves[0], activation=name) for name in ORDER[:12]])
    figure.draw_without_rendering()
    tops = {
        text.get_text(): text.get_window_extent().y1
        for text in figure.findobj(Text)
        if text.get_text()
    }
    (words,) = [words for words in tops if theory in words.replace("\n", " ")]
    below = "correlation of two inputs' pre-activations"
    assert 0 < tops[words] < tops[below] < min(axes.bbox.y0 for axes in figure.axes)


@pytest.mark.parametrize("count", [1, 3, 12])
@pytest.mark.parametrize("depth", [1, 4, 64, 1000])
def test_all_artists_of_a_trajectory_are_on_the_page(count: int, depth: int) -> None:
    runs = [make_run(name, depth=depth) for name in list(snstat.activations)[:count]]
    # Styles differ in colours only, as tested above.
    figure = draw_trajectory(runs, "dark" if depth in {4, 1000} else "light")
    inches = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert min(inches.x0, inches.y0) >= -0.01
    assert inches.x1 <= width + 0.01
    assert inches.y1 <= height + 0.01


@pytest.mark.parametrize("count", [1, 3, 7, 9, 12])
def test_the_legend_of_correlations_fits_for_any_number_of_curves(count: int) -> None:
    (curve, _) = make_curves()
    names = list(snstat.activations)[:count]
    figure = draw_correlation([replace(curve, activation=name) for name in names])
    (legend,) = figure.legends
    box, page = legend.get_window_extent(), figure.bbox
    assert box.x0 >= 0
    assert box.x1 <= page.width
    assert box.y0 >= 0
    assert box.y1 <= page.height
    told = "\n".join(words_of(figure))
    assert all(display_name(name) in told for name in names)
    inches = figure.get_tightbbox()
    assert min(inches.x0, inches.y0) >= -0.01
    assert inches.x1 <= page.width / figure.dpi + 0.01
    assert inches.y1 <= page.height / figure.dpi + 0.01


@pytest.mark.parametrize("count", [1, 2, 3, 7, 9])
def test_equal_fixed_points_are_drawn_where_they_are(count: int) -> None:
    """Each of several is a sector of its own in one circle, whose size does not depend on how many
    there are."""
    (_, curve) = make_curves()
    names = list(snstat.activations)[:count]
    figure = draw_correlation([replace(curve, activation=name) for name in names])
    figure.draw_without_rendering()
    ground = STYLES["light"].ground
    marks = [
        (axes, line) for axes in figure.axes for line in axes.lines if len(line.get_xdata()) == 1
    ]
    assert len(marks) == 2 * count
    corners, colors = [], []
    for axes, line in marks:
        assert line.get_transform() == axes.transData
        ((x, y),) = line.get_xydata()
        assert x == y
        assert x in {0.25, 1.0}
        # Stable at 0.25, as made.
        assert (line.get_markerfacecolor() == ground) == (x == 1.0)
        style = line._marker
        scale = line.get_markersize() / 2 / np.abs(style.get_path().vertices).max()
        if x == 1.0:
            outline = style.get_path().transformed(style.get_transform()).vertices
            corners.append(outline * line.get_markersize())
            colors.append(line.get_color())
            if 1 < count <= 7:
                assert scale == pytest.approx(6.5)
    assert len(set(colors)) == min(count, len(STYLES["light"].cycle))
    told = words_of(figure)
    assert ("of several\ncurves" in told) == (1 < count <= 7)
    if 1 < count <= 7:
        # Their middles surround the place in equal angles, clockwise from the top.
        middles = np.array([(each.max(axis=0) + each.min(axis=0)) / 2 for each in corners])
        angles = np.degrees(np.arctan2(middles[:, 0], middles[:, 1])) % 360
        assert angles == pytest.approx((np.arange(count) + 0.5) * 360 / count, abs=15)
        far = np.linalg.norm(np.concatenate(corners), axis=1).max()
        assert far < 10  # points


def test_a_histogram_shows_density_and_atoms_and_marks_clipped_peaks() -> None:
    from matplotlib.patches import StepPatch

    densities = make_densities()
    law = densities.density.copy()
    law[3] *= 50.0
    density = law.copy()
    density[3] /= 50.0
    density[2, [10, 40]] = 9.0
    densities = replace(densities, density=density)
    rows = len(densities.layers)
    figure = draw_histogram(
        replace(
            densities, law=law, atoms=np.array([0.0]), atom_shares=np.full((rows, 1), 0.25),
            atom_law=np.full((rows, 1), 0.5),
        )
    )  # fmt: skip
    axes = figure.axes[0]
    words = words_of(figure)
    assert {
        "theory at infinite width", "probability of a single value", "cut off", "0.25",
    } <= words  # fmt: skip
    assert "Gaussian of the same mean and variance" not in words
    curves = [line for line in axes.lines if len(line.get_xdata()) == law.shape[1]]
    assert len(curves) == rows
    # A probability of 1 has height 0.9.
    stems = [line for line in axes.lines if line.get_marker() == "o"]
    assert [float(line.get_ydata()[0]) for line in stems] == pytest.approx(
        [-row + 0.9 * 0.25 for row in range(rows)]
    )
    assert any(isinstance(item, StepPatch) for item in axes.patches)
    # Every bar as high as the highest that a ridge can be, of simulation or of theory, has a mark.
    places = marks_of_cuts(figure)
    for row in range(rows):
        middles = (densities.edges[row, 1:] + densities.edges[row, :-1]) / 2
        theory = -row + 0.95 - np.asarray(curves[row].get_ydata()) < 1e-9
        outlines = [item for item in axes.patches if not item.get_fill()]
        cut = theory | (-row + 0.95 - outlines[row].get_data().values < 1e-9)
        assert places.get(row, []) == pytest.approx(middles[cut].tolist())
    assert len(places[3]) > 30
    assert len(places[2]) == 2


def marks_of_cuts(figure: Figure) -> dict[int, list[float]]:
    """Return the places of the marks of what is cut off, by the number of the ridge."""
    found: dict[int, list[float]] = {}
    for line in figure.axes[0].lines:
        if line.get_marker() == "^":
            (row,) = {round(0.95 - float(y)) for y in line.get_ydata()}
            found.setdefault(row, []).extend(np.asarray(line.get_xdata()).tolist())
    return found


def test_a_gaussian_that_is_cut_off_is_marked() -> None:
    # With all scales equal, a layer of half the standard deviation is twice as high.
    densities = make_densities()
    variance, density = densities.variance.copy(), np.zeros_like(densities.density)
    variance[5] /= 4
    figure = draw_histogram(replace(densities, variance=variance, density=density))
    places = marks_of_cuts(figure)
    assert list(places) == [5]
    # exp(-x²/2) > 1.25 / 2 within 0.97 standard deviations.
    reach, mean = 0.97 * np.sqrt(variance[5]), densities.mean[5]
    assert min(places[5]) == pytest.approx(mean - reach, abs=0.1)
    assert max(places[5]) == pytest.approx(mean + reach, abs=0.1)


def test_the_label_of_an_atom_stands_over_all_ridges_beside_them() -> None:
    densities = make_densities()
    rows = len(densities.layers)
    # The measured densities are those of normal values, so that most of them lie above -1.
    for atom, side in ((-1.0, "right"), (1.0, "left")):
        figure = draw_histogram(
            replace(
                densities, atoms=np.array([atom]), atom_shares=np.full((rows, 1), 0.25),
                atom_law=np.full((rows, 1), 0.5),
            )
        )  # fmt: skip
        axes = figure.axes[0]
        labels = [text for text in axes.texts if text.get_text() == "0.25"]
        assert [text.get_horizontalalignment() for text in labels] == [side] * rows
        highest = max(artist.get_zorder() for artist in (*axes.lines, *axes.patches))
        assert all(text.get_zorder() > highest for text in labels)


def test_a_picture_has_the_requested_size_and_records_its_command() -> None:
    figure = draw_trajectory([make_run()], options=Options(size=(4.0, 3.0)))
    buffer = io.BytesIO()
    save_figure(figure, buffer, "png", dpi=50, description="snstat plot -a selu")
    data = buffer.getvalue()
    assert (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) == (200, 150)
    assert b"snstat plot -a selu" in data
    for form in ("svg", "pdf"):
        buffer = io.BytesIO()
        save_figure(figure, buffer, form, description="snstat plot -a selu")
        assert b"snstat plot -a selu" in buffer.getvalue()
    svg = bytes_of(figure, "svg").decode()
    assert ">layer</text>" in svg


@pytest.mark.parametrize("depth", [1, 64, 1000])
def test_markers_stand_at_both_ends_and_within_the_panel(depth: int) -> None:
    figure = draw_trajectory([make_run("selu", depth=depth), make_run("relu", depth=depth)])
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    assert low < 0
    assert high > depth
    for container in axes.containers:
        places = np.asarray(container.lines[0].get_xdata())
        assert (places[0], places[-1]) == (0, depth)


def cut_markers(figure: Figure) -> list[tuple[str, float, float]]:
    """Return the markers of points within their panel that are not drawn whole: label of the
    panel and place, from the outlines of the markers and what clips them."""
    figure.draw_without_rendering()
    cut = []
    for axes in figure.axes:
        for line in axes.lines:
            if not axes.get_visible() or line.get_marker() in {"", "None"}:
                continue
            style = line._marker
            outline = style.get_path().transformed(style.get_transform()).get_extents()
            point = figure.dpi / 72
            half = (line.get_markersize() * np.abs(outline.extents).max()) * point
            half += line.get_markeredgewidth() / 2 * point
            window = line.get_clip_box()
            for x, y in axes.transData.transform(line.get_xydata()):
                # Values that a logarithmic axis cannot show are transformed to far below it.
                if not axes.bbox.padded(0.01).contains(x, y):
                    continue
                whole = window.x0 <= x - half and x + half <= window.x1
                if not (whole and window.y0 <= y - half and y + half <= window.y1):
                    cut.append((axes.get_ylabel(), x, y))
    return cut


@pytest.mark.parametrize(
    ("count", "depth", "size"),
    [(1, 1, None), (1, 4, None), (1, 64, None), (1, 1000, None), (12, 1000, None)]
    + [(12, depth, (4.0, 8.0)) for depth in (4, 1000)],
)
def test_no_marker_is_cut(count: int, depth: int, size: tuple[float, float] | None) -> None:
    names = list(snstat.activations)[:count]
    # The first run begins at the top of a logarithmic axis, the others stay in the middle.
    runs = [make_run(name, depth=depth, growth=0.3 if name == "selu" else 1.0) for name in names]
    figure = draw_trajectory(runs, options=Options(residuals=count == 1, size=size))
    assert cut_markers(figure) == []


def test_the_caption_states_the_initialisers_of_different_activations() -> None:
    small = {"depth": 2, "width": 8, "batch": 2, "trials": 2}
    runs = [snstat.propagate(name, **small) for name in ("selu", "relu", "tanh")]
    caption = run_caption(runs)
    assert caption.endswith("SELU, tanh: lecun_normal (gain 1) · ReLU: he_normal (gain 1.414…)")
    assert ":" not in run_caption(runs[:1])
    assert ":" not in run_caption([runs[0], runs[0]])
    gains = [
        snstat.propagate(name, weight_gain=gain, **small)
        for name in ("selu", "relu")
        for gain in (1, 2)
    ]
    assert run_caption(gains).endswith("seed 0 · SELU: lecun_normal · ReLU: he_normal")
    inits = [snstat.propagate("relu", init=init, **small) for init in ("he_normal", "lecun_normal")]
    assert run_caption(inits).endswith("· he_normal: gain 1.414… · lecun_normal: gain 1")


def test_a_page_without_room_for_its_panels_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="size is '4x3', but must be at least 3x"):
        draw_trajectory([make_run()], options=Options(residuals=True, size=(4.0, 3.0)))
    assert draw_trajectory([make_run()], options=Options(size=(4.0, 4.0))).axes
