"""Pictures in Python: axes show the numbers of the record, in figures of pyplot."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

import snstat
from snstat.errors import InvalidValueError, UnknownNameError

mpl.use("agg")


@pytest.fixture
def plt():
    import matplotlib.pyplot as plt

    plt.close("all")
    yield plt
    plt.close("all")


@pytest.fixture(scope="module")
def run():
    return snstat.propagate("relu", depth=6, width=16, batch=4, trials=3)


def theory_on(axes, run, name):
    """Return whether the curves on `axes` together are the theory of a statistic.

    One curve is for this width, and a faint one where only infinite width is known.
    """
    wanted = run.statistics[name].reference
    lines = [line for line in axes.lines if line.get_linestyle() != "None"]
    curves = [line.get_ydata() for line in lines if len(line.get_ydata()) == len(wanted)]
    drawn = np.full(len(wanted), np.nan)
    for curve in curves:
        drawn = np.where(np.isfinite(curve), curve, drawn)
    return np.array_equal(drawn, wanted, equal_nan=True)


def test_a_run_can_be_plotted(run, plt):
    axes = run.plot()
    assert [entry.get_ylabel().replace("\n", " ") for entry in axes[:2]] == [
        "activation mean",
        "activation variance",
    ]
    assert theory_on(axes[1], run, "variance")
    assert plt.get_fignums() == [axes[0].figure.number]


@pytest.mark.parametrize("kind", ["variance", "cosine", "kurtosis", "dead_fraction"])
def test_one_statistic_on_given_axes(run, plt, kind):
    figure, ax = plt.subplots()
    assert run.plot(kind, ax=ax) is ax
    assert theory_on(ax, run, kind)
    assert plt.get_fignums() == [figure.number]
    assert theory_on(run.plot(kind), run, kind)


def test_other_pictures(run, plt):
    assert run.plot("histogram").get_ylabel() == "layer"
    panels = snstat.plot.trajectory(run, run, residuals=True)
    # A strip below each of mean, variance and cosine; the gradient was not measured.
    assert [axes.get_ylabel() == "z" for axes in panels] == [False, True] * 3 + [False]
    assert snstat.plot.correlation("tanh", weight_gain=1.5).get_xlim()[1] > 1
    assert "ensemble map" in snstat.plot.moment_map("tanh", weight_gain=1.5).get_title()
    assert len(plt.get_fignums()) == 4


def test_an_unknown_kind_suggests_the_nearest(run):
    with pytest.raises(UnknownNameError, match="did you mean 'variance'"):
        run.plot("varianc")
    with pytest.raises(UnknownNameError, match="kurtosis"):
        snstat.plot.trajectory(run, statistics=("kurtosi",))


def test_axes_of_a_run_are_one(run, plt):
    _, axes = plt.subplots(2, 2)
    bound = "must be one matplotlib Axes; give one of them, such as"
    with pytest.raises(InvalidValueError, match=rf"of shape \(2, 2\)', but {bound} ax.flat\[0\]"):
        run.plot(ax=axes)
    with pytest.raises(InvalidValueError, match=rf"of type list', but {bound} ax\[0\]"):
        run.plot("mean", ax=list(axes[0]))
    for wrong in (axes[0, 0].figure, "axes", 1):
        with pytest.raises(InvalidValueError, match=r"^ax is .*one matplotlib Axes"):
            run.plot(ax=wrong)
    with pytest.raises(InvalidValueError, match="left out with a histogram"):
        run.plot("histogram", ax=axes[0, 0])
    assert run.plot(ax=axes.flat[0]) is axes[0, 0]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda run: snstat.plot.trajectory([run, run]), r"write \* before a list of runs"),
        (lambda _: snstat.plot.trajectory("run.json"), "one with snstat.load"),
        (lambda _: snstat.plot.trajectory(), "number of runs is 0"),
        (lambda run: snstat.plot.trajectory(run, statistics="mean"), "in brackets"),
        (lambda run: snstat.plot.trajectory(run, size=3), "width and height"),
        (lambda run: snstat.plot.trajectory(run, size=(0, 1)), "from 1 to 100"),
        (lambda _: snstat.plot.statistic("mean", ax=None), "number of runs is 0"),
        (lambda run: snstat.plot.statistic("mean", [run], ax=None), "run is 'of type list'"),
        (lambda _: snstat.plot.histogram("x"), "run is 'x'"),
        (lambda run: snstat.plot.histogram(run, [99]), "layers is 99, .* from 0 to 6"),
        (lambda run: snstat.plot.histogram(run, [-1]), "layers is -1"),
        (lambda run: snstat.plot.histogram(run, ["a"]), "layers is 'a'"),
        (lambda run: snstat.plot.histogram(run, 3), "in brackets"),
    ],
)
def test_other_arguments_are_validated(run, draw, message):
    with pytest.raises(InvalidValueError, match=message):
        draw(run)


def test_completion_offers_the_public_names_only():
    assert dir(snstat.plot) == [
        "correlation", "histogram", "moment_map", "phase", "positions", "statistic", "trajectory",
    ]  # fmt: skip
    assert dir(snstat.testing) == ["assert_propagates"]
    for module in (snstat, snstat.plot, snstat.testing):
        assert set(module.__all__) <= set(dir(module))
        assert all(hasattr(module, name) for name in dir(module))


def test_phases_are_axes_of_their_own() -> None:
    ranges = {"weight_gain": (0.5, 2.0), "bias_std": (0.0, 0.5)}
    assert len(snstat.plot.phase("tanh", "relu", **ranges, contour="none")) == 2
    with pytest.raises(UnknownNameError, match="xi_c"):
        snstat.plot.phase("tanh", contour="xi")
    with pytest.raises(InvalidValueError, match="at least 1"):
        snstat.plot.phase()
    with pytest.raises(InvalidValueError, match="LOW below HIGH"):
        snstat.plot.phase("tanh", weight_gain=(2.0, 0.5))
