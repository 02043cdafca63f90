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
