"""The picture of phases: the line χ = 1, names, contours, and where there is nothing."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.path import Path

import snstat
from snstat.report.figures import draw_phase, save_figure
from snstat.results import Phase

if TYPE_CHECKING:
    from matplotlib.text import Text


@lru_cache(maxsize=8)
def plane(name: str, low: float = 0.5, high: float = 2.0) -> Phase:
    gains, biases = np.linspace(low, high, 61), np.linspace(0.0, 1.0, 41)
    return snstat.phase(name, weight_gain=gains, bias_std=biases)


def place_of(text: Text) -> tuple[float, float]:
    """Return the gain and the bias deviation at which a text stands."""
    axes = text.axes
    gain, bias = axes.transData.inverted().transform(axes.transAxes.transform(text.get_position()))
    return float(gain), float(bias)


def words_of(figure: object) -> set[str]:
    return {text.get_text() for axes in figure.axes for text in axes.texts}


def legend_of(figure: object) -> str:
    return " ".join(text.get_text() for legend in figure.legends for text in legend.get_texts())


def test_the_line_is_where_chi_is_one() -> None:
    figure = draw_phase([plane("tanh")], contour="none")
    (axes,) = figure.axes
    thick = [entry for entry in axes.collections if np.max(entry.get_linewidth()) == 2.0]
    (line,) = thick
    (path,) = [path for path in line.get_paths() if len(path.vertices)]
    for gain, bias in path.vertices[::7]:
        if bias == 0:
            continue
        at = snstat.phase("tanh", weight_gain=gain, bias_std=bias).gradient_growth[0, 0]
        # Linear within a cell of 1/40.
        assert at == pytest.approx(1.0, abs=5e-3)


def test_phases_are_named_where_they_are() -> None:
    phase = plane("tanh")
    figure = draw_phase([phase])
    assert {"ordered", "chaotic"} <= words_of(figure)
    for text in figure.axes[0].texts:
        gain, bias = place_of(text)
        if text.get_text() in {"ordered", "chaotic"}:
            at = snstat.phase("tanh", weight_gain=gain, bias_std=bias).gradient_growth[0, 0]
            assert (at < 1) == (text.get_text() == "ordered")


def test_what_is_blank_is_explained() -> None:
    told = legend_of(draw_phase([plane("relu")]))
    assert "grows without bound" in told
    assert "vanishes" in told
    assert "χ = 1" not in told
    told = legend_of(draw_phase([plane("sigmoid")]))
    assert "without bound" not in told
    assert "vanishes" not in told
    everywhere = snstat.phase("relu", weight_gain=[2.0, 3.0, 4.0], bias_std=[0.1, 0.2, 0.3])
    assert "grows without bound" in legend_of(draw_phase([everywhere]))


def test_labels_of_contours_are_depth_scales() -> None:
    figure = draw_phase([plane("tanh")], contour="xi_c")
    assert {"1", "3", "10"} <= words_of(figure)
    assert words_of(draw_phase([plane("tanh")], contour="none")) == {"ordered", "chaotic"}


def test_dots_are_at_their_gain_and_bias() -> None:
    for variance, wanted in ((False, (1.5, 0.3)), (True, (2.25, 0.09))):
        figure = draw_phase([plane("tanh")], variance=variance, dots=[[(1.5, 0.3)]])
        dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
        (x,), (y,) = dots[0].get_data()
        assert (x, y) == pytest.approx(wanted)


@pytest.mark.parametrize("count", [1, 2, 4, 5, 7])
@pytest.mark.parametrize("style", ["light", "dark"])
def test_small_multiples_fit_their_page(count: int, style: str) -> None:
    names = ["tanh", "relu", "selu", "sigmoid", "erf", "gelu", "sine"][:count]
    figure = draw_phase([plane(name) for name in names], style, contour="both")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == count
    boxes = [axes.get_tightbbox() for axes in shown]
    assert all(box.x0 >= 0 and box.y0 >= 0 for box in boxes)
    (legend,) = figure.legends
    assert legend.get_window_extent().y0 >= max(box.y1 for box in boxes) - 1
    first, second = io.BytesIO(), io.BytesIO()
    save_figure(figure, first, "svg")
    save_figure(figure, second, "svg")
    assert first.getvalue() == second.getvalue()


def test_two_equal_planes_are_both_drawn() -> None:
    figure = draw_phase([plane("tanh")] * 2, dots=[[(1.5, 0.3)], []])
    for axes in figure.axes:
        words = {text.get_text() for text in axes.texts}
        numbers = {word for word in words if word.isdigit()}
        assert words - numbers == {"ordered", "chaotic"}
        assert {"1", "3"} <= numbers <= {"1", "3", "10", "30", "100"}
    with pytest.raises(ValueError, match="zip"):
        draw_phase([plane("tanh")] * 2, dots=[[(1.5, 0.3)]])


def test_the_legend_is_of_what_is_drawn() -> None:
    told = legend_of(draw_phase([plane("sigmoid")], contour="both"))
    assert told == ""
    low = snstat.phase("tanh", weight_gain=np.linspace(0.5, 0.9, 41), bias_std=[0.5, 0.6, 0.7])
    told = legend_of(draw_phase([low]))
    assert told == "ξ$_c$ of correlations: 1 layer"
    # A phase on either side of where signals have none is no line between them.
    plain = plane("tanh")
    endless = (plain.gradient_growth > 0.9) & (plain.gradient_growth < 1.1)
    parted = replace(plain, pre_activation=np.where(endless, np.inf, plain.pre_activation))
    told = legend_of(draw_phase([parted]))
    assert "χ = 1" not in told


@pytest.mark.parametrize("name", ["tanh", "relu", "selu", "gelu"])
@pytest.mark.parametrize("contour", ["xi_c", "both"])
@pytest.mark.parametrize("size", [None, (3.8, 3.2)])
def test_names_and_numbers_are_clear_of_each_other_and_of_the_frame(name, contour, size) -> None:
    free = draw_phase([plane(name)], contour=contour, size=size)
    # Dots where the names would be.
    taken = [place_of(text) for text in free.axes[0].texts if text.get_text().isalpha()]
    figure = draw_phase([plane(name)], contour=contour, dots=[taken], size=size)
    (axes,) = figure.axes
    figure.draw_without_rendering()
    frame = axes.get_window_extent()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) >= (2 if size is None else 1)
    for number, box in enumerate(boxes):
        assert frame.x0 < box.x0 < box.x1 < frame.x1
        assert frame.y0 < box.y0 < box.y1 < frame.y1
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])
        assert not any(box.contains(*axes.transData.transform(dot)) for dot in taken)
    borders = [entry for entry in axes.collections if np.max(entry.get_linewidth()) == 2.0]
    for path in [path for entry in borders for path in entry.get_paths()]:
        line = path.transformed(axes.transData)
        assert not any(line.intersects_bbox(box, filled=False) for box in boxes)


@pytest.mark.parametrize("name", ["tanh", "selu", "sine"])
@pytest.mark.parametrize(("count", "half"), [(1, 3.5), (4, 2.75)])
def test_no_other_line_is_within_half_a_number(name: str, count: int, half: float) -> None:
    axes = draw_phase([plane(name)] * count, contour="both").axes[0]
    lines = [
        Path(line).interpolated(100).vertices
        for entry in axes.collections
        if np.max(entry.get_linewidth()) in {0.7, 2.0}
        for path in entry.get_paths()
        for line in path.to_polygons(axes.transData, closed_only=False)
    ]
    for text in axes.texts:
        if text.get_text().isdigit():
            centre = axes.transData.transform(place_of(text))
            near = [np.hypot(*(line - centre).T).min() for line in lines]
            # Digits are as many pixels high as their size in points.
            assert text.get_fontsize() == 2 * half
            own, *others = sorted(near)
            assert own < 1.0
            assert others[0] > half


def test_numbers_stand_on_their_contour() -> None:
    axes = draw_phase([plane("tanh")]).axes[0]
    numbers = [text for text in axes.texts if text.get_text().isdigit()]
    assert {"1", "3", "10", "30"} == {text.get_text() for text in numbers}
    for text in numbers:
        gain, bias = place_of(text)
        found = snstat.phase("tanh", weight_gain=gain, bias_std=bias)
        # Contours are linear in ln ξ within a cell.
        depth = found.correlation_depth_scale[0, 0]
        assert depth == pytest.approx(float(text.get_text()), rel=0.05)
