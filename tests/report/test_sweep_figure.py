"""Pictures of sweeps: which points they show, and what they refuse."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest

import snstat
from snstat.errors import InvalidValueError, UnknownNameError
from snstat.report.figures import draw_sweep, save_figure
from snstat.report.figures.series import series_of
from snstat.report.figures.style import STYLES
from snstat.report.figures.sweep_points import Choice, Shown
from snstat.report.figures.sweep_words import labels_of, value_words
from snstat.results.sweep import Sweep
from tests.report.builders import make_sweep
from tests.robustness.processes import call, one_complaint

AXES = {"activation": ["relu", "tanh"], "width": [8, 32, 128], "weight_gain": [1.0, 1.5]}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    found = tmp_path_factory.mktemp("sweep") / "out.csv"
    snstat.sweep(None, AXES, seeds=3, depth=3, batch=4, trials=2, backward=True, output=found)
    return found


@pytest.fixture(scope="module")
def table(path):
    return snstat.load_sweep(path)


@pytest.mark.parametrize("y", ["second_moment", "gradient"])
def test_points_are_means_over_seeds(table, y):
    """Beside a plain loop over the rows."""
    shown = Shown.of(table, Choice("width", y))
    chosen = shown.equal("activation", "tanh") & shown.equal("weight_gain", 1.5)
    xs, mean, error, theory, _ = shown.points(chosen)
    assert xs == [8.0, 32.0, 128.0]
    for place, width in enumerate(xs):
        values, errors, predicted = [], [], []
        for row in range(len(table)):
            own = [table[name][row] for name in ("activation", "weight_gain", "width")]
            layer = 0 if y == "gradient" else 3
            if own == ["tanh", 1.5, width] and table["layer"][row] == layer:
                values.append(float(table[f"{y}_estimate"][row]))
                errors.append(float(table[f"{y}_stderr"][row]))
                known = float(table[f"{y}_expected"][row])
                other = float(table[f"{y}_theory"][row])
                predicted.append(other if math.isnan(known) else known)
        if y == "gradient":
            values = [math.log(value) for value in values]
        middle = sum(values) / 3
        # Of independent cells, variances of a sum add up.
        own_error = math.sqrt(sum(one * one for one in errors)) / 3
        if y == "gradient":
            middle, own_error = math.exp(middle), math.exp(middle) * own_error
        assert mean[place] == pytest.approx(middle, rel=1e-12)
        assert error[place] == pytest.approx(own_error, rel=1e-12)
        assert theory[place] == pytest.approx(sum(predicted) / 3, rel=1e-12)


def test_what_is_left_open_is_chosen(table):
    assert Choice().of(table) == Choice("activation", "second_moment", "width", "weight_gain")
    assert Choice(col="activation").of(table) == Choice(
        "width", "second_moment", "weight_gain", "activation"
    )
    with pytest.raises(InvalidValueError, match="weight gain has no place in it"):
        Choice("layer", hue="activation", col="width").of(table)
    with pytest.raises(UnknownNameError):
        Choice("widht").of(table)
    with pytest.raises(UnknownNameError):
        Choice(y="gradeint").of(table)


@pytest.mark.parametrize("style", ["light", "dark"])
def test_panels_and_curves(table, style):
    figure = draw_sweep(table, Choice("width", "gradient", "weight_gain", "activation"), style)
    first, second = figure.axes
    assert [axes.get_title() for axes in (first, second)] == ["ReLU", "tanh"]
    assert first.get_xscale() == first.get_yscale() == "log"
    _, labels = first.get_legend_handles_labels()
    assert labels == ["weight gain 1", "weight gain 1.5"]
    buffers = [io.BytesIO(), io.BytesIO()]
    for buffer in buffers:
        save_figure(figure, buffer, "svg")
    assert buffers[0].getvalue() == buffers[1].getvalue()


@pytest.mark.parametrize("style", ["light", "dark"])
def test_an_activation_looks_as_in_all_pictures(table, style):
    """As a curve beside others, and where all cells have it."""
    own = dict(zip(("relu", "tanh"), series_of(["relu", "tanh"], STYLES[style]), strict=True))
    rows = (table["weight_gain"] == 1.5) & (table["activation"] == "tanh")
    alone = Sweep({name: column[rows] for name, column in table.columns.items()}, ("width",))
    both = Choice("width", hue="activation", col="weight_gain")
    for chosen, choice, names in (
        (table, both, ["relu", "tanh"]),
        (alone, Choice("width"), ["tanh"]),
    ):
        axes = draw_sweep(chosen, choice, style).axes[0]
        markers = [bars[0] for bars in axes.containers]
        looks = [(line.get_color(), line.get_marker()) for line in markers]
        assert looks == [(own[name].color, own[name].marker) for name in names]
        if choice.hue:
            assert axes.get_legend_handles_labels()[1] == ["ReLU", "tanh"]


def test_the_caption_names_the_subject(table):
    rows = (table["weight_gain"] == 1.5) & (table["activation"] == "tanh")
    one = Sweep({name: column[rows] for name, column in table.columns.items()}, ("width",))
    rows = rows & (table["width"] == 8)
    seeds = Sweep({name: column[rows] for name, column in table.columns.items()}, ("seed",))
    theory = snstat.sweep("selu", {"weight_gain": [1.0, 1.5]}, depth=1, width=8, theory=True)
    layers = [{"kind": "dense", "width": 4}]
    encoder = snstat.Network.read({"name": "encoder", "input": {"channels": 8}, "layers": layers})
    network = snstat.sweep(encoder, {"batch": [4, 8]}, theory=True)
    for chosen, choice, words in (
        (table, Choice("width", hue="activation", col="weight_gain"),
         ("3 layers · 2 trials × batch 4 · second moment of the last layer · 36 cells · "
         "means over 3 seeds · lines: theory")),
        (one, Choice("width"), "tanh · 3 layers · 2 trials × batch 4 · second moment"),
        (seeds, Choice("seed"), ("tanh · 3 layers of 8 · 2 trials × batch 4 · second moment of the "
         "last layer · 3 cells · each point is one seed · lines: theory")),
        (theory, Choice(), "SELU · 1 layer of 8 · theory, no trials · second moment"),
        (network, Choice("batch"), "encoder · 1 layer · theory, no trials · second moment"),
    ):  # fmt: skip
        figure = draw_sweep(chosen, choice)
        assert figure.get_supxlabel().replace("\n", " ").startswith(words)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0, 1], ["0", "1"]),
        ([3, 4, 7], ["3", "4", "7"]),
        ([8, 64, 16384], ["8", "64", "16384"]),
        (range(9), None),
        ([0, 1, 2, 500], None),
        ([1, 1.5], None),
    ],
)
def test_few_whole_numbers_have_ticks(values, ticks):
    """Of others, those that are whole numbers have no ticks between them."""
    table = make_sweep(
        blocks=[float(value) for value in values],
        second_moment_theory=np.linspace(1.0, 2.0, len(values)),
        second_moment_estimate=np.linspace(1.0, 2.0, len(values)),
    )
    axes = draw_sweep(table, Choice("blocks")).axes[0]
    places = axes.get_xticks()
    if ticks is not None:
        assert [label.get_text() for label in axes.get_xticklabels()] == ticks
        assert places.tolist() == [*values]
    elif 1.5 not in values:
        assert all(place.is_integer() for place in places.tolist())


def test_numbers_have_four_digits_or_as_many_as_differ():
    assert value_words("weight_gain", [1.0, math.sqrt(2.0)]) == ["1", "1.414"]
    assert value_words("width", [1024.0, 65536.0]) == ["1024", "65536"]
    assert value_words("scale", [0.1, 1 / 3, 1e9]) == ["0.1", "0.3333", "1e+09"]
    assert value_words("scale", [0.12345, 0.12346]) == ["0.12345", "0.12346"]
    assert labels_of("activation", ["gelu", "leaky_relu:0.1"]) == ["GELU", "leaky ReLU 0.1"]


def test_names_along_the_axis_are_not_joined():
    chosen = snstat.sweep(None, {"activation": ["relu", "tanh"]}, depth=1, width=8, theory=True)
    (line,) = draw_sweep(chosen, Choice("activation")).axes[0].lines
    assert (line.get_linestyle(), line.get_marker()) == ("None", "_")
    numbers = snstat.sweep("relu", {"width": [4, 8]}, depth=1, theory=True)
    (line,) = draw_sweep(numbers, Choice("width")).axes[0].lines
    assert (line.get_linestyle(), line.get_marker()) == ("-", "None")


def test_depth_along_the_axis():
    chosen = snstat.sweep(
        "relu", {"weight_gain": [1.0, 1.5]}, depth=4, width=8, batch=4, trials=2, layers="all"
    )
    axes = draw_sweep(chosen, Choice("layer")).axes[0]
    lines = [line for line in axes.lines if line.get_linestyle() == "-"]
    # First order is known of the first layers; each gain has a faint line and a full one.
    assert [len(line.get_xdata()) for line in lines] == [5] * 4
    assert [line.get_alpha() for line in lines] == [0.4, 0.8] * 2
    shown = Shown.of(chosen, Choice("layer"))
    xs = shown.points(shown.there).xs
    assert xs == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_the_command_draws_a_table(path, tmp_path, capsysbinary):
    target = tmp_path / "out.png"
    arguments = ("plot", str(path), "--x", "width", "--y", "gradient", "--hue", "weight-gain")
    code, _, err = call(capsysbinary, *arguments, "-o", str(target))
    assert (code, err) == (0, f"snstat: wrote {target}: sweep, png\n")
    assert target.read_bytes().startswith(b"\x89PNG")
    for more, complaint in (
        (("--width", "8"), "--width cannot be used beside the table of a sweep"),
        (("--y", "gradeint"), "did you mean 'gradient'?"),
        ((str(path),), "give it alone"),
    ):
        code, _, err = call(capsysbinary, "plot", str(path), *more, "-o", str(target))
        assert code == 2
        assert complaint in one_complaint(err)
    code, _, err = call(capsysbinary, "plot", "--x", "width", "-o", str(target))
    assert "--x is for the table of a sweep" in one_complaint(err)


def test_damaged_tables_are_one_line(path, tmp_path, capsysbinary):
    text, target = path.read_text(), tmp_path / "damaged.csv"
    lines = text.splitlines(keepends=True)
    key = lines[1].partition(",")[0]
    for damaged, code in (
        ("", 2),
        (lines[0], 2),
        (lines[0] + key + "," * (lines[0].count(",")) + "a failure\n", 2),
        (text.replace(",layer,", ",layr,"), 2),
        (lines[0] + '"' + "x" * 300_000 + "\n", 2),
        (text.replace(",0.", ",1e999."), 2),
        (text[: len(text) // 2], 0),
        (text + "\0\0\0", 0),
    ):
        target.write_text(damaged)
        found, _, err = call(capsysbinary, "plot", str(target), "-o", str(tmp_path / "out.png"))
        assert found == code, err
        if code:
            one_complaint(err)
