"""Traced modules as tables, markdown, CSV, HTML and pictures."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from snstat import plot
from snstat.errors import InvalidValueError
from snstat.report.figures import draw_trajectory
from snstat.report.html import run_to_html
from snstat.report.selection import ALL, LOG, LayerSelection, parse_layers, usual
from snstat.report.table import print_runs
from snstat.report.text import runs_to_csv, runs_to_markdown
from snstat.results import ModuleSummary
from tests.report.test_figures import words_of
from tests.traces import IMAGES, ROWS, SUMMARY, VECTORS, call, make_traced_run


def table(
    width: int = 110, layers: LayerSelection = ALL, summary: ModuleSummary = SUMMARY, **options
) -> str:
    console = Console(file=io.StringIO(), width=width, no_color=True, highlight=False)
    print_runs([make_traced_run(summary, **options)], console, layers)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_the_title_says_what_was_traced_and_how() -> None:
    first, second, *_ = table().splitlines()
    assert first == "ResNet · 9 modules, 10 calls · train mode · 45,146 parameters"
    assert second == (
        "4 trials (a fresh model each) × batch 8 · float32, cpu, seed 0 · inputs x=Bx3x8x8"
    )


def test_a_run_of_which_nothing_was_drawn_has_no_seed() -> None:
    own = make_traced_run(replace(SUMMARY, inputs={}, trials_of="inputs"), trials=1, seed=None)
    console = Console(file=io.StringIO(), width=110, no_color=True, highlight=False)
    print_runs([own], console, ALL)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    told = "1 trial (a step of your own code) × batch 8 · float32, cpu, no seed"
    assert text.splitlines()[1] == told
    assert "seed 0" not in runs_to_markdown([own], ALL)


def test_the_digest_of_given_inputs_is_told() -> None:
    digest = f"sha256:1d36ac41{56 * '0'}"
    given = replace(SUMMARY, inputs={"x": "float32:Bx3 of x.npy"}, inputs_digest=digest)
    second = table(summary=given).splitlines()[1:3]
    told = "inputs x=float32:Bx3 of x.npy (sha256:1d36ac41…)"
    assert " ".join(" ".join(second).split()).endswith(told)


def test_inputs_eval_and_a_loss_are_told() -> None:
    other = replace(SUMMARY, trials_of="inputs", mode="eval", loss="models:loss", dropout="off")
    first, second, *_ = table(summary=other).splitlines()
    assert "eval mode, dropout off" in first
    assert "4 trials (new inputs each)" in second
    assert second.endswith("loss models:loss")


def test_rows_have_path_kind_and_axes() -> None:
    lines = table().splitlines()
    header = next(line for line in lines if line.startswith("layer"))
    assert header.split()[:9] == ["layer", "module", "trials", "kind", *"S·P·U"]
    (row,) = [line for line in lines if " layer1.relu#2 " in line]
    assert "ReLU" in row
    assert "S · 64 · 16" in row
    (row,) = [line for line in lines if " fc " in line]
    assert "S · 1 · 10" in row
    (row,) = [line for line in lines if " attention[1] " in line]
    assert "S ·" not in row


@pytest.mark.parametrize("width", [40, 80, 110])
def test_the_trials_of_a_call_are_told_where_some_lack_it(width) -> None:
    lines = table(width).splitlines()
    header = next(line for line in lines if line.startswith("layer"))
    assert header.split()[:3] == ["layer", "module", "trials"]
    end = header.index("trials") + len("trials")
    told = {line[:end].split()[0]: line[:end].split()[-1] for line in lines if line[:5].isspace()
            or line[:5].strip().isdigit()}  # fmt: skip
    assert (told["4"], told["5"], told["9"]) == ("4", "3", "4")
    # Of rows that all trials have, no more is told than the line above the table does.
    assert "module  trials" not in table(width, parse_layers("4,fc"))
    everywhere = replace(SUMMARY, rows=tuple(replace(row, trials=4) for row in ROWS))
    assert "module  trials" not in table(width, summary=everywhere)


def test_markdown_has_the_trials_of_calls() -> None:
    text = runs_to_markdown([make_traced_run()], ALL)
    header = next(line for line in text.splitlines() if line.startswith("| layer"))
    assert [cell.strip() for cell in header.split("|")[1:4]] == ["layer", "module", "trials"]


def test_what_says_which_call_a_row_is_and_has_no_room_is_named() -> None:
    assert "S · P · U" in " ".join(table(60).split()).partition("Not shown: ")[2]
    assert "S · P · U" not in table(110).partition("Not shown: ")[2]


def test_merged_axes_count_as_positions() -> None:
    windows = replace(IMAGES, sample=(0,), position=(0, 1), unit=(2,))
    row = call("window", "Attention", shape=("4S", 49, 96), axes=windows)
    assert row.sizes == (4, 49, 96)
    assert "S · 196 · 96" in table(summary=replace(SUMMARY, rows=(row,)))


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160])
def test_the_table_fits_and_shows_the_second_moment(width: int) -> None:
    lines = table(width).splitlines()
    assert any("second moment" in line for line in lines)
    if width >= 80:
        assert max(map(len, lines)) <= width


def test_closing_lines_say_what_has_no_row() -> None:
    text = " ".join(table().split())
    assert "Theory ends at pool (AdaptiveAvgPool2d has no theory)." in text
    assert "Not called: out_proj. Skipped: fft[0] (complex64)." in text
    assert "1 row returns a tensor of another row and is not repeated." in text
    nothing = replace(SUMMARY, not_called=(), skipped=(), theory_ends=())
    assert "Not called: none. Skipped: none." in table(summary=nothing)


def test_missing_gradients_have_a_reason() -> None:
    rows = tuple(
        replace(row, gradient_missing="no path to the read-out") if row.path == "pool" else row
        for row in ROWS
    )
    text = " ".join(table(summary=replace(SUMMARY, rows=rows)).split())
    assert "No gradient (no path to the read-out): pool." in text


def test_the_producer_is_told_above_the_table() -> None:
    text = " ".join(table(nonfinite=5).split())
    assert "Not finite from layer 5 on" in text
    assert (
        "The first value that is not finite came out of layer1.relu#2 (ReLU) from finite inputs, in"
        " trial 0." in text
    )


def test_control_characters_are_escaped() -> None:
    bad = replace(SUMMARY, target="a\x1b[31m", rows=(call("b\x1b[31m", "C\x07"),), notes=("d\x1b",))
    assert "\x1b" not in table(summary=bad)
    assert "\x07" not in table(summary=bad)


def test_rows_that_repeat_a_tensor_are_shown_if_asked_for() -> None:
    assert parse_layers("all").of(SUMMARY) == list(range(10))
    assert parse_layers("10").of(SUMMARY) == [10]
    assert parse_layers("ResNet").of(SUMMARY) == [10]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("layer1", [3, 4, 5, 6]),
        ("layer1.relu", [4, 5]),
        ("layer1.relu#2", [5]),
        ("*.relu", [4, 5]),
        ("*relu*", [2, 4, 5]),
        ("attention", [8]),
        ("0,fc,last", [0, 9, 10]),
    ],
)
def test_globs_choose_paths(text: str, rows: list[int]) -> None:
    assert parse_layers(text).of(SUMMARY) == rows


def test_functions_are_shown_and_counted_beside_modules() -> None:
    """The last row is of a function, and the whole module still names the run."""
    last = call("ResNet:add", "add", shape=("S", 10), axes=VECTORS, same_as=10)
    rows = (*ROWS[:5], call("layer1:add_", "add_"), *ROWS[5:], last)
    summary = replace(SUMMARY, rows=rows)
    text = table(summary=summary)
    assert text.startswith("ResNet · 9 modules, 10 calls, 2 calls of functions · train mode")
    for chosen, found in (
        ("layer1:add_", [6]), ("*:*", [6, 12]), ("layer1", [3, 4, 5, 6, 7]), ("ResNet", [11, 12]),
    ):  # fmt: skip
        assert parse_layers(chosen).of(summary) == found
    assert [row.activates for row in (call("a:relu_", "relu_"), last, call("a", "Relu_"))] == [
        *(True, False, False),
    ]


def test_an_unknown_path_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidValueError, match=r"did you mean 'layer1\.conv'"):
        parse_layers("layer1.cnov").of(SUMMARY)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("LAYER1.Relu", "layer1.relu"),
        ("Layer1", "layer1"),
        ("*.RELU", "*.relu"),
        ("LAYER1.CNOV", "layer1.conv"),
        ("resnet", "ResNet"),
    ],
)
def test_a_path_in_another_case_is_refused_with_its_own(text: str, meant: str) -> None:
    with pytest.raises(InvalidValueError, match=re.escape(f"did you mean {meant!r}?")):
        parse_layers(text).of(SUMMARY)


def test_few_calls_are_all_shown_and_many_are_not() -> None:
    assert usual(SUMMARY) is ALL
    assert usual(replace(SUMMARY, rows=ROWS[:1] * 500)) is LOG


def test_csv_says_which_call_a_row_is() -> None:
    rows = list(csv.DictReader(io.StringIO("".join(runs_to_csv([make_traced_run()])))))
    assert len(rows) == 11
    row = rows[5]
    assert (row["path"], row["call"], row["output"], row["trials"]) == ("layer1.relu", "2", "", "3")
    assert row["position_cosine"] != ""
    assert rows[9]["position_cosine"] == ""  # vectors have no positions
    assert rows[0]["path"] == ""
    assert row["network"] == "models:resnet"
    assert row["mode"] == "train"


def test_markdown_and_html_have_the_closing_lines() -> None:
    run = make_traced_run()
    for text in (runs_to_markdown([run], ALL), run_to_html(run)):
        assert "Theory ends at pool" in text.replace("\\", "")
        assert "layer1.relu" in text.replace("\\", "")
        assert "position cosine" in text


def test_a_picture_connects_activations_and_blocks() -> None:
    from snstat.report.figures.panel import curve, inner

    run = make_traced_run()
    assert curve(run, 11).tolist() == [0, 2, 4, 5, 6]
    assert inner(run, 11).tolist() == [1, 3, 7, 8, 9]
    axes = plot.trajectory(run)
    assert [entry.get_ylabel().split("\n")[0] for entry in axes] == [
        "second moment", "cosine of", "cosine of", "squared gradient",
    ]  # fmt: skip
    without = plot.trajectory(make_traced_run(backward=False))
    assert len(without) == 3


@pytest.mark.parametrize("finite", [False, True])
def test_bars_leave_out_what_was_not_measured_but_not_what_is_not_finite(finite: bool) -> None:
    """Tokens at the input have no statistics."""
    run = make_traced_run(SUMMARY)
    second = run.statistics["second_moment"]
    missing = replace(second, estimate=np.array([np.nan, *second.estimate[1:]]))
    run = replace(
        run,
        statistics={**run.statistics, "second_moment": missing},
        finite=np.array([finite, *run.finite[1:]]),
    )
    console = Console(file=io.StringIO(), width=110, no_color=True, highlight=False)
    print_runs([run], console, ALL)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    (bars,) = [line for line in lines if set("▁▂▃▄▅▆▇█") & set(line)]
    assert ("!" in bars) == (not finite)


def test_a_picture_has_no_panel_of_what_only_the_input_has() -> None:
    run = make_traced_run()
    own = run.statistics["position_cosine"]
    estimate = np.where(np.arange(len(own.estimate)), np.nan, 0.5)
    statistics = {**run.statistics, "position_cosine": replace(own, estimate=estimate)}
    found = [plot.trajectory(replace(run, statistics=own)) for own in (run.statistics, statistics)]
    assert [len(axes) for axes in found] == [4, 3]


def test_the_legend_of_a_picture_has_no_theory_if_none_is_drawn() -> None:
    assert "simulation ± 1 s.e." in words_of(draw_trajectory([make_traced_run()]))
    assert "theory" not in words_of(draw_trajectory([make_traced_run()]))


def test_a_run_shows_itself_with_its_verdict() -> None:
    run = make_traced_run()
    assert "Verdict: stable" in repr(run)
    assert "layer1.relu#2" in repr(run)
