"""Slopes of ln RMS against ln width: their fit, the verdict, and the command."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

import snstat
from snstat.checks.bounds import Bounds
from snstat.checks.widths_flat import _trend_without_slope, fitted, judge_widths, widths_of
from snstat.errors import InvalidValueError
from tests.robustness.processes import call, one_complaint

SMALL = {"depth": 4, "batch": 16, "trials": 4}
WIDTHS = (32, 64, 128)


def runs_of(**options):
    return [snstat.propagate(**{**SMALL, "width": width, **options}) for width in WIDTHS]


@pytest.mark.parametrize("count", [3, 4])
def test_the_fit_is_that_of_numpy(count):
    random = np.random.default_rng(0)
    x = np.log([64.0, 128.0, 300.0, 1024.0])[:count]
    for scale in (0.1, 5.0):  # points within their errors, and beyond
        error = random.uniform(0.01, 0.1, count)
        y = 0.3 * x + scale * error * np.array([1.0, -1.0, 1.0, -1.0])[:count]
        slope, stderr = fitted(x, y, error)
        weights = 1.0 / error
        coefficients, covariance = np.polyfit(x, y, 1, w=weights, cov="unscaled")
        misfit = float(np.sum((weights * (y - np.polyval(coefficients, x))) ** 2))
        assert slope == pytest.approx(coefficients[0], rel=1e-9)
        freedom = count - 2
        assert (misfit > freedom) == (scale > 1.0)
        factor = max(misfit / freedom, 1.0)
        assert stderr == pytest.approx(math.sqrt(covariance[0, 0] * factor), rel=1e-9)


@pytest.mark.parametrize(
    ("depth", "others"), [(1, ""), (2, ", as 1 other layer does"), (3, ", as 2 other layers do")]
)
def test_other_layers_that_grow_are_counted(depth, others):
    runs = runs_of(activation="relu", weight_std=0.1, depth=depth)
    (finding,) = judge_widths(runs, Bounds(), "widths")[0].findings
    text = finding.message.partition(";")[0]
    assert text.startswith("RMS grows as width^")
    assert text.partition(",")[2] == others.removeprefix(",")


def test_weights_of_one_size_at_every_width_grow():
    """With Var(w) = s² and ReLU, q_l = (n s²/2)^l q_0: the slope of ln RMS is l/2."""
    runs = runs_of(activation="relu", weight_std=0.1)
    check, slopes = judge_widths(runs, Bounds(), "widths")
    assert (check.verdict, check.passed) == ("growing", False)
    (finding,) = check.findings
    assert (finding.code, finding.layer) == ("SN503", 1)
    assert ", as 3 other layers do; " in finding.message
    for slope in slopes:
        # Five standard errors, and what narrow networks differ by: depth/width at most.
        assert abs(slope.slope - slope.layer / 2) < 5 * slope.stderr + 4 / 32
    assert [slope.trend for slope in slopes[1:]] == ["growing"] * 4


def test_weights_that_fall_too_fast_shrink():
    runs = [
        snstat.propagate("relu", **SMALL, width=width, weight_gain=8.0 / math.sqrt(width))
        for width in WIDTHS
    ]
    check, slopes = judge_widths(runs, Bounds(), "widths")
    assert check.verdict == "shrinking"
    assert check.findings[0].value < 0
    assert slopes[4].trend == "shrinking"
    assert judge_widths(runs, Bounds(widths_slope_max=3.0), "widths")[0].passed


@pytest.mark.parametrize("activation", ["relu", "tanh", "selu"])
def test_networks_of_constant_gain_are_flat(activation):
    runs = runs_of(activation=activation, trials=256)
    check, slopes = judge_widths(runs, Bounds(), "widths")
    assert (check.verdict, check.passed) == ("flat", True)
    assert {slope.trend for slope in slopes} == {"flat"}


@pytest.mark.parametrize("std", [None, 0.1, 0.2])
@pytest.mark.parametrize("trials", [2, 3, 8, 64])
def test_a_trend_is_what_all_slopes_of_its_interval_have(std, trials):
    """Beside scipy's quantile: of five layers and a chance of 1/1000 in all, both sides."""
    runs = runs_of(activation="relu", weight_std=std, trials=trials)
    check, slopes = judge_widths(runs, Bounds(), "widths")
    allowed = stats.t.isf(0.001 / len(slopes) / 2, 3 * (trials - 1))
    seen = []
    for own in slopes:
        low, high = own.slope - allowed * own.stderr, own.slope + allowed * own.stderr
        seen.append(
            "growing" if low > 0.1
            else "shrinking" if high < -0.1
            else "flat" if -0.1 <= low <= high <= 0.1
            else "undecided"
        )  # fmt: skip
    assert [own.trend for own in slopes] == seen
    changing = [word for word in seen if word in ("growing", "shrinking")]
    assert check.passed == (not changing)
    if check.passed:
        assert check.verdict == ("undecided" if "undecided" in seen else "flat")
    told = f"slopes of {seen.count('undecided')} of 5 layers may be beyond 0.1"
    assert any(told in note for note in check.notes) == ("undecided" in seen)


def test_what_is_no_comparison_of_widths_is_refused():
    runs = runs_of(activation="relu")
    assert widths_of(runs).tolist() == [1.0, 2.0, 4.0]
    other = snstat.propagate("relu", **{**SMALL, "depth": 5}, width=32)
    once = snstat.propagate("relu", **{**SMALL, "trials": 1}, width=32)
    for wrong, complaint in (
        (runs[:1], "at least 2 with widths_flat"),
        ([runs[0], runs[0]], "number of widths is 1"),
        ([runs[0], other], "of the same layers"),
        ([runs[0], once], "trials is 1"),
        ([*runs, snstat.propagate("tanh", **SMALL, width=256)], "of the same layers"),
        # A gain at each width is a way to scale, but two of them at one width are not.
        ([*runs, snstat.propagate("relu", **SMALL, width=64, weight_gain=1.0)], "same in two runs"),
    ):
        with pytest.raises(InvalidValueError, match=complaint):
            widths_of(wrong)


def test_positions_are_no_units():
    layers = [{"kind": "conv", "channels": 8, "kernel": 3}]
    runs = [
        snstat.propagate(snstat.Network.read({"input": form, "layers": layers}), batch=4, trials=2)
        for form in ({"channels": 8, "grid": [5]}, {"channels": 8, "grid": [9]})
    ]
    with pytest.raises(InvalidValueError, match="number of widths is 1"):
        widths_of(runs)


@pytest.mark.parametrize(("trials", "told"), [(2, True), (200, False)])
def test_a_note_says_what_few_trials_cannot_tell(trials, told):
    runs = [
        snstat.propagate("relu", 2, batch=16, trials=trials, width=width) for width in (32, 128)
    ]
    check, _ = judge_widths(runs, Bounds(), "widths")
    assert (check.verdict, check.passed) == ("undecided" if told else "flat", True)
    widths, *others = check.notes
    assert widths == "widths compared: 32, 128"
    assert [f"{trials} trials detect only large" in note for note in others] == [True] * told


@pytest.mark.parametrize(
    ("std", "trend", "words"),
    [(1e38, "non-finite", "not finite"), (1e-45, "vanishing", "0")],
)
def test_a_signal_without_size_fails(std, trend, words):
    """A standard deviation of 1e-45 is 0 in float32 weights, and 1e38 overflows in a layer."""
    runs = runs_of(activation="relu", weight_std=std)
    check, slopes = judge_widths(runs, Bounds(), "widths")
    assert (check.verdict, check.passed) == (trend, False)
    (finding,) = check.findings
    assert (finding.code, finding.value, finding.bound) == ("SN503", None, None)
    assert f"the signal is {words} at width 32, 64, 128; check that width alone" in finding.message
    lost = slopes[finding.layer]
    assert (lost.slope, lost.trend, lost.trend_words) == (None, trend, words)
    assert all(slope.slope is not None for slope in slopes[: finding.layer])


@pytest.mark.parametrize(("second", "error", "finite", "trend"), [
    (1.0, 0.1, True, None), (1.0, 0.1, False, "non-finite"), (math.inf, 0.1, True, "non-finite"),
    # The square of a deviation may overflow before the value does.
    (1e300, math.inf, True, "non-finite"), (1e300, math.nan, True, "non-finite"),
    (0.0, 0.0, True, "vanishing"), (0.0, math.nan, True, "vanishing"),
    (math.nan, math.nan, True, None),  # tokens
])  # fmt: skip
def test_what_has_no_logarithm(second, error, finite, trend):
    moment = SimpleNamespace(estimate=np.array([1.0, second]), stderr=np.array([0.1, error]))
    run = SimpleNamespace(statistics={"second_moment": moment}, finite=np.array([True, finite]))
    assert _trend_without_slope(run, 0) is None
    assert _trend_without_slope(run, 1) == trend


def test_one_width_that_overflows_fails_before_others_that_grow():
    """Weights of one size: layers grow with the width, until float32 ends at the widest."""
    runs = runs_of(activation="relu", weight_std=5e8)
    assert [run.finite.all() for run in runs] == [True, True, False]
    check, slopes = judge_widths(runs, Bounds(), "widths")
    assert slopes[1].trend == "growing"
    assert (check.verdict, check.findings[0].layer) == ("non-finite", 4)
    assert "not finite at width 128;" in check.findings[0].message


def test_tokens_have_no_size_and_do_not_fail():
    layers = [
        {"kind": "embedding", "width": 8},
        {"kind": "dense", "width": "=width", "activation": "relu"},
    ]
    form = {"input": {"tokens": 16, "grid": [4]}, "parameters": {"width": 8}, "layers": layers}
    runs = [
        snstat.propagate(snstat.Network.read(form, set={"width": width}), batch=8, trials=200)
        for width in (8, 64)
    ]
    check, slopes = judge_widths(runs, Bounds(), "widths")
    assert check.passed
    assert (slopes[0].trend, slopes[0].trend_words, slopes[2].trend) == (None, "", "flat")


def test_the_command(capsysbinary):
    base = ("check", "-a", "relu", "-d", "3", "-b", "16", "-w", "32,64,128", "--widths-flat")
    code, out, _ = call(capsysbinary, *base)
    assert code == 0
    assert b"passed widths: undecided\n" in out
    assert b"ln RMS / ln width" in out
    assert b"undecided\n" in out.partition(b"trend")[2]
    code, out, _ = call(capsysbinary, *base, "-t", "100")
    assert code == 0
    assert b"passed widths: flat\n" in out
    assert b"undecided" not in out
    code, out, _ = call(capsysbinary, *base, "--weight-std", "0.1")
    assert code == 1
    assert b"SN503 width-dependent, layer 1: RMS grows as width^0." in out
    code, out, _ = call(capsysbinary, *base, "--weight-std", "0.1", "-f", "json")
    (check,) = json.loads(out)["checks"]
    assert (check["verdict"], check["findings"][0]["code"]) == ("growing", "SN503")
    for more, complaint in (
        (("--select", "SN101"), "--widths-flat is the rule SN503 alone"),
        (("--ignore", "SN101"), "--ignore cannot be used beside --widths-flat"),
    ):
        code, _, err = call(capsysbinary, *base, *more)
        assert code == 2
        assert complaint in one_complaint(err)
    code, _, err = call(capsysbinary, "check", "-d", "3", "-w", "32", "--widths-flat")
    assert code == 2
    assert "number of runs is 1" in one_complaint(err)


def test_a_network_file(capsysbinary, tmp_path):
    path = tmp_path / "net.toml"
    path.write_text("""
input = { channels = 24 }
parameters = { width = 32 }
[[layers]]
kind = "dense"
width = "=width"
activation = "relu"
[[layers]]
kind = "layer_norm"
[[layers]]
kind = "dense"
width = 10
weight_std = 0.1
""")
    words = ("check", str(path), "--set", "width=32,64,128", "--widths-flat", "-b", "16")
    code, out, _ = call(capsysbinary, *words, "-f", "json")
    (check,) = json.loads(out)["checks"]
    # The read-out sums over the width with weights of one size: RMS grows as its root.
    assert (code, check["findings"][0]["layer"]) == (1, 3)
    assert abs(check["findings"][0]["value"] - 0.5) < 0.1
