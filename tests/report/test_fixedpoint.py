"""Fixed points in words, within 80 columns, and exactly in CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from snstat.files.fixedpoint_form import reports_to_json
from snstat.report.fixedpoint import print_fixed_points, print_theorems
from snstat.report.fixedpoint_text import (
    fixed_points_to_csv,
    fixed_points_to_markdown,
    theorems_to_csv,
    theorems_to_markdown,
)
from snstat.report.fixedpoint_words import (
    correlation_words,
    gradient_words,
    infinity_words,
    stability_words,
)
from snstat.report.selection import parse_layers
from snstat.results import CorrelationFixedPoint, FixedPointReport
from tests.report.builders import make_report, make_theorem

(POINT,) = make_report().fixed_points
TRAJECTORY = tuple((0.1 * 0.5**step, 1 + 0.5 * 0.78**step) for step in range(41))
UNIT = make_report(
    map="unit",
    parameters={"weight_sum": 0.0, "weight_square_sum": 1.0},
    theorem_domain="1",
    solved={"alpha": 1.6732632423543772, "lambda": 1.0507009873554805},
    trajectory=TRAJECTORY,
)
COMPLEX = replace(
    POINT,
    mean=-1.23456789e-8,
    variance=1.23456789e12,
    eigenvalues=((-0.12345678, 0.98765432), (-0.12345678, -0.98765432)),
    stable=False,
    spectral_radius=1.5,
    depth_scale=None,
)


def show(*reports: FixedPointReport, layers: str | None = None, width: int = 80) -> str:
    buffer = io.StringIO()
    selection = None if layers is None else parse_layers(layers)
    print_fixed_points(reports, Console(file=buffer, width=width), selection)
    return buffer.getvalue()


def test_the_report_explains_in_words() -> None:
    text = show(UNIT)
    for sentence in (
        "SELU · unit map · weight sum 0, weight square sum 1",
        "Inside the domain of theorem 1.",
        "Solved: alpha = 1.6732632423543772, lambda = 1.0507009873554805",
        "stable: perturbations shrink ×0.783 per layer",
        "squared gradients grow ×1.072 per layer backward: ×83 over 64 layers",
        "inputs decorrelate toward 0.000 within ~34 layers",
        "unstable: inputs move away from it",
        "0.787673",
        "0.0888348",
    ):
        assert sentence in text, text


def test_nothing_wraps_at_80_columns() -> None:
    text = show(UNIT, make_report(fixed_points=(POINT, COMPLEX)))
    buffer = io.StringIO()
    print_theorems([make_theorem(), make_theorem()], Console(file=buffer, width=80))
    text += buffer.getvalue()
    assert max(cell_len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "…" not in text
    assert "-0.123457 +0.987654i, -0.123457 -0.987654i" in text


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        (make_report(fixed_points=(), at_infinity="grows"), "No finite fixed point."),
        (make_report(at_infinity="grows"), "Large enough signals grow without bound."),
        (make_report(fixed_points=(), continuum=True), "Every second moment is a fixed point"),
        (make_report(fixed_points=(POINT, COMPLEX)), "2 fixed points."),
        (make_report(fixed_points=(POINT, COMPLEX)), "Fixed point 2: mean -1.23457e-08"),
        (
            make_report(fixed_points=(replace(POINT, variance=0.0, second_moment=0.0),)),
            "(the signal has vanished)",
        ),
    ],
)
def test_special_cases_of_fixed_points_are_stated(report: FixedPointReport, sentence: str) -> None:
    assert sentence in show(report)
    # Markdown contains the same sentences on the whole map.
    if not sentence.startswith(("Fixed", "(")):
        assert sentence in fixed_points_to_markdown([report])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"spectral_radius": 1.0, "stable": False},
            "neutral at first order: perturbations grow slower than exponentially",
        ),
        (
            {"spectral_radius": 1.0, "stable": True, "depth_scale": None},
            "neutral at first order: perturbations shrink slower than exponentially",
        ),
        ({"spectral_radius": 0.0, "depth_scale": 0.0}, "vanish within one layer"),
        ({"spectral_radius": 1.5, "stable": False}, "unstable: perturbations grow ×1.5 per layer"),
        ({"depth_scale": None}, "stable: perturbations shrink ×0.783 per layer"),
        ({"spectral_radius": 1.0001, "stable": False}, "perturbations grow ×1.0001 per layer"),
        ({"spectral_radius": 0.99999988}, "perturbations shrink ×0.9999999 per layer"),
        ({"depth_scale": 1.0}, "(depth scale ξ = 1 layer)"),
    ],
)
def test_stability(changes: dict[str, object], words: str) -> None:
    assert words in stability_words(replace(POINT, **changes))  # type: ignore[arg-type]


def test_a_continuum_is_neutral() -> None:
    point = replace(POINT, spectral_radius=1.0, stable=False)
    report = make_report(fixed_points=(point,), continuum=True)
    words = "neutral: perturbations neither shrink nor grow at first order"
    assert words in show(report)
    assert words in fixed_points_to_markdown([report])


@pytest.mark.parametrize(("off", "neutral"), [(4e-11, True), (-4e-11, True), (2e-9, False)])
def test_a_gain_of_ten_digits_is_critical(off: float, neutral: bool) -> None:
    """He's gain typed as 1.4142135624 is off by 4e-11 when squared."""
    point = replace(POINT, spectral_radius=1.0 + off, gradient_growth=1.0 + off, stable=off < 0)
    assert stability_words(point).startswith("neutral at first order") == neutral
    keeps = gradient_words(point, 64) == "squared gradients keep their size going backward"
    assert keeps == neutral


def test_infinite_slopes_are_shown_as_infinite() -> None:
    steep = replace(POINT, jacobian=((0.0, -math.inf), (0.0, 2.0)), spectral_norm=math.inf)
    lines = show(make_report(fixed_points=(steep,))).splitlines()
    (norm,) = [line for line in lines if "spectral norm" in line]
    assert norm.split() == ["spectral", "norm", "infinite"]
    (jacobian,) = [line for line in lines if "Jacobian" in line]
    assert jacobian.split() == ["Jacobian", "0", "-infinite"]


@pytest.mark.parametrize("width", [24, 30, 40, 60])
def test_a_narrow_console_stacks_wide_parts(width: int) -> None:
    lines = show(make_report(), width=width).splitlines()
    assert max(cell_len(line.rstrip()) for line in lines) <= width
    # Both rows of the Jacobian stay on one line each.
    pairs = [line.split()[-2:] for line in lines]
    assert ["0", "0.0888348"] in pairs
    assert ["0", "0.782648"] in pairs
    # The lines of a fixed point are indented, wrapped lines too.
    start = next(i for i, line in enumerate(lines) if "stable: perturbations" in line)
    assert all(line.startswith("  ") for line in lines[start:] if width < 60 and line)


@pytest.mark.parametrize(
    ("growth", "words"),
    [
        (1.0, "keep their size"),
        (0.0, "vanish within one layer"),
        (0.5, "shrink ×0.5 per layer backward: ×5.4e-20 over 64 layers"),
        (1.0004, "grow ×1.0004 per layer backward: ×1.03 over 64 layers"),
        (1.00000001, "grow ×1.00000001 per layer backward: ×1.000001 over 64 layers"),
        (1e30, "beyond the float range over 64 layers"),
    ],
)
def test_gradients(growth: float, words: str) -> None:
    (point, *_) = make_report().fixed_points
    assert words in gradient_words(replace(point, gradient_growth=growth), 64)


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (CorrelationFixedPoint(1.0, 0.9, True, 9.49), "stable: inputs become alike within ~9.5"),
        (CorrelationFixedPoint(0.8, 0.9, True, 9.49), "inputs correlate toward 0.800"),
        (CorrelationFixedPoint(1.0, 1.0, False, None), "neutral"),
        (CorrelationFixedPoint(1.0, 1.0, True, None), "become alike slower than exponentially"),
    ],
)
def test_correlations(point: CorrelationFixedPoint, words: str) -> None:
    assert words in correlation_words(point)


def test_unknown_behaviour_at_infinity_is_passed_on() -> None:
    assert infinity_words("keeps") == "Large signals keep their size."
    assert infinity_words("oscillates") == "Large signals: oscillates."


def test_a_long_trajectory_is_thinned_by_default() -> None:
    def layers(text: str) -> list[int]:
        lines = text[text.index("Trajectory") :].splitlines()[2:]
        return [int(line.split()[0]) for line in lines]

    assert layers(show(UNIT)) == [0, 1, 2, 4, 8, 16, 32, 40]
    assert layers(show(UNIT, layers="0,40")) == [0, 40]
    assert layers(show(replace(UNIT, trajectory=TRAJECTORY[:8]))) == list(range(8))


def test_csv_contains_every_number_exactly() -> None:
    rows = list(csv.DictReader(fixed_points_to_csv([UNIT, make_report(fixed_points=(COMPLEX,))])))
    assert [row["row"] for row in rows[:4]] == ["map", "fixed_point", "correlation", "correlation"]
    assert float(rows[0]["alpha"]) == 1.6732632423543772
    assert rows[0]["theorem_domain"] == "1"
    assert (rows[0]["weight_sum"], rows[0]["weight_gain"]) == ("0.0", "")
    assert float(rows[1]["depth_scale"]) == -1 / math.log(0.782648)
    assert (rows[1]["stable"], rows[3]["stable"]) == ("true", "false")
    assert rows[3]["depth_scale"] == ""
    path = [
        (float(row["mean"]), float(row["variance"])) for row in rows if row["row"] == "trajectory"
    ]
    assert tuple(path) == TRAJECTORY
    last = next(row for row in rows if row["map"] == "ensemble" and row["row"] == "fixed_point")
    assert float(last["mean"]) == COMPLEX.mean
    assert float(last["eigenvalue_2_imaginary"]) == COMPLEX.eigenvalues[1][1]
    assert float(last["jacobian_variance_variance"]) == COMPLEX.jacobian[1][1]


def test_markdown_has_a_table_for_each_kind() -> None:
    text = fixed_points_to_markdown([UNIT, make_report()])
    assert text.count("| mean | variance | second moment |") == 2
    assert text.count("| layer | mean | variance |") == 1
    assert r"stable: inputs decorrelate toward 0.000 within \~34 layers" in text


def test_theorems_state_whether_they_hold_and_their_extremes() -> None:
    buffer = io.StringIO()
    broken = make_theorem(holds=False)
    print_theorems([make_theorem(), broken], Console(file=buffer, width=80))
    text = buffer.getvalue()
    assert "theorem 1: holds at all 123,456 points examined" in text
    assert "theorem 1: FAILS within the 123,456 points examined" in text
    (line,) = {line for line in text.splitlines() if line.startswith("largest singular value")}
    assert line.split()[3:] == ["0.989753", "-0.1", "0.1", "1.5", "1.1"]
    assert "| largest singular value | 0.989753 | -0.1 |" in theorems_to_markdown([broken])
    rows = list(csv.DictReader(theorems_to_csv([broken])))
    assert [row["holds"] for row in rows] == ["false"] * 3
    assert float(rows[0]["value"]) == -0.03106521


@pytest.mark.parametrize("width", [24, 40, 60])
def test_theorems_fit_a_narrow_console(width: int) -> None:
    buffer = io.StringIO()
    print_theorems([make_theorem(), make_theorem(holds=False)], Console(file=buffer, width=width))
    lines = buffer.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= width
    assert not any(line.endswith(" ") for line in lines)
    text = " ".join(buffer.getvalue().split())
    assert (
        "largest singular value value 0.989753, mean -0.1, weight sum 0.1, variance 1.5,"
        " square sum 1.1" in text
    )
    assert "domain to mean 0.1, weight sum 0.1, variance 1.5, square sum 1.1" in text


def test_coordinates_of_extremes_hide_rounding_errors() -> None:
    bound = math.nextafter(0.9, 1)
    result = make_theorem(extremes={"largest_new_mean": (0.1, {"weight_square_sum": bound})})
    (row,) = csv.DictReader(theorems_to_csv([result]))
    assert row["weight_square_sum"] == "0.9"
    form = json.loads(reports_to_json([], [result]))["theorems"][0]
    assert form["extremes"]["largest_new_mean"]["where"] == {"weight_square_sum": 0.9}
