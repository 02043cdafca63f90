"""Depth scales over the gain, beside `fixed_points`."""

from __future__ import annotations

import numpy as np
import pytest

import snstat
from snstat.errors import InvalidValueError
from snstat.report.figures import draw_depth_scales
from snstat.theory.pictures import depth_scale_curve


def test_curves_are_depth_scales_and_six_times_them() -> None:
    names = ("tanh", "relu")
    curves = [depth_scale_curve(name, (0.5, 2.0), 0.3, points=16) for name in names]
    figure = draw_depth_scales(curves)
    lines = figure.axes[0].lines
    for number, name in enumerate(names):
        one, six = lines[2 * number], lines[2 * number + 1]
        for gain, scale, far in zip(one.get_xdata(), one.get_ydata(), six.get_ydata(), strict=True):
            found = snstat.fixed_points(name, weight_gain=float(gain), bias_std=0.3)
            if not found:
                assert np.isnan(scale)
                continue
            assert scale == pytest.approx(found[0].correlations[0].depth_scale, rel=1e-8)
            assert far == pytest.approx(6 * scale)
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words[:2] == ["tanh", "ReLU"]


def test_biases_are_named_where_they_differ() -> None:
    curves = [depth_scale_curve("tanh", (0.5, 2.0), bias, points=8) for bias in (0.0, 0.1)]
    words = [text.get_text() for text in draw_depth_scales(curves).legends[0].get_texts()]
    assert words[:2] == ["tanh, bias std 0", "tanh, bias std 0.1"]


def test_too_many_curves_and_reversed_ranges_are_refused() -> None:
    curve = depth_scale_curve("tanh", (0.5, 2.0), 0.1, points=8)
    with pytest.raises(InvalidValueError, match="at most 7"):
        draw_depth_scales([curve] * 8)
    with pytest.raises(InvalidValueError, match="LOW below HIGH"):
        depth_scale_curve("tanh", (2.0, 0.5), 0.1)


def test_shades_are_the_measured_cosines() -> None:
    gains = (0.75, 1.25, 1.75)
    small = {"width": 8, "batch": 4, "trials": 2}
    depths = (3, 3, 2)  # the last was interrupted
    runs = [
        snstat.propagate("tanh", depth=depth, weight_gain=gain, **small)
        for gain, depth in zip(gains, depths, strict=True)
    ]
    figure = draw_depth_scales([depth_scale_curve("tanh", (0.5, 2.0), 0.0, points=8)], runs=runs)
    (cells,) = figure.axes[0].collections
    edges = np.asarray(cells.get_coordinates())
    np.testing.assert_allclose(edges[0, :, 0], [0.5, 1.0, 1.5, 2.0])
    np.testing.assert_allclose(edges[:, 0, 1], [0.5, 1.5, 2.5, 3.5])
    drawn = np.ma.filled(cells.get_array(), np.nan)
    for place, run in enumerate(runs):
        for layer in (1, 2, 3):
            value = drawn[layer - 1, place]
            if layer <= depths[place]:
                assert value == run.cosine.estimate[layer]
            else:
                assert np.isnan(value)
    assert figure.axes[1].get_ylabel() == "cosine of two inputs, simulated"
    caption = figure._supxlabel.get_text().replace("\n", " ")
    assert "shades: 3 layers of 8" in caption
    assert "2 trials × batch 4" in caption


def test_one_run_has_no_cell() -> None:
    run = snstat.propagate("tanh", depth=2, width=8, batch=4, trials=2)
    figure = draw_depth_scales([depth_scale_curve("tanh", (0.5, 2.0), 0.0, points=8)], runs=[run])
    assert len(figure.axes) == 1
