"""Pictures of runs beside trajectories: gradients with their factors, and residuals."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm, t

import snstat
from snstat.errors import InvalidValueError, UnknownNameError
from snstat.plot import trajectory_options
from snstat.report.figures import (
    draw_difference,
    draw_gradient,
    draw_residual,
    draw_trajectory,
    save_figure,
)
from snstat.report.figures.panel import marked_layers, quantile_band
from snstat.report.figures.style import style_named
from snstat.report.figures.trajectory import drawables
from snstat.report.interactive.drawing import _key
from snstat.results import Run
from tests.report.builders import make_run


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    small = {"depth": 6, "width": 24, "batch": 6, "trials": 5, "backward": True}
    return [snstat.propagate(name, **small) for name in ("selu", "tanh")]


def legend_of(figure: object) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_the_factors_of_a_gradient_stand_beside_its_name(runs: list[Run]) -> None:
    figure = draw_gradient(runs, options=trajectory_options(runs))
    assert len(figure.axes) == 1
    words = legend_of(figure)
    for word, run in zip(words, runs, strict=False):
        gradient = run.gradient.estimate
        factor = (gradient[0] / gradient[6]) ** (1 / 6)
        error = factor * run.gradient.stderr[0] / 6
        shown = re.search(r"measured (\d\.(\d+)) ± (\d\.(\d+))", word)
        assert float(f"{error:.1e}") == float(shown[3])
        assert len(shown[2]) == len(shown[4])
        assert float(shown[1]) == pytest.approx(factor, abs=0.51 * 10.0 ** -len(shown[2]))
        assert f"χ = {run.outlook.gradient_growth:.4g}" in word
    assert words[0].startswith("SELU")
    assert not any(word.startswith("target") for word in words)


def test_many_gradients_have_panels_of_their_own(runs: list[Run]) -> None:
    many = runs * 4
    figure = draw_gradient(many, options=trajectory_options(many))
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert len(titles) == 8
    assert all("\nmeasured" in title for title in titles)


def test_runs_without_gradients_are_refused(runs: list[Run]) -> None:
    bare = [replace(run, statistics={"mean": run.mean}) for run in runs]
    with pytest.raises(InvalidValueError, match="backward"):
        draw_gradient(bare)


def test_residuals_are_z_and_their_quantiles(runs: list[Run]) -> None:
    figure = draw_residual(runs, options=trajectory_options(runs))
    rows = np.array(figure.axes).reshape(-1, 2)
    assert [axes.get_title("left") for axes in rows[:2, 0]] == [
        "activation mean",
        "activation variance",
    ]
    left, right = rows[1]
    for line, run in zip([line for line in left.lines if line.get_marker() in "os^"], runs,
                         strict=True):  # fmt: skip
        layers, z = line.get_data()
        np.testing.assert_array_equal(z, run.variance.z)
        assert layers.tolist() == list(range(7))
    normal, student, *points = right.lines
    at = normal.get_xdata()
    np.testing.assert_allclose(normal.get_ydata(), at)
    np.testing.assert_allclose(student.get_ydata(), t.ppf(norm.cdf(at), 4), rtol=1e-8)
    for line, run in zip(points, runs, strict=True):
        z = np.sort(run.variance.z[np.isfinite(run.variance.z)])
        np.testing.assert_array_equal(line.get_ydata(), z)
        np.testing.assert_allclose(
            line.get_xdata(), norm.ppf((np.arange(z.size) + 0.5) / z.size), atol=1e-12
        )
    assert "Student's t, 4 degrees of freedom" in legend_of(figure)


def test_bands_are_of_two_and_three_standard_errors(runs: list[Run]) -> None:
    figure = draw_residual(runs[:1], options=trajectory_options(runs[:1]))
    boxes = [patch.get_extents().transformed(figure.axes[0].transData.inverted())
             for patch in figure.axes[0].patches]  # fmt: skip
    ends = sorted(round(float(box.y1), 6) for box in boxes)
    assert ends == [2.0, 3.0]


def test_large_z_have_a_logarithmic_axis(runs: list[Run]) -> None:
    run = runs[0]
    far = replace(run.variance, stderr=run.variance.stderr / 100.0)
    found = replace(run, statistics={**run.statistics, "variance": far})
    figure = draw_residual([found], options=trajectory_options([found]))
    assert [axes.get_yscale() for axes in figure.axes[:4]] == ["linear"] * 2 + ["symlog"] * 2


def test_too_many_runs_and_runs_without_z_are_refused(runs: list[Run]) -> None:
    with pytest.raises(InvalidValueError, match="at most 7"):
        draw_residual(runs * 4)
    single = snstat.propagate("selu", depth=2, width=8, batch=4, trials=1)
    with pytest.raises(InvalidValueError, match="two or more trials"):
        draw_residual([single])


@pytest.mark.parametrize(
    ("trials", "shares", "words"),
    [(20, (0.05, 0.95), "5 to 95 % of trials"), (19, (0, 1), "range of trials")],
)
def test_bands_of_quantiles_are_of_trials(
    trials: int, shares: tuple[float, float], words: str
) -> None:
    """Of fewer than 20, no share is 5 %."""
    run = snstat.propagate("tanh", depth=3, width=12, batch=4, trials=trials, keep_trials=True)
    figure = draw_trajectory([run], options=trajectory_options([run], band="quantile"))
    (band, *_) = figure.axes[1].collections
    corners = band.get_paths()[0].vertices
    for layer in range(4):
        at = corners[corners[:, 0] == layer, 1]
        wanted = np.quantile(run.variance.trials[:, layer], shares)
        assert (at.min(), at.max()) == pytest.approx(tuple(wanted))
    assert words in legend_of(figure)


def test_bands_need_trials_and_a_name(runs: list[Run]) -> None:
    with pytest.raises(InvalidValueError, match="keep_trials"):
        trajectory_options(runs, band="quantile")
    with pytest.raises(UnknownNameError, match="quantile"):
        trajectory_options(runs, band="quantiles")


def test_a_band_ends_where_a_trial_is_not_finite() -> None:
    trials = np.array([[1.0, 2.0, np.nan], [3.0, np.inf, 5.0]])
    low, high = quantile_band(trials)
    assert (low[0], high[0]) == (1.0, 3.0)
    assert np.isnan([*low[1:], *high[1:]]).all()


def test_a_difference_is_of_estimates_errors_and_theories(runs: list[Run]) -> None:
    figure = draw_difference(runs, options=trajectory_options(runs))
    one, two = (run.variance for run in runs)
    axes = figure.axes[1]
    theory = axes.lines[1]
    np.testing.assert_array_equal(theory.get_ydata(), two.reference - one.reference)
    bars = axes.containers[0]
    np.testing.assert_array_equal(bars.lines[0].get_ydata(), two.estimate - one.estimate)
    ends = np.array([path.vertices[:, 1] for path in bars.lines[2][0].get_paths()])
    spread = np.hypot(one.stderr, two.stderr)
    np.testing.assert_allclose(np.ptp(ends, axis=1), 2 * spread, rtol=1e-9)
    # The gradient by its logarithm.
    last = figure.axes[-1].containers[0].lines[0].get_ydata()
    wanted = np.log(runs[1].gradient.estimate / runs[0].gradient.estimate)
    np.testing.assert_allclose(last, wanted, atol=1e-12)
    assert "tanh less SELU" in figure.get_supxlabel()


def test_a_difference_is_of_two_runs_of_one_depth(runs: list[Run]) -> None:
    with pytest.raises(InvalidValueError, match="2 with"):
        draw_difference(runs[:1])
    short = snstat.propagate("selu", depth=2, width=8, batch=4, trials=2)
    with pytest.raises(InvalidValueError, match="6 and 2"):
        draw_difference([runs[0], short])


DEEP = 20_000


def bytes_of(figure: object) -> int:
    file = io.BytesIO()
    save_figure(figure, file, "svg")
    return len(file.getvalue())


def test_a_deep_difference_has_few_points_and_markers() -> None:
    deep = [make_run(name, DEEP, seed=seed) for seed, name in enumerate(("selu", "tanh"))]
    figure = draw_difference(deep, options=trajectory_options(deep))
    for axes in figure.axes:
        points = axes.lines[1].get_xdata()
        assert points.size <= 2001
        marked = axes.containers[0].lines[0].get_xdata()
        np.testing.assert_array_equal(marked, points[marked_layers(points, 0)])
        # Log-spaced as the axis is: half of them before layer 200.
        assert np.sum(marked < 200) >= 5
    assert bytes_of(figure) < 1.5e6


def test_a_difference_does_not_join_layers_within_residuals() -> None:
    layers = [{"kind": "dense", "width": 8}]
    body = {"kind": "residual", "layers": [*layers, *layers]}
    form = {"input": {"channels": 8}, "layers": [body, *layers]}
    network = snstat.Network.read(form)
    found = [
        snstat.propagate(network, batch=4, trials=3, seed=seed, dtype="float64") for seed in (0, 1)
    ]
    figure = draw_difference(found, options=trajectory_options(found))
    rows = found[0].network.layers
    outside = [number for number, row in enumerate(rows) if not row.inner]
    inside = [number for number, row in enumerate(rows) if row.inner]
    assert inside
    for axes in figure.axes:
        _, dots, line, *_ = axes.lines
        assert dots.get_xdata().tolist() == inside
        assert line.get_xdata().tolist() == outside
        assert set(axes.containers[0].lines[0].get_xdata()) <= set(outside)
    assert "within blocks" in legend_of(figure)


def test_deep_residuals_keep_the_largest_and_both_tails() -> None:
    deep = make_run(depth=DEEP)
    z = deep.variance.z
    figure = draw_residual([deep], options=trajectory_options([deep]))
    left, right = figure.axes[2:4]
    layers, shown = next(line for line in left.lines if line.get_marker() == "o").get_data()
    assert len(layers) < 2200
    np.testing.assert_array_equal(shown, z[layers])
    assert set(np.argsort(-np.abs(z))[:50]) <= set(layers)
    at, ordered = right.lines[-1].get_data()
    known = np.sort(z[np.isfinite(z)])
    assert len(at) < 2200
    for end in (slice(None, 10), slice(-10, None)):
        np.testing.assert_array_equal(ordered[end], known[end])
        wanted = norm.ppf((np.arange(known.size) + 0.5) / known.size)[end]
        np.testing.assert_allclose(at[end], wanted, rtol=1e-9)
    # Between them no gap is wide.
    assert np.diff(at)[10:-10].max() < 0.1
    assert bytes_of(figure) < 2e6


def test_every_number_of_trials_has_its_curve() -> None:
    several = [make_run(name, trials=n) for name, n in (("selu", 3), ("tanh", 9), ("relu", 3))]
    single = make_run("sine", trials=1)
    figure = draw_residual([*several, single], options=trajectory_options([*several, single]))
    for axes in figure.axes[1::2]:
        normal, *students = axes.lines[:3]
        at = normal.get_xdata()
        for line, freedom in zip(students, (2, 8), strict=True):
            np.testing.assert_allclose(line.get_ydata(), t.ppf(norm.cdf(at), freedom), rtol=1e-8)
        assert students[0].get_linestyle() == students[1].get_linestyle() == "--"
        assert len({str(line._dash_pattern) for line in students}) == 2
    told = [word for word in legend_of(figure) if "Student" in word]
    assert told == [f"Student's t, {n} degrees of freedom" for n in (2, 8)]


def test_what_was_not_simulated_is_in_no_legend(runs: list[Run]) -> None:
    nothing = {
        name: replace(own, estimate=own.estimate * np.nan, stderr=own.stderr * np.nan)
        for name, own in runs[0].statistics.items()
    }
    bare = replace(runs[0], statistics=nothing)
    options = trajectory_options([bare])
    assert not any(
        "simulation" in word for word in legend_of(draw_trajectory([bare], options=options))
    )
    assert any(
        "simulation" in word
        for word in legend_of(draw_trajectory(runs, options=trajectory_options(runs)))
    )
    drawn = drawables([bare], style_named("light"), options)
    assert _key(drawn, ["mean"]).startswith("Lines: theory. ")
    drawn = drawables(runs, style_named("light"), trajectory_options(runs))
    assert _key(drawn, ["mean"]).startswith("Markers: simulation ±1 standard error. Bands: ±1")


def test_bands_of_a_gradient_that_was_not_measured_are_in_no_legend() -> None:
    run = snstat.propagate("tanh", depth=3, width=12, batch=4, trials=9, keep_trials=True)
    figure = draw_gradient([run], options=trajectory_options([run], band="quantile"))
    words = legend_of(figure)
    assert "theory" in words
    assert not any("simulation" in word or "trials" in word for word in words)
