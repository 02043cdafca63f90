"""Pictures of runs beside trajectories: gradients with their factors, and residuals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm, t

import snstat
from snstat.errors import InvalidValueError, UnknownNameError
from snstat.plot import trajectory_options
from snstat.report.figures import draw_difference, draw_gradient, draw_residual, draw_trajectory
from snstat.report.figures.panel import quantile_band
from snstat.results import Run


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
        assert f"measured {factor:.4g} ± {error:.1g}" in word
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


def test_bands_of_quantiles_are_of_trials() -> None:
    run = snstat.propagate("tanh", depth=3, width=12, batch=4, trials=9, keep_trials=True)
    figure = draw_trajectory([run], options=trajectory_options([run], band="quantile"))
    (band, *_) = figure.axes[1].collections
    corners = band.get_paths()[0].vertices
    for layer in range(4):
        at = corners[corners[:, 0] == layer, 1]
        wanted = np.quantile(run.variance.trials[:, layer], [0.05, 0.95])
        assert (at.min(), at.max()) == pytest.approx(tuple(wanted))
    assert "5 to 95 % of trials" in legend_of(figure)


def test_bands_need_trials_and_a_name(runs: list[Run]) -> None:
    with pytest.raises(InvalidValueError, match="keep_trials"):
        trajectory_options(runs, band="quantile")
    with pytest.raises(UnknownNameError, match="quantile"):
        trajectory_options(runs, band="quantiles")


def test_a_band_ends_where_a_trial_is_not_finite() -> None:
    trials = np.array([[1.0, 2.0, np.nan], [3.0, np.inf, 5.0]])
    low, high = quantile_band(trials)
    assert (low[0], high[0]) == pytest.approx((1.1, 2.9))
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
