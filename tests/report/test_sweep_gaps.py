"""Pictures of sweeps of which numbers are missing: gaps, and what is refused."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest

import snstat
from snstat.errors import InvalidValueError
from snstat.report.figures import draw_sweep, save_figure
from snstat.report.figures.sweep_points import Choice
from snstat.results.sweep import Sweep
from tests.report.builders import make_sweep
from tests.robustness.processes import call, one_complaint


def measured_points(table, choice):
    """Return the values of the markers and of the lines of the first panel, and the caption."""
    figure = draw_sweep(table, choice)
    save_figure(figure, io.BytesIO(), "png")
    axes = figure.axes[0]
    markers = [np.asarray(bars[0].get_ydata(), float) for bars in axes.containers]
    lines = [np.asarray(line.get_ydata(), float) for line in axes.lines]
    lines = [line for line in lines if not any(line is marker for marker in markers)]
    return markers, lines, figure.get_supxlabel().replace("\n", " ")


def test_theory_at_infinite_width_is_faint_beside_other_theory():
    """The line goes through all points; where first order is known, a full one lies on it."""
    nothing = math.nan
    known = {
        "width": [8.0, 16.0, 32.0, 64.0],
        "verdict": ["stable"] * 4,
        "second_moment_estimate": [nothing] * 4,
        "second_moment_theory": [1.0] * 4,
    }
    table = make_sweep(**known, second_moment_expected=[nothing, nothing, 0.8, 0.9])
    figure = draw_sweep(table, Choice("width"))
    faint, full = figure.axes[0].lines
    assert (faint.get_alpha(), full.get_alpha()) == (0.4, 0.8)
    np.testing.assert_array_equal(faint.get_ydata(), [1.0, 1.0, 0.8, 0.9])
    np.testing.assert_array_equal(full.get_ydata(), [nothing, nothing, 0.8, 0.9])
    assert figure.get_supxlabel().endswith("lines: theory, faint at infinite width")
    table = make_sweep(**known, second_moment_expected=[nothing] * 4)
    figure = draw_sweep(table, Choice("width"))
    (only,) = figure.axes[0].lines
    assert only.get_alpha() == 0.8
    assert figure.get_supxlabel().endswith("lines: theory at infinite width")


def test_a_mean_of_what_is_not_finite_is_none():
    """Without the seed that is lost, the mean would be that of the seeds with smaller numbers."""
    nothing = math.nan
    table = make_sweep(
        width=[4.0, 4.0, 8.0, 8.0, 16.0, 16.0, 32.0],
        seed=[0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0],
        verdict=["stable"] * 3 + ["non-finite", "stable", "exploding", "exploding"],
        second_moment_estimate=[1.0, 2.0, 3.0, nothing, 4.0, nothing, nothing],
        second_moment_theory=[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, nothing],
        # The number that tells what was simulated, of a cell whose other numbers are not finite.
        variance_estimate=[1.0, 1.0, 1.0, 1.0, 1.0, nothing, nothing],
        kurtosis_estimate=[nothing] * 7,
        kurtosis_theory=[1.0] * 7,
    )
    (markers,), (line,), caption = measured_points(table, Choice("width"))
    # The second cell at width 16 is theory alone, and so is that at 32, whose theory is not finite.
    np.testing.assert_array_equal(markers, [1.5, nothing, 4.0, nothing])
    np.testing.assert_array_equal(line, [1.0, 1.0, 1.0, nothing])
    assert "2 with gaps" in caption
    # What was measured in no cell is not lost.
    assert "gaps" not in measured_points(table, Choice("width", "kurtosis"))[2]


@pytest.mark.parametrize("theory", [False, True])
def test_what_is_not_finite_leaves_gaps(theory, tmp_path):
    """ReLU with a gain of 10⁶ multiplies second moments by 5·10¹¹ in every layer."""
    target = tmp_path / "out.csv"
    snstat.sweep(
        "relu", {"weight_gain": [1.0, 1e6]}, depth=40, width=8, batch=4, trials=2, backward=True,
        theory=theory, output=target,
    )  # fmt: skip
    table = snstat.load_sweep(target)
    choices = [Choice("layer"), Choice("weight_gain"), Choice("weight_gain", "gradient")]
    for choice in choices[: 2 if theory else 3]:  # theory of the gradient is finite
        markers, _, caption = measured_points(table, choice)
        assert "1 with gaps where numbers are not finite" in caption, choice
        if not theory and choice.x != "layer":
            assert np.isfinite(markers[0]).tolist() == [True, False]
    kept = [row for row in range(len(table)) if table["weight_gain"][row] == 1.0]
    columns = {name: column[kept] for name, column in table.columns.items()}
    assert "gaps" not in measured_points(Sweep(columns, ("weight_gain",)), Choice("layer"))[2]


def test_cells_without_a_value_are_refused(tmp_path, capsysbinary):
    """A file may hold stacks of one width, and others of several, which have no one width."""
    table = snstat.sweep("relu", {"width": [4, 8]}, depth=2, batch=4, trials=2)
    width = table["width"].copy()
    width[:3] = math.nan
    words = np.where(np.isnan(width), "", "named").astype(object)
    for name, column in (("width", width), ("sampler", words)):
        damaged = Sweep({**table.columns, name: column}, (name,))
        for part in ("x", "hue", "col"):
            with pytest.raises(InvalidValueError, match=f"{name} is 'empty in 1 of 2 cells'"):
                draw_sweep(damaged, Choice(**{"x": "layer", part: name}))
    target, picture = tmp_path / "out.csv", tmp_path / "out.png"
    same = {"depth": 2, "batch": 4, "trials": 2, "output": target}
    snstat.sweep("relu", {"width": [4, 8]}, **same)
    del same["depth"]
    snstat.sweep("relu", {"widths": ["8*2", "4*2"]}, **same)
    found = call(capsysbinary, "plot", str(target), "--x", "width", "--hue", "widths",
                 "--col", "depth", "-o", str(picture))  # fmt: skip
    assert found[0] == 2
    assert "--width is 'empty in 2 of 4 cells'" in one_complaint(found[2])
    assert not picture.exists()


def test_simulated_cells_beside_theory_alone(tmp_path):
    """Markers are those of the simulated cells, and theory is that of all."""
    target = tmp_path / "out.csv"
    same = {"depth": 3, "batch": 4, "trials": 2, "backward": True, "output": target}
    snstat.sweep("tanh", {"width": [4, 8]}, seeds=2, **same)
    alone = snstat.load_sweep(target)
    snstat.sweep("tanh", {"width": [8, 16]}, theory=True, **same)
    both = snstat.load_sweep(target)
    # The gradient is known to first order at the largest width only.
    for y, known in (
        ("second_moment", [[True] * 3]),
        ("gradient", [[True] * 3, [False, False, True]]),
    ):
        (before,), _, _ = measured_points(alone, Choice("width", y))
        (markers,), lines, caption = measured_points(both, Choice("width", y))
        assert np.isfinite(before).all()
        np.testing.assert_array_equal(markers[:2], before)
        assert np.isnan(markers[2])
        assert [np.isfinite(line).tolist() for line in lines] == known
        assert "gaps" not in caption


def test_gradients_of_last_layers_are_refused(tmp_path, capsysbinary):
    """They are 1 by definition."""
    target, picture = tmp_path / "out.csv", tmp_path / "out.png"
    same = {"depth": 3, "batch": 4, "trials": 2, "backward": True, "output": target}
    snstat.sweep("tanh", {"width": [4, 8]}, layers="last", **same)
    asked = "plot", str(target), "--y", "gradient", "-o", str(picture)
    code, _, err = call(capsysbinary, *asked)
    assert code == 2
    complaint = one_complaint(err)
    assert "of the last layer only in 2 of 2 cells" in complaint
    assert "--layers all or log" in complaint
    snstat.sweep("tanh", {"width": [4, 8, 16]}, layers="log", **same)
    code, _, err = call(capsysbinary, *asked)
    assert "in 2 of 3 cells" in one_complaint(err)
    assert not picture.exists()
    assert call(capsysbinary, "plot", str(target), "-o", str(picture))[0] == 0


def test_cells_of_another_network_file_are_not_averaged(tmp_path, capsysbinary):
    """The file is edited between two sweeps: nothing in the table but its keys says so."""
    network, target = tmp_path / "net.toml", str(tmp_path / "out.csv")
    words = ("sweep", str(network), "-t", "2", "-b", "4", "-o", target, "--seeds", "2", "--over")
    form = """
        input = {{ channels = 4 }}
        parameters = {{ width = 8 }}
        layers = [{{ kind = "dense", width = "=width", weight_gain = {gain} }}]
    """
    draw = ("plot", target, "--x", "width", "-o", str(tmp_path / "out.svg"))
    for gain, widths in ((1.0, "8,16"), (10.0, "16,32")):
        network.write_text(form.format(gain=gain))
        assert call(capsysbinary, *words, f"width={widths}")[0] == 0
        code, _, err = call(capsysbinary, *draw)
        if gain == 1.0:
            assert code == 0  # seeds are averaged
    assert code == 2
    told = one_complaint(err)
    assert "cells with the options of another cell is 4, but must be 0 (of 8 cells)" in told
    assert "sweep into another -o, or remove the rows of the older ones" in told
    # As it says: the cells of the sweep that ended last are the first.
    lines = (tmp_path / "out.csv").read_text().splitlines(keepends=True)
    keys = [*dict.fromkeys(line.partition(",")[0] for line in lines[1:])]
    own = [line for line in lines if line.partition(",")[0] in ("cell", *keys[:4])]
    (tmp_path / "out.csv").write_text("".join(own))
    assert call(capsysbinary, *draw)[0] == 0
    assert {float(width) for width in snstat.load_sweep(target)["width"]} == {16.0, 32.0}
