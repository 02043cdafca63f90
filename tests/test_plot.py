"""Pictures in Python: axes show the numbers of the record, in figures of pyplot."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

import snstat
from snstat.errors import UnknownNameError

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
    assert len(snstat.plot.trajectory(run, run, residuals=True)) % 2 == 0
    assert snstat.plot.correlation("tanh", weight_gain=1.5).get_xlim()[1] > 1
    assert "ensemble map" in snstat.plot.moment_map("tanh", weight_gain=1.5).get_title()
    assert len(plt.get_fignums()) == 4


def test_an_unknown_kind_suggests_the_nearest(run):
    with pytest.raises(UnknownNameError, match="did you mean 'variance'"):
        run.plot("varianc")
    with pytest.raises(UnknownNameError, match="kurtosis"):
        snstat.plot.trajectory(run, statistics=("kurtosi",))
