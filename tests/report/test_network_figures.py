"""Pictures of networks of any layers: brackets, and what curves connect."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import snstat
from snstat.cli import run as command
from snstat.experiment.densities import densities
from snstat.experiment.plans import plan_again
from snstat.report.figures import draw_trajectory
from snstat.report.figures.brackets import MOST_BRACKETS, Bracket, brackets_of
from snstat.report.figures.panel import REPEATED, curve, inner
from snstat.report.figures.series import series_of
from snstat.report.figures.style import style_named

SAMPLING = {"batch": 4, "trials": 2}
DENSE = {"kind": "dense", "width": 6}
COLUMNS = ("estimate", "stderr", "theory", "expected", "neglected")


@pytest.fixture(scope="module")
def run():
    residual = {"kind": "residual", "layers": [{"kind": "layer_norm"}, DENSE]}
    layers = [
        {"kind": "layer_norm"},
        {"kind": "block", "name": "body", "times": 3, "layers": [residual]},
        {"kind": "block", "layers": [DENSE, DENSE]},
        DENSE | {"name": "head"},
    ]
    form = {"name": "net", "input": {"channels": 6}, "layers": layers}
    return snstat.propagate(snstat.Network.read(form), **SAMPLING)


def test_brackets_are_the_parts_of_the_network(run):
    whole = [
        Bracket("layer_norm", 1, 1),
        Bracket("body ×3", 2, 10),
        Bracket("block", 11, 12),
        Bracket("head", 13, 13),
    ]
    assert brackets_of(run.network, 13) == whole
    assert brackets_of(run.network, 11) == [*whole[:2], Bracket("block", 11, 11)]


def test_brackets_of_an_interrupted_run_end_with_its_layers(run, tmp_path):
    def first(column):
        return None if column is None else column[:5]

    statistics = {
        name: replace(own, **{column: first(getattr(own, column)) for column in COLUMNS})
        for name, own in run.statistics.items()
    }
    partial = replace(run, statistics=statistics, finite=run.finite[:5], partial=True)
    figure = draw_trajectory([partial])
    with warnings.catch_warnings():  # of a layout without room
        warnings.simplefilter("error")
        figure.savefig(tmp_path / "run.png")
    lines = [line for axes in figure.axes for line in axes.lines if not line.get_clip_on()]
    assert [np.max(line.get_xdata()) for line in lines] == pytest.approx([1.4, 4.4])


def test_names_in_a_drawing_are_names_of_one_element(run, tmp_path):
    draw_trajectory([run]).savefig(tmp_path / "run.svg")
    names = re.findall(r' id="([^"]*)"', (tmp_path / "run.svg").read_text("utf-8"))
    assert len(set(names)) == len(names)
    assert not [name for name in names if " " in name]


def test_too_many_brackets_are_none():
    layers = [{"kind": "scale", "factor": 2.0}] * (MOST_BRACKETS + 1)
    for number in (0, 1):
        network = snstat.Network.read({"input": {"channels": 2}, "layers": layers[number:]})
        found = brackets_of(snstat.propagate(network, **SAMPLING).network, MOST_BRACKETS + 1)
        assert len(found) == number * MOST_BRACKETS


def test_curves_connect_what_is_not_within_a_residual(run):
    count = len(run.finite)
    assert curve(run, count).tolist() == [0, 1, 4, 7, 10, 11, 12, 13]
    assert sorted([*curve(run, count), *inner(run, count)]) == list(range(count))
    (panel, *_) = draw_trajectory([run]).axes
    points = [line for line in panel.lines if line.get_marker() == "."]
    (within,) = points
    assert within.get_xdata().tolist() == [2, 3, 5, 6, 8, 9]
    np.testing.assert_array_equal(within.get_ydata(), run.mean.estimate[within.get_xdata()])
    (theory, *_) = [line for line in panel.lines if len(line.get_xdata()) == 8]
    assert theory.get_xdata().tolist() == curve(run, count).tolist()


def test_brackets_are_on_the_page(run):
    figure = draw_trajectory([run])
    figure.draw_without_rendering()
    texts = [text for text in figure.axes[-1].texts if text.get_text() in {"body ×3", "head"}]
    assert len(texts) == 2
    page = figure.bbox
    for text in texts:
        box = text.get_window_extent()
        assert page.x0 <= box.x0 < box.x1 <= page.x1
        assert page.y0 <= box.y0 < box.y1 <= page.y1


def test_labels_of_brackets_do_not_overlap():
    """Those of the most layers are shown."""
    body = {"kind": "block", "name": "body", "times": 40, "layers": [DENSE]}
    heads = [DENSE | {"name": f"a_long_name_{n}"} for n in range(5)]
    form = {"name": "net", "input": {"channels": 6}, "layers": [body, *heads]}
    figure = draw_trajectory([snstat.propagate(snstat.Network.read(form), **SAMPLING)])
    figure.draw_without_rendering()
    texts = [text for text in figure.axes[-1].texts if text.get_text() and text.get_visible()]
    assert "body ×40" in {text.get_text() for text in texts}
    boxes = sorted((text.get_window_extent() for text in texts), key=lambda box: box.x0)
    assert len(boxes) >= 2
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))


def test_networks_of_other_layers_have_no_brackets(run):
    other = snstat.propagate("relu", depth=3, width=4, **SAMPLING)
    figure = draw_trajectory([run, other])
    assert not any("body" in text.get_text() for text in figure.axes[-1].texts)


def test_networks_alone_begin_with_the_first_look():
    look = style_named("light")
    first, second = series_of(["mine", "other"], look)
    assert first.color == look.cycle[0].lower()
    assert second.color == look.cycle[1].lower()
    assert series_of(["selu", "mine"], look)[1].color != look.cycle[0].lower()


def test_the_command_draws_a_network_file(tmp_path, capsys):
    path, picture = tmp_path / "net.toml", tmp_path / "net.svg"
    snstat.Network.read({"input": {"channels": 4}, "layers": [{"kind": "rms_norm"}]}).save(path)
    sampling = ["-b", "4", "-t", "2"]
    assert command(["plot", str(path), "-o", str(picture), *sampling]) == 0
    text = picture.read_text()
    assert "rms_norm" in text
    assert "plot" in text  # the command is in the metadata
    capsys.readouterr()
    for arguments, words in (
        (["--kind", "correlation"], "is for uniform stacks"),
        (["--depth", "3"], "beside a network file"),
    ):
        assert command(["plot", str(path), "-o", str(picture), *arguments]) == 2
        assert words in capsys.readouterr().err


def test_histograms_name_layers_and_hold_the_values_of_the_simulation(run):
    axes = snstat.plot.histogram(run, [0, 4, 13])
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "input",
        "body.0.0 residual",
        "head",
    ]


def test_densities_are_those_of_all_values(run):
    found = densities(plan_again(run), [0, 4, 13])
    for row, layer in enumerate(found.layers):
        assert found.mean[row] == pytest.approx(run.mean.estimate[layer], rel=1e-5, abs=1e-7)
        second = found.variance[row] + found.mean[row] ** 2
        assert second == pytest.approx(run.second_moment.estimate[layer], rel=1e-5)
        widths = np.diff(found.edges[row])
        assert (found.density[row] * widths).sum() == pytest.approx(1.0)
    # The head is linear: N(0, q) at infinite width, q by theory.
    q = run.second_moment.theory[13]
    below = np.array([0.5 * math.erfc(-edge / math.sqrt(2.0 * q)) for edge in found.edges[2]])
    np.testing.assert_allclose(found.law[2], np.diff(below) / np.diff(found.edges[2]), rtol=1e-9)
    assert np.isnan(found.law[1]).all()


def test_atoms_of_an_activation_are_apart():
    layers = [{"kind": "rms_norm"}, DENSE | {"activation": "relu"}]
    network = snstat.Network.read({"input": {"channels": 6}, "layers": layers})
    found = densities(plan_again(snstat.propagate(network, **SAMPLING)), [2])
    assert found.atoms.tolist() == [0.0]
    assert 0.2 < found.atom_shares[0, 0] < 0.8
    bars = (found.density[0] * np.diff(found.edges[0])).sum()
    assert bars + found.atom_shares[0, 0] == pytest.approx(1.0)


def test_of_a_repeated_block_curves_connect_the_ends_of_its_turns():
    layers = [DENSE, {"kind": "batch_norm"}, {"kind": "activation", "activation": "relu"}]
    block = {"kind": "block", "layers": layers}
    for times, expected in (
        (REPEATED, [0, 3, 6, 9, 12, 13]),
        (REPEATED - 1, list(range(11))),
    ):
        form = {"input": {"channels": 6}, "layers": [block | {"times": times}, DENSE]}
        run = snstat.propagate(snstat.Network.read(form), **SAMPLING)
        assert curve(run, len(run.finite)).tolist() == expected
