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
    assert [text.get_text() for text in axes.get_xticklabels()] == [str(n) for n in range(7)]
    assert "average" in bar.get_ylabel()
    assert "net" in figure.get_supxlabel()


def test_layers_of_two_axes_have_a_picture_each():
    padded = {"kind": "conv", "channels": 6, "kernel": 3}
    run = run_of(padded, padded, {"kind": "mean_pool", "size": 2}, grid=[4, 6])
    found, figure = drawn(run, range(4))
    pictures = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in pictures] == ["input", "layer 1", "layer 2", "layer 3"]
    for number, axes in enumerate(pictures):
        image = axes.images[0]
        np.testing.assert_array_equal(np.asarray(image.get_array()), found.shares[number])
        assert image.norm is not None
        assert image.norm.vmax == pictures[0].images[0].norm.vmax
    assert found.shares[3].shape == (2, 3)


def test_colours_are_logarithmic_where_the_signal_fades():
    far = run_of({"kind": "block", "times": 9, "layers": [CONV]}, grid=[12])
    near = run_of(CONV, grid=[12])
    norms = []
    for run in (far, near):
        _, figure = drawn(run, [1, len(run.finite) - 1])
        norms.append(type(figure.axes[0].collections[0].norm))
    assert [norm.__name__ for norm in norms] == ["LogNorm", "Normalize"]


def test_what_has_no_positions_is_refused():
    with pytest.raises(SnstatError, match="a network without a grid has no positions"):
        snstat.plot.positions(snstat.propagate("relu", depth=2, width=4, batch=3, trials=1))
    pooled = run_of({"kind": "max_pool", "size": 2}, grid=[4])
    with pytest.raises(SnstatError, match="of none of these layers; choose others"):
        snstat.plot.positions(pooled, [1])
    assert snstat.plot.positions(pooled).get_xlabel() == "layer"
