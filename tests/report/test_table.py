"""The table: nothing wraps or is truncated at 80 and 120 columns, and every alarm is marked."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

import snstat
from snstat.checks.request import Request
from snstat.errors import InvalidValueError, UnknownNameError
from snstat.report.columns import PARTS, columns_of, has_news
from snstat.report.glyphs import Glyphs
from snstat.report.grid import width_of
from snstat.report.html import run_to_html
from snstat.report.layouts import PRIORITIES, fitted, parse_columns
from snstat.report.numbers import Notation
from snstat.report.selection import parse_layers
from snstat.report.table import print_runs
from snstat.report.text import runs_to_csv, runs_to_markdown
from snstat.results import STATISTICS, Check, Outlook, Run, Statistic
from tests.report.builders import make_check, make_finding, make_run

EXPLODES = Outlook("explodes", rate=1.73, gradient_factor=1.9e15)
VANISHES = Outlook("vanishes", rate=0.5, gradient_factor=0.0012)

CASES = {
    "usual": [make_run()],
    "explodes": [
        make_run("relu", growth=1.73, drift=0.3, cosine=0.99, nonfinite_from=41, outlook=EXPLODES)
    ],
    "vanishes": [make_run("tanh", growth=0.5, completed=37, outlook=VANISHES)],
    "one trial": [make_run(trials=1)],
    "deep": [make_run(depth=100_000, width=64)],
    "huge": [make_run("leaky_relu", depth=900, growth=2.0, outlook=EXPLODES)],
    "drift": [make_run("softplus", growth=1.1, drift=0.4)],
    "negative": [make_run(growth=0.2, depth=200, outlook=VANISHES)],
}
CASES["several"] = [runs[0] for name, runs in CASES.items() if name != "deep"]


def show(
    runs: list[Run],
    width: int = 80,
    layers: str = "log",
    encoding: str = "utf-8",
    columns: Sequence[str] = (),
    checks: Sequence[Check] = (),
) -> str:
    """Return the output on a plain console of `width` columns."""
    buffer = io.BytesIO()
    with io.TextIOWrapper(buffer, encoding=encoding, write_through=True) as stream:
        print_runs(runs, Console(file=stream, width=width), parse_layers(layers), columns, checks)
        return buffer.getvalue().decode(encoding)


def table_of(text: str) -> list[str]:
    """Return the lines of the first table, its header first."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if re.match(r" *layer +[a-z]", line))
    return lines[start : lines.index("", start)]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("case", CASES)
def test_nothing_wraps_or_is_truncated(case: str, width: int) -> None:
    text = show(CASES[case], width)
    assert max(cell_len(line.rstrip()) for line in text.splitlines()) <= width
    assert "…" not in text
    rows = parse_layers("log").rows(CASES[case][0].stack.depth)
    held = [row for row in rows if row < len(CASES[case][0].finite)]
    shown = [int(line.split()[0]) for line in table_of(text)[1:]]
    assert shown == sorted({*held, len(CASES[case][0].finite) - 1})
    for column in ("mean", "theory", "variance", "cosine"):
        assert column in table_of(text)[0], text


@pytest.mark.parametrize("width", [20, 40, 60])
def test_a_narrow_console_drops_columns_before_it_wraps(width: int) -> None:
    table = table_of(show(CASES["usual"], width))
    assert max(map(cell_len, table)) <= width
    assert "variance" in table[0]


def test_a_wider_console_shows_more() -> None:
    narrow, wide = (table_of(show(CASES["usual"], width))[0] for width in (80, 120))
    assert (narrow.count("theory"), wide.count("theory")) == (2, 3)
    header = table_of(show(CASES["drift"], 160))[0]
    assert "second moment" in header


def test_numbers_are_rounded_to_their_error() -> None:
    run = with_variance(make_run(), layer=64, estimate=1.00234, stderr=0.0041, theory=1.0)
    # z = 0.00234 / 0.0041 = 0.57
    assert "1.0023±0.0041 1.0000 +0.6" in table_of(show([run]))[-1]


def test_missing_values_are_empty() -> None:
    nan = float("nan")
    run = with_variance(make_run(), layer=64, estimate=1.5, stderr=nan, theory=nan)
    line = table_of(show([run]))[-1]
    assert "1.5000" in line
    # mean ± stderr, theory, z; only the estimate of the variance; cosine: a layer number and five
    # numbers.
    assert len(line.split()) == 6, line


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_title_breaks_between_its_parts(encoding: str) -> None:
    run = make_run()
    small = replace(run, simulation=replace(run.simulation, input_std=1e-6, sampler="matrix-free"))
    lines = show([small], encoding=encoding).splitlines()
    dot = "·" if encoding == "utf-8" else "-"
    assert lines[0] == f"SELU {dot} 64 layers of 1,024 {dot} lecun_normal (gain 1)"
    assert lines[1].endswith(f" {dot} float32, matrix-free, seed 0 {dot}")
    assert lines[2] == "inputs normal (mean 0, std 1e-06)"
    narrow = show([small], 27, encoding=encoding).splitlines()
    assert narrow[:2] == [f"SELU {dot} 64 layers of 1,024 {dot}", "lecun_normal (gain 1)"]
    assert max(map(len, narrow)) <= 27


def test_large_scores_are_marked_without_colour() -> None:
    far = with_variance(make_run(), layer=64, estimate=1.1, stderr=0.01, theory=1.0)
    run = foretold(far, neglected=0.01)
    text = show([run])
    assert "+10.0!" in table_of(text)[-1]
    assert "! farther from theory than chance explains (p < 0.001)." in text
    assert "?" not in text
    assert "!" not in show(CASES["usual"])
    colourful = io.StringIO()
    console = Console(file=colourful, width=80, force_terminal=True, color_system="standard")
    print_runs([run], console)
    assert "\x1b[1;31m" in colourful.getvalue()


@pytest.mark.parametrize("neglected", [0.06, None])
def test_large_scores_that_theory_may_explain_have_their_own_mark(
    neglected: float | None,
) -> None:
    # 0.1 away: 4 standard errors beyond 0.06, which happens once in two hundred times with 8
    # trials.
    run = with_variance(make_run(), layer=64, estimate=1.1, stderr=0.01, theory=1.0)
    if neglected is not None:
        run = foretold(run, neglected)
    text = show([run])
    assert "+10.0?" in table_of(text)[-1]
    assert "? as far from theory, but" in text
    assert "!" not in text
    assert "<strong>+" not in run_to_html(run)


def test_the_first_layer_that_is_not_finite_is_named() -> None:
    text = show(CASES["explodes"])
    assert table_of(text)[-1].count("not finite") == 3
    assert "! Not finite from layer 41 on (24 of 65 layers)." in text
    run = make_run()
    finite = run.finite.copy()
    finite[[7, 9]] = False
    assert "Not finite: 2 of 65 layers, the first is layer 7." in show(
        [replace(run, finite=finite)]
    )


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        (make_run(), "Converges to mean 0.000, variance 1.000 (rate 0.783 per layer)."),
        (make_run(), "Squared gradients grow ×83 over 64 layers (theory)."),
        (
            CASES["vanishes"][0],
            "The signal vanishes in the limit of depth, ×0.5 per layer (theory).",
        ),
        (CASES["vanishes"][0], "Squared gradients shrink ×0.0012 over 64 layers (theory)."),
        (
            CASES["explodes"][0],
            "The signal explodes in the limit of depth, ×1.73 per layer (theory).",
        ),
        (
            make_run(outlook=Outlook("explodes", rate=float("inf"))),
            "The signal explodes in the limit of depth (theory).",
        ),
        (
            make_run(outlook=Outlook("vanishes", rate=0.0)),
            "The signal vanishes in the limit of depth (theory).",
        ),
        (make_run(outlook=Outlook("silent")), "Silent: the inputs and biases are zero."),
        (make_run(outlook=Outlook("neutral", gradient_factor=1.0)), "Neutral: "),
        (make_run(outlook=Outlook("neutral", gradient_factor=1.0)), "gradients keep their size"),
        (make_run(outlook=Outlook("drifts", gradient_factor=float("inf"))), "Drifts: "),
        (make_run(outlook=Outlook("drifts", gradient_factor=float("inf"))), "overflow over 64"),
        (make_run(outlook=Outlook("vanishes", gradient_factor=0.0)), "gradients vanish over 64"),
        (CASES["vanishes"][0], "! Interrupted: layers 0–37 of 64, which every trial completed."),
    ],
)
def test_sentences_above_the_table(run: Run, sentence: str) -> None:
    text = show([run], width=120)
    assert sentence in text
    if "layer  " in text:
        assert text.index(sentence) < text.index("\nlayer  ")


def growing(rate: float, depth: int = 64) -> Run:
    """Return a run whose signal changes by `rate` per layer, with the outlook that says so."""
    kind = "explodes" if rate > 1 else "vanishes"
    return make_run(depth=depth, growth=rate, outlook=Outlook(kind, rate=rate))


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        (growing(1.0001), "Nearly neutral: ×1.0001 per layer, ×1.006 over 64 layers (theory)."),
        (growing(0.99999), "Nearly neutral: ×0.99999 per layer, ×0.9994 over 64 layers (theory)."),
        (growing(1.0001, 1000), "The signal explodes in the limit of depth, ×1.0001 per layer"),
        (growing(0.9986), "Nearly neutral: ×0.999 per layer, ×0.9142 over 64 layers (theory)."),
        (growing(0.9984), "The signal vanishes in the limit of depth, ×0.998 per layer"),
        # The signal vanished in the layers before the limit.
        (
            replace(growing(0.9), outlook=Outlook("vanishes", rate=0.9999)),
            "The signal vanishes in the limit of depth, ×0.9999 per",
        ),
        (
            replace(growing(1e3), outlook=Outlook("explodes", rate=1e300)),
            "explodes in the limit of depth, ×1.0e+300 per",
        ),
        (
            make_run(outlook=Outlook("converges", 0.0, 1.0, 0.99996)),
            "Converges to mean 0.000, variance 1.000 (rate 0.99996 per layer).",
        ),
    ],
)
def test_factors_near_1_keep_enough_digits(run: Run, sentence: str) -> None:
    assert sentence in show([run], width=120)


def test_no_gradient_is_reported_without_theory() -> None:
    assert "gradients" not in show([make_run(outlook=Outlook("silent"))])


def test_the_verdict_and_all_findings_come_first() -> None:
    finding = make_finding()
    check = make_check(finding)
    run = make_run(depth=512)
    for width in (80, 120):
        lines = show([run], width, checks=[check]).splitlines()
        assert lines[2] == "! Verdict: gradient-exploding"
        assert lines[3].startswith("  SN202 gradient-exploding, layer 313: squared gradients grow")
        assert max(map(cell_len, lines)) <= width
    assert "Verdict: self-normalizing" in show([run], checks=[make_check()]).splitlines()
    assert "- Verdict: gradient-exploding" in runs_to_markdown([run], checks=[check])
    assert "<li>Verdict: gradient-exploding</li>" in run_to_html(run, check)


def test_the_theory_column_shows_the_theory_behind_z() -> None:
    run = with_variance(make_run(), layer=64, estimate=0.819, stderr=0.039, theory=1.0)
    old = run.statistics["variance"]
    expected = np.full_like(old.theory, np.nan)
    expected[8:] = 0.901
    run = replace(run, statistics={**run.statistics, "variance": replace(old, expected=expected)})
    text = show([run], 120)
    assert "theory: first order at width 1,024; * infinite width" in text
    # (0.819 - 0.901) / 0.039 = -2.1
    assert re.search(r"0\.819 ± 0\.039 +0\.901 +-2\.1", table_of(text)[-1])
    for line in table_of(text)[1:]:
        layer = int(line.split()[0])
        cells = line.split(" ± ")[2].split()
        assert cells[1].endswith("*") == (layer < 8), line
    assert "theory: infinite width\n" in show([make_run()])
    # Only marks that occur in the columns are explained.
    assert "theory: first order at width 1,024\n" in show(
        [run], layers="8,64", columns=("variance",)
    )
    assert "theory:" not in show([run], 20)
    funnel = replace(run, subject=replace(run.stack, widths="8,4*64"))
    assert "theory: first order at these widths;" in show([funnel], 120)


def test_the_flag_of_a_hidden_column_is_reported() -> None:
    far = make_run()
    old = far.statistics["cosine"]
    estimate = old.estimate.copy()
    estimate[64] = 0.1
    known = replace(old, estimate=estimate, expected=old.theory, neglected=np.zeros(65))
    run = replace(far, statistics={**far.statistics, "cosine": known})
    z = f"{run.statistics['cosine'].z[64]:+.0f}"
    wide = show([run], 160)
    assert re.search(rf"{re.escape(z)}(\.\d)?!", table_of(wide)[-1])
    narrow = show([run], 80)
    assert table_of(narrow)[-1].endswith("!")
    assert "! farther from theory" in narrow
    narrowest = " ".join(show([run], 40).split())
    assert f"! cosine is {z}" in narrowest
    assert "standard errors from theory at layer 64; --columns cosine shows it." in narrowest


def test_requested_columns_are_all_shown_in_several_tables_if_necessary() -> None:
    run = make_run()
    names = parse_columns("all")
    for width in (60, 80, 120, 400):
        text = show([run], width, columns=names)
        assert max(map(cell_len, text.splitlines())) <= width
        headers = [line for line in text.splitlines() if re.match(r" *layer +[a-z]", line)]
        found = " ".join(headers)
        # The dead fraction does not vary, so it has no z.
        assert found.count(" z") + 1 == found.count("theory") == len(STATISTICS)
        for name in STATISTICS:
            assert name.replace("_", " ") in found
        assert (len(headers) == 1) == (width == 400)
        assert "Not shown" not in text
    assert "kurtosis ± stderr" in runs_to_markdown([run], columns=("kurtosis",))
    with pytest.raises(InvalidValueError, match="add backward"):
        show([run], columns=("gradient",))
    with pytest.raises(UnknownNameError, match="did you mean 'cosine'"):
        parse_columns("cosin")


@pytest.mark.parametrize(
    ("width", "names"),
    [
        (40, "cosine; theory and z of mean; z of variance"),
        (20, "mean and cosine; theory and z of variance"),
        (80, "theory and z of cosine"),
        (160, None),
    ],
)
def test_a_narrow_console_states_what_it_leaves_out(width: int, names: str | None) -> None:
    text = show(CASES["usual"], width)
    assert not re.search(" $", text, re.MULTILINE)
    words = " ".join(text.split())
    if names is None:
        assert "Not shown" not in words
    else:
        assert f"Not shown: {names}. Widen the terminal, or use --columns." in words


def backward(scale: float = 1.0) -> Run:
    """Return a run with gradients that grow by 1.07 per layer backward.

    Activations are multiplied by `scale`, and gradients divided by it.
    """
    run = make_run()
    growth = 1.07 ** np.arange(64, -1, -1.0)
    gradient = Statistic(
        growth * 1.08 / scale, np.full(65, 0.022), growth / scale, logarithmic=True
    )
    scales = {"mean": scale, "variance": scale**2, "second_moment": scale**2}
    changed = {
        name: replace(value, **{
            part: value[part] * scales.get(name, 1.0) for part in ("estimate", "stderr", "theory")
        })
        for name, value in run.statistics.items()
    }  # fmt: skip
    return replace(run, statistics=changed | {"gradient": gradient})


@pytest.mark.parametrize("width", range(70, 111))
def test_notation_is_shortened_before_the_cosine_is_left_out(width: int) -> None:
    text = show([backward()], width)
    header = table_of(text)[0].split()
    assert max(map(len, text.splitlines())) <= width
    if width >= 76:
        assert "cosine" in header
    assert header.count("theory") >= 2
    # The wide notation is used only if the console is wide enough for every column in it.
    if "(" not in table_of(text)[-1]:
        assert header.count("theory") >= 3
        assert header.count("z") >= 2


@pytest.mark.parametrize("run", [backward(), CASES["drift"][0]], ids=["backward", "forward"])
def test_no_column_is_left_out_that_would_fit(run: Run) -> None:
    rows, glyphs, notations = [0, 1, 8, 64], Glyphs(), set()
    for width in range(20, 200):
        layout, columns = fitted(run, rows, glyphs, width)
        notations.add(layout.notation)
        assert width_of(columns) <= width
        # z stands beside theory, which stands beside its estimate.
        assert all(PARTS.startswith(own) for own in layout.parts.values())
        for name, part in PRIORITIES:
            own = layout.parts.get(name, "")
            if has_news(run, name) and PARTS.startswith(own + part):
                more = {**layout.parts, name: own + part}
                wider = columns_of(run, rows, replace(layout, parts=more))
                assert len(wider) == len(columns) or width_of(wider) > width, (width, more)
    assert notations == set(Notation)


def test_tiny_numbers_keep_z_and_state_what_is_left_out() -> None:
    run = backward(1e-6)
    for width, scores, missing in (
        (80, 2, "cosine; theory and z of gradient"),
        (75, 1, "cosine; theory and z of gradient; z of mean"),
    ):
        text = show([run], width)
        assert table_of(text)[0].split().count("z") == scores
        assert f"Not shown: {missing}. Widen" in " ".join(text.split())


def test_missing_theory_is_not_listed_as_left_out() -> None:
    run = make_run(trials=1)
    unknown = {
        name: replace(value, theory=np.full_like(value.theory, np.nan))
        for name, value in run.statistics.items()
        if name != "cosine"
    }
    assert "theory" not in show([replace(run, statistics=unknown)], 20).split("Not shown")[-1]


def test_theory_of_the_mean_is_kept_before_the_cosine() -> None:
    """A vanished signal beside a theory of order 1 has the widest numbers of a table."""
    run = make_run("relu", depth=3000, growth=0.9)
    changed = dict(run.statistics)
    for name, value in (("mean", 0.5642), ("variance", 0.68169)):
        changed[name] = replace(changed[name], theory=np.full(3001, value))
    table = table_of(show([replace(run, statistics=changed)]))
    assert table[0].split()[:3] == ["layer", "mean", "theory"]
    assert "0.6817" in table[-1].split()


def test_bars_have_their_own_line_in_a_narrow_console() -> None:
    lines = show(CASES["usual"], 20).splitlines()
    bars = [line for line in lines if "▄" in line or "▅" in line]
    assert len(bars) == 1
    assert set(bars[0].strip()) <= set("▁▂▃▄▅▆▇█")
    assert len(bars[0].strip()) == 20


def test_an_interruption_before_any_layer() -> None:
    text = show([make_run(completed=-1)])
    assert "Interrupted before all trials had completed a layer." in text
    assert "layer  " not in text


def test_a_partial_run_shows_its_selected_layers_and_its_last() -> None:
    table = table_of(show(CASES["vanishes"], layers="0,8,64"))
    assert [line.split()[0] for line in table[1:]] == ["0", "8", "37"]


def test_several_runs_are_compared_at_the_end() -> None:
    text = show([make_run(), CASES["explodes"][0]])
    summary = text[text.index("Side by side") :].splitlines()
    assert summary[1].split()[0] == "activation"
    assert [line.split()[0] for line in summary[2:4]] == ["SELU", "ReLU"]
    assert "×1.9e+15" in summary[3]
    assert "Side by side" not in show([make_run()])


@pytest.mark.parametrize(
    ("stack", "simulation", "words"),
    [
        ({"input_width": 784}, {}, "64 layers of 1,024 · inputs of 784 · lecun_normal"),
        ({"bias_std": 0.1}, {}, "(gain 1, bias std 0.1)"),
        ({"depth": 1}, {"trials": 1}, "SELU · 1 layer of 1,024"),
        ({}, {"trials": 1}, "1 trial × batch 64"),
        ({}, {"input_std": 2.0}, "inputs normal (mean 0, std 2)"),
        ({}, {"inputs": "uniform"}, "inputs uniform (mean 0, std 1)"),
        ({}, {"inputs": "d.npy", "input_mean": None, "input_std": None}, "seed 0 · inputs d.npy"),
    ],
)
def test_the_title_states_unusual_settings(
    stack: dict[str, Any], simulation: dict[str, Any], words: str
) -> None:
    run = make_run(depth=1)
    run = replace(
        run,
        subject=replace(run.stack, **{"depth": 64, **stack}),
        simulation=replace(run.simulation, **simulation),
        partial=True,
    )
    assert words in show([run])
    assert "inputs" not in show(CASES["usual"])


def test_missing_statistics_and_theory_are_left_out() -> None:
    run = make_run()
    rest = {name: value for name, value in run.statistics.items() if name != "cosine"}
    bare = replace(run, statistics=rest, outlook=None)
    text = show([bare, bare])
    assert "cosine" not in table_of(text)[0]
    assert "theory)" not in text
    summary = text[text.index("Side by side") :].splitlines()
    assert summary[1].split() == ["run", "mean", "variance"]


def test_the_narrow_notation_is_explained_once() -> None:
    note = "1.0023(41) means 1.0023 ± 0.0041 (one standard error)."
    for runs in ([make_run()], [make_run()] * 2, CASES["several"]):
        seen = set()
        for width in (70, 75, 80, 82, 84, 86, 90, 120, 200):
            text = show(runs, width)
            # A digit on either side of a parenthesis occurs only in that notation.
            used = bool(re.search(r"\d\(\d", text.replace(note, "")))
            assert text.count(note) == used, text
            seen.add(used)
        assert seen == {True, False}


def test_bars_follow_the_variance() -> None:
    rising = next(line for line in show(CASES["explodes"]).splitlines() if "▁" in line)
    bars = rising.split()[1]
    heights = ["▁▂▃▄▅▆▇█".index(bar) for bar in bars if bar != "!"]
    assert heights == sorted(heights)
    assert (heights[0], heights[-1]) == (0, 7)
    # 24 of 65 layers overflowed; fewer bars keep that share.
    assert bars.count("!") / len(bars) == pytest.approx(24 / 65, abs=1 / len(bars))
    steady = make_run()
    flat = Statistic(np.ones(65), np.zeros(65), np.ones(65))
    text = show([replace(steady, statistics={**steady.statistics, "variance": flat})])
    line = next(line for line in text.splitlines() if line.startswith("variance "))
    assert len(set(line.split()[1])) == 1
    zeros = replace(
        steady, statistics={**steady.statistics, "variance": Statistic(*np.zeros((3, 65)))}
    )
    assert "▁▁▁" in show([zeros])


def test_a_console_without_unicode_gets_ascii() -> None:
    text = show([make_run(inputs="größe.npy"), CASES["vanishes"][0]], encoding="ascii")
    assert "+/-" in text
    assert "gr\\xf6\\xdfe.npy" in text
    assert max(map(len, text.splitlines())) <= 80


def test_control_characters_of_a_path_are_escaped() -> None:
    assert "a\\x1b[31m\\n.npy" in show([make_run(inputs="a\x1b[31m\n.npy")])


def foretold(run: Run, neglected: float) -> Run:
    """Return `run` with theory of the variance at this width, of which `neglected` bounds the
    error."""
    old = run.statistics["variance"]
    known = replace(old, expected=old.theory, neglected=np.full_like(old.theory, neglected))
    return replace(run, statistics={**run.statistics, "variance": known})


def with_variance(run: Run, *, layer: int, estimate: float, stderr: float, theory: float) -> Run:
    """Return `run` with a changed variance in one layer."""
    arrays = []
    old = run.statistics["variance"]
    for array, value in ((old.estimate, estimate), (old.stderr, stderr), (old.theory, theory)):
        changed = array.copy()
        changed[layer] = value
        arrays.append(changed)
    return replace(run, statistics={**run.statistics, "variance": Statistic(*arrays)})


def test_requested_gradients_come_first():
    run = make_run("selu", depth=8)
    logs = np.linspace(np.log(1.7), 0.0, 9)
    errors = np.full(9, 0.02)
    column = Statistic(np.exp(logs), errors, np.exp(1.01 * logs), logarithmic=True)
    backward = replace(run, statistics={**run.statistics, "gradient": column})
    text = show([backward])
    assert "gradient" in text
    # The standard error of the logarithm, 0.02, is 2 % of the estimate.
    assert "1.700" in text
    assert "0.034" in text or "(34)" in text
    np.testing.assert_allclose(column.error, column.estimate * 0.02)
    assert max(map(cell_len, text.splitlines())) <= 80
    for line in csv.DictReader(runs_to_csv([backward])):
        assert float(line["gradient_z"]) == pytest.approx(
            -0.01 * logs[int(line["layer"])] / 0.02, abs=1e-9
        )
    assert "gradient ± stderr" in runs_to_markdown([backward])


def test_zeros_are_the_lowest_bar_and_nothing_else_is() -> None:
    values = np.array([0.999, 0.0, 0.999, 1e-30])
    assert Glyphs(ascii_only=False).bars(values, 4) == "█▁█▂"
    assert Glyphs(ascii_only=False).bars(values[:3], 3)[1] == "▁"
    assert Glyphs(ascii_only=False).bars(values[[0, 2]], 2) != "▁▁"


def test_theory_of_any_column_that_is_left_out_is_named() -> None:
    run, named = snstat.propagate("relu", 16, width=64), 0
    for width in range(60, 200, 10):
        text = show([run], width)
        head, words = table_of(text)[0], " ".join(text.split())
        for name in ("second moment", "dead fraction"):
            if name in head:
                theory = "theory" in head.partition(name)[2]
                hidden = words.partition("Not shown: ")[2].partition(". Widen")[0]
                assert theory or name in hidden, width
                named += not theory
    assert named


@pytest.mark.parametrize("trials", [2, 4])
def test_a_verdict_on_few_trials_says_what_they_cannot_tell(trials: int) -> None:
    run = snstat.propagate("selu", 2, width=16, trials=trials)
    check = Request.build({}, saved=run).judge(run)
    told = "2 trials detect only large differences: use --trials 4 or more."
    assert (told in " ".join(show([run], checks=[check]).split())) == (trials == 2)
