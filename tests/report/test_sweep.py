"""The table of a sweep: means over seeds, what is left out, and what a narrow terminal hides."""

from __future__ import annotations

import io
import math
import statistics

import pytest
from rich.console import Console

from snstat.report.numbers import Notation, quantity
from snstat.report.sweep import lines_of, print_sweep, sweep_to_markdown

OVER = ("width", "seed")


def row(width, seed, second, gradient=None, **more):
    """Return the last row of a cell: what was measured, beside a theory that is another number."""
    return {
        "width": width,
        "seed": seed,
        "verdict": "stable",
        "second_moment_estimate": second,
        "second_moment_stderr": 0.1,
        "second_moment_expected": 7.0,
        "second_moment_theory": 9.0,
        "gradient_estimate": gradient,
        "unused_estimate": 1.0,
        **more,
    }


def printed(rows, over=OVER, width=200, **more):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_sweep(rows, over, console, **more)
    return console.file.getvalue()


def cells(rows, over=OVER, **more):
    """Return the cells of the lines of the markdown table."""
    lines = sweep_to_markdown(rows, over, **more).split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_line_is_the_mean_over_seeds_without_those_that_failed():
    seconds, gradients = [1.0, 1.3, 1.9], [0.5, 2.0, 4.0]
    errors = [0.1, 0.4, 0.2]
    rows = [
        row(8, seed, second, gradient, second_moment_stderr=error, gradient_stderr=error)
        for seed, (second, gradient, error) in enumerate(
            zip(seconds, gradients, errors, strict=True)
        )
    ]
    failed = {"width": 8, "seed": 3, "error": "needs more memory"}
    _, _, line = cells([*rows, failed])
    error = math.sqrt(sum(one**2 for one in errors)) / 3
    mean = math.exp(statistics.mean(math.log(value) for value in gradients))
    assert line == [
        "8",
        "stable 3, failed 1",
        quantity(statistics.mean(seconds), error, Notation.SPACED),
        quantity(mean, mean * error, Notation.SPACED),
    ]
    # With one seed left, the error is that of its trials.
    assert cells([rows[0], failed])[2][2] == quantity(1.0, 0.1, Notation.SPACED)
    assert cells([failed])[2] == ["8", "failed"]


@pytest.mark.parametrize("missing", [None, "", math.nan])
def test_the_error_is_the_spread_where_a_cell_has_none(missing):
    """As one trial has none, and a mean over seeds still has one."""
    seconds = [1.0, 1.3, 1.9]
    rows = [row(8, seed, second, second) for seed, second in enumerate(seconds)]
    rows[1]["second_moment_stderr"] = missing
    error = statistics.stdev(seconds) / math.sqrt(3)
    logs = [math.log(second) for second in seconds]
    mean = math.exp(statistics.mean(logs))
    spread = mean * statistics.stdev(logs) / math.sqrt(3)
    assert cells(rows)[2][2:] == [
        quantity(statistics.mean(seconds), error, Notation.SPACED),
        quantity(mean, spread, Notation.SPACED),
    ]
    assert cells(rows[1:2])[2][2] == quantity(1.3, math.nan, Notation.SPACED)


def test_theory_is_no_measurement():
    """Numbers that overflow are missing in files, and infinite or NaN in memory."""
    for missing in (None, "", math.inf, math.nan):
        rows = [row(8, 0, 1.5), row(16, 0, missing, verdict="non-finite")]
        assert [line[2] for line in cells(rows)[2:]] == ["1.50 ± 0.10", "not finite"]
        alone = [row(8, 0, None), row(8, 1, None)]
        assert cells(alone, theory=True)[2] == ["8", "stable", "7"]
        assert cells([row(8, 0, None, second_moment_expected=missing)], theory=True)[2][2] == "9\\*"
        # Nothing was lost where nothing was measured.
        assert cells([row(8, 0, missing)])[2] == ["8", "stable"]


def test_theory_of_infinite_width_is_marked():
    rows = [row(8, 0, None), row(16, 0, None, second_moment_expected=None)]
    text = sweep_to_markdown(rows, ("width",), theory=True)
    assert [line[2] for line in cells(rows, theory=True)[2:]] == ["7", "9\\*"]
    assert text.endswith(". * infinite width.\n")
    assert "infinite width" not in sweep_to_markdown(rows[:1], ("width",), theory=True)


def test_rounding_is_no_cosine():
    for cosine, shown in ((-1.8e-18, "0"), (1e-9, "1e-09"), (1.0 - 1e-16, "1")):
        assert cells([row(8, 0, None, cosine_expected=cosine)], theory=True)[2][3] == shown


def test_a_narrow_terminal_says_what_it_hides():
    rows = [row(8, 0, 1.0, 2.0, cosine_estimate=0.5), row(16, 0, 1.0, 2.0, cosine_estimate=0.5)]
    wide, narrow = printed(rows), " ".join(printed(rows, width=34).split())
    assert "Not shown" not in wide
    assert "gradient is that of the first row." in wide
    assert "Not shown: cosine and gradient. Widen the terminal, or use -f markdown." in narrow
    assert "the last layer. Not shown" in narrow
    assert "gradient is that" not in printed([row(8, 0, 1.0)])


@pytest.mark.parametrize("theory", [False, True])
def test_only_what_is_shown_is_kept(theory):
    (line,) = lines_of([row(8, seed, 1.0) for seed in range(3)], OVER, theory=theory)
    assert line.options == ("8",)
    assert [[len(pair) for pair in cell] for cell in line.numbers] == [[2, 2, 2]] * 3
    assert not hasattr(line, "__dict__")


def test_a_parameter_may_be_called_like_a_column():
    rows = [{**row(8, 0, 1.0), "layers": 5, "set.layers": layers} for layers in (2, 3)]
    table = cells(rows, ("set.layers", "seed"))
    assert table[0][0] == "layers"
    assert [line[0] for line in table[2:]] == ["2", "3"]
