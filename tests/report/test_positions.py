"""The picture of the signal at every position."""

from __future__ import annotations

import numpy as np
import pytest

import snstat
from snstat.errors import SnstatError
from snstat.experiment.plans import plan_again
from snstat.experiment.positions import position_shares
from snstat.report.figures import draw_positions

CONV = {"kind": "conv", "channels": 6, "kernel": 2, "padding": "causal"}
STRIDE = {"kind": "conv", "channels": 6, "kernel": 2, "stride": 2}


def run_of(*layers, grid):
    form = {"name": "net", "input": {"channels": 6, "grid": grid}, "layers": list(layers)}
    return snstat.propagate(snstat.Network.read(form), batch=3, trials=1)


def drawn(run, layers, style="light"):
    found = position_shares(plan_again(run), layers)
    return found, draw_positions(found, style)


@pytest.mark.parametrize("style", ["light", "dark"])
def test_layers_of_one_axis_are_columns(style):
    """Those of a shorter grid are stretched."""
    run = run_of({"kind": "block", "times": 5, "layers": [CONV]}, STRIDE, grid=[8])
    found, figure = drawn(run, range(7), style)
    axes, bar = figure.axes
    columns = [np.asarray(mesh.get_array()) for mesh in axes.collections]
    assert [column.shape for column in columns] == [(8, 1)] * 6 + [(4, 1)]
    for number, column in enumerate(columns):
        np.testing.assert_array_equal(column[:, 0], found.shares[number])
    # Of five layers the first position has the products of ½, beside the means that are lost.
    assert columns[5][0, 0] < columns[4][0, 0] < 2.0**-3
    low, high = axes.get_ylim()
    assert (low, high) == (-0.5, 7.5)
    names = ["input", "0.0.0", "0.1.0", "0.2.0", "0.3.0", "0.4.0", "1"]
    assert [text.get_text() for text in axes.get_xticklabels()] == names
    assert "average" in bar.get_ylabel()
    assert "net" in figure.get_supxlabel()


def test_layers_of_two_axes_have_a_picture_each():
    padded = {"kind": "conv", "channels": 6, "kernel": 3}
    run = run_of(padded, padded, {"kind": "mean_pool", "size": 2}, grid=[4, 6])
    found, figure = drawn(run, range(4))
    pictures = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in pictures] == ["input", "0", "1", "2"]
    assert pictures[3].get_xlabel() == "layer 3 · 2 × 3"
    for number, axes in enumerate(pictures):
        image = axes.images[0]
        np.testing.assert_array_equal(np.asarray(image.get_array()), found.shares[number])
        assert image.norm is not None
        assert image.norm.vmax == pictures[0].images[0].norm.vmax
    assert found.shares[3].shape == (2, 3)


@pytest.mark.parametrize(("depth", "points"), [(1, 0), (9, 1)])
def test_the_average_is_in_the_middle_of_the_scale(depth, points):
    """Causal convolutions of two taps halve the first position, to 1/2 and 1/512 of the others;
    what is below a tenth of the average has the last colour."""
    run = run_of({"kind": "block", "times": depth, "layers": [CONV]}, grid=[12])
    found, figure = drawn(run, [0, depth])
    axes, bar = figure.axes
    norm = axes.collections[0].norm
    assert float(norm(1.0)) == pytest.approx(0.5, abs=1e-12)
    assert norm.vmin * norm.vmax == pytest.approx(1.0, rel=1e-12)
    least = found.shares[depth].min()
    assert norm.vmax == pytest.approx(min(1.0 / least, 10.0), rel=1e-12)
    assert float(norm(least)) == pytest.approx(0.0, abs=1e-12)
    shown = bar.get_yticks()
    assert 1.0 in shown
    assert len(shown) >= 3
    # An even layer has the colour of the ground.
    color = axes.collections[0].cmap(norm(1.0))
    np.testing.assert_allclose(color[:3], figure.get_facecolor()[:3], atol=0.01)
    patches = [patch for patch in bar.patches if type(patch).__name__ == "PathPatch"]
    assert len(patches) == points


def test_layers_that_differ_are_shown_by_default():
    """The input is even, padding is not; what follows a causal convolution alike is left out."""
    even = {"kind": "conv", "channels": 6, "kernel": 2, "padding": "circular"}
    same = {"kind": "dense", "width": 6}
    run = run_of(even, CONV, same, same, CONV, even, grid=[8])
    found = position_shares(plan_again(run))
    assert list(found.shares) == [0, 2, 5, 6]
    alone = position_shares(plan_again(run_of(even, even, grid=[8])))
    assert list(alone.shares) == [0, 2]
    # The border moves in by one position a layer, and by less and less: as many are shown as fit.
    padded = {"kind": "conv", "channels": 6, "kernel": 3}
    deep = run_of({"kind": "block", "times": 40, "layers": [padded]}, grid=[16, 16])
    chosen = list(position_shares(plan_again(deep)).shares)
    assert chosen[0] == 0
    assert chosen[-1] == 40
    assert 6 < len(chosen) <= 12
    assert chosen[1:4] == [1, 2, 3]


def test_what_has_no_positions_is_refused():
    with pytest.raises(SnstatError, match="a network without a grid has no positions"):
        snstat.plot.positions(snstat.propagate("relu", depth=2, width=4, batch=3, trials=1))
    pooled = run_of({"kind": "max_pool", "size": 2}, grid=[4])
    with pytest.raises(SnstatError, match="of none of these layers; choose others"):
        snstat.plot.positions(pooled, [1])
    assert snstat.plot.positions(pooled).get_ylabel() == "position"
