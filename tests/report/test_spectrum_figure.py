"""The picture of singular values: bars are shares of all values, lines are theory."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from snstat.errors import InvalidValueError
from snstat.report.figures.spectrum import BINS, DECADES, FEW_BINS, draw_spectrum
from snstat.results import Lanczos, LayerSpectrum
from tests.report.builders import make_spectrum


def only(values):
    """Return a spectrum of one layer with these singular values."""
    whole = make_spectrum()
    return replace(whole, layers=(LayerSpectrum(1, "1", np.array(values)),))


def bars(figure):
    """Return edges and heights of the steps of each layer."""
    return [patch.get_data() for patch in figure.axes[0].patches]


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_bars_are_densities_of_all_values():
    figure = draw_spectrum(make_spectrum())
    for data, layer in zip(bars(figure), make_spectrum().layers, strict=True):
        logs = np.log10(layer.singular_values.ravel())
        counts, _ = np.histogram(logs, data.edges)
        np.testing.assert_allclose(data.values * np.diff(data.edges), counts / logs.size)
        assert len(data.values) == BINS
    assert labels(figure) == ["layer 1", "layer 2", "theory at infinite width"]


def test_lines_are_theory_in_decades():
    (line,) = draw_spectrum(make_spectrum()).axes[0].lines
    theory = make_spectrum().layers[-1].theory
    np.testing.assert_allclose(line.get_xdata() * math.log(10.0), theory.log_values)
    np.testing.assert_allclose(line.get_ydata(), math.log(10.0) / 7.0)


def test_zeros_and_what_is_far_below_are_told_in_the_legend():
    figure = draw_spectrum(only([[1.0, 0.1, 1e-20, 0.0], [1.0, np.nan, np.nan, np.nan]]))
    # Two of five finite values.
    assert labels(figure) == ["layer 1, 40% below"]
    low, high = figure.axes[0].get_xlim()
    assert high - low == pytest.approx(DECADES)


def test_what_cannot_be_drawn_is_refused():
    for values in ([[0.0, 0.0]], [[np.nan, np.nan]]):
        with pytest.raises(InvalidValueError, match="singular values"):
            draw_spectrum(only(values))
    with pytest.raises(InvalidValueError, match="at most 7 in a picture"):
        draw_spectrum(make_spectrum(8))


def estimated(number=1, *, trials=1, broken=()):
    """Return a layer of ten values of equal weight, with bounds that know little below 0.1; trials
    that are `broken` are not finite."""
    values = np.tile(np.geomspace(1.0, 1e-4, 10), (trials, 1))
    nodes = np.tile([[1e-3, 0.05, 0.1, 0.2, 0.5, 1.0]], (trials, 1, 1))
    masses = np.tile([[0.46, 0.38, 0.04, 0.04, 0.04, 0.04]], (trials, 1, 1))
    for own in (values, nodes, masses):
        own[list(broken)] = np.nan
    told = Lanczos(5000, np.full((trials, 10), 0.1), np.zeros((trials, 10)), nodes, masses)
    return LayerSpectrum(number, str(number), values, lanczos=told)


@pytest.mark.parametrize("broken", [[0], [0, 1]])
def test_trials_that_are_not_finite_do_not_move_the_axis(broken):
    whole = make_spectrum()
    good, bad = estimated(trials=2), estimated(2, trials=2, broken=broken)
    ends = [
        draw_spectrum(replace(whole, layers=layers)).axes[0].get_xlim()
        for layers in ((good,), (good, bad))
    ]
    assert ends[0] == ends[1]


def test_estimates_are_drawn_where_shares_are_known():
    layer = estimated()
    figure = draw_spectrum(replace(make_spectrum(), layers=(layer,)))
    (data,) = bars(figure)
    assert len(data.values) == FEW_BINS
    # From the node at 0.1 on two neighbours together have less than a tenth.
    assert data.edges[0] == pytest.approx(math.log10(0.1), abs=0.02)
    shown = float(np.sum(data.values * np.diff(data.edges)))
    assert shown == pytest.approx(0.3)  # 1, 0.36 and 0.13
    assert labels(figure) == ["layer 1, 70% below, by the Lanczos method"]
