"""Verdicts on traced modules: which rows are judged, what findings say, and baselines."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from snstat import propagate
from snstat.checks.matching import matched
from snstat.checks.request import Request
from snstat.files.check_form import checks_to_json
from snstat.files.schema import schema
from snstat.results import GRADIENT, Check, Run
from tests.traces import ROWS, SUMMARY, call, make_traced_run


def judged(run: Run, **options: Any) -> Check:
    return Request.build(options, saved=run).judge(run)


def with_values(run: Run, name: str, **values: float) -> Run:
    """Return the run with other estimates of a statistic: layer_2=0.5."""
    column = run.statistics[name]
    estimate = column.estimate.copy()
    for key, value in values.items():
        estimate[int(key.removeprefix("layer_"))] = value
    changed = dict(run.statistics) | {name: replace(column, estimate=estimate)}
    return replace(run, statistics=MappingProxyType(changed))


def codes(check: Check) -> list[str]:
    return [finding.code for finding in check.findings]


def test_a_sound_module_passes() -> None:
    check = judged(make_traced_run())
    assert (check.verdict, check.passed) == ("stable", True)
    assert sum("not judged" in note for note in check.notes) == 1
    assert sum(note.startswith("no theory") for note in check.notes) == 1
    assert any("4 of 9 rows are judged" in note for note in check.notes)


@pytest.mark.parametrize(
    ("name", "value", "code", "verdict"),
    [
        ("second_moment", 0.004, "SN101", "vanishing"),
        ("second_moment", 101.0, "SN102", "exploding"),
        (GRADIENT, 1e-7, "SN201", "gradient-vanishing"),
        (GRADIENT, 1e7, "SN202", "gradient-exploding"),
        ("cosine", 0.99, "SN301", "collapsed"),
        ("dead_fraction", 0.6, "SN401", "stable"),
    ],
)
def test_activations_are_judged_by_what_was_seen(
    name: str, value: float, code: str, verdict: str
) -> None:
    check = judged(with_values(make_traced_run(), name, layer_5=value))
    assert codes(check) == [code]
    assert check.verdict == verdict
    (finding,) = check.findings
    assert (finding.layer, finding.path) == (5, "layer1.relu#2")
    assert "seen" in finding.message


@pytest.mark.parametrize(
    ("name", "value"),
    [("second_moment", 1e-4), ("second_moment", 1e4), (GRADIENT, 1e-9), ("dead_fraction", 1.0)],
)
@pytest.mark.parametrize("layer", [1, 3, 7, 8, 9])
def test_maps_and_attention_are_not_judged(name: str, value: float, layer: int) -> None:
    """A convolution of any gain, the weights of attention, logits."""
    assert codes(judged(with_values(make_traced_run(), name, **{f"layer_{layer}": value}))) == []


def test_dead_units_are_looked_for_in_activations_only() -> None:
    assert codes(judged(with_values(make_traced_run(), "dead_fraction", layer_6=1.0))) == []


def test_overflow_is_looked_for_everywhere() -> None:
    run = with_values(make_traced_run(), "largest", layer_3=7e4)
    assert codes(judged(run)) == []
    check = judged(run, number_format="float16")
    assert codes(check) == ["SN001"]
    assert check.findings[0].path == "layer1.conv"


def test_what_is_not_finite_is_told_with_its_producer() -> None:
    check = judged(make_traced_run(nonfinite=5))
    assert check.verdict == "non-finite"
    (finding,) = check.findings
    assert finding.code == "SN001"
    assert finding.message == (
        "values are not finite in float32 from layer 5 on (seen; first made in trial 0 by"
        " layer1.relu#2 (ReLU), whose inputs are finite)"
    )


def test_gradients_that_are_not_finite_are_told() -> None:
    """Of a square root at 0, say: forward values are finite, and the last such row is told."""
    rows = [
        replace(row, gradient_missing="not finite" if number in (1, 3) else None)
        for number, row in enumerate(ROWS, 1)
    ]
    check = judged(make_traced_run(replace(SUMMARY, rows=tuple(rows))))
    assert check.verdict == "non-finite"
    (finding,) = check.findings
    assert (finding.code, finding.path) == ("SN001", "layer1.conv")
    assert finding.message == "gradients are not finite in float32 from layer 3 back (seen)"


def test_bfloat16_runs_are_judged() -> None:
    """numpy has no such type."""
    run = make_traced_run(nonfinite=5)
    run = replace(run, simulation=replace(run.simulation, dtype="bfloat16"))
    assert "not finite in bfloat16" in judged(run).findings[0].message


def test_tokens_have_no_angles_and_their_first_row_counts() -> None:
    run = with_values(make_traced_run(), "cosine", layer_0=np.nan, layer_2=0.3, layer_4=0.99)
    (finding,) = judged(run).findings
    assert finding.code == "SN301"
    assert finding.message.endswith("0.3 at layer 2")


@pytest.mark.parametrize(("value", "found"), [(1e-5, []), (1e-6, ["SN101"])])
def test_of_tokens_the_embedding_says_what_is_small(value: float, found: list[str]) -> None:
    """GPT-2 embeds them with standard deviation 0.02, and no row before its first block is judged:
    a stream of second moment 0.001 is not lost."""
    run = make_traced_run()
    moments = {f"layer_{n}": 1.1e-3 for n in range(1, 10)} | {"layer_0": np.nan, "layer_1": 4e-4}
    run = with_values(run, "second_moment", **moments)
    assert codes(judged(run, select=("SN101",))) == []
    run = with_values(run, "second_moment", layer_5=value)
    assert codes(judged(run, select=("SN101",))) == found


def test_what_tokens_may_grow_to_is_told_by_their_embedding_too() -> None:
    run = with_values(
        make_traced_run(), "second_moment", layer_0=np.nan, layer_1=4.0, layer_5=399.0
    )
    assert codes(judged(run)) == []
    assert codes(judged(with_values(run, "second_moment", layer_5=401.0))) == ["SN102"]


@pytest.mark.parametrize(
    ("before", "found"),
    [
        (1.0, ["SN101"]),  # dead units, or weights that are 0
        (1e-30, ["SN101"]),
        (1e-60, ["SN001", "SN101"]),  # a product of two such numbers is 0
    ],
)
def test_zeros_of_dead_units_are_no_underflow(before: float, found: list[str]) -> None:
    """Row 4, an activation, is all 0 after row 3, a convolution that is not judged."""
    run = with_values(make_traced_run(), "second_moment", layer_3=before, layer_4=0.0)
    assert codes(judged(run, select=("SN001", "SN101"))) == found


def test_a_module_without_activations_is_judged_throughout() -> None:
    rows = tuple(row for row in ROWS if row.kind in {"Conv2d", "Linear"})
    run = make_traced_run(replace(SUMMARY, rows=rows, skipped=()))
    check = judged(with_values(run, "second_moment", layer_2=1e4))
    assert codes(check) == ["SN102"]
    assert check.findings[0].path == "layer1.conv"


def test_spread_between_models_is_judged_but_not_between_inputs() -> None:
    run = make_traced_run(trials=64, summary=_of_trials(64))
    column = run.statistics["second_moment"]
    wild = replace(column, stderr=column.estimate * 3.0 / 8.0)
    statistics = MappingProxyType(dict(run.statistics) | {"second_moment": wild})
    assert codes(judged(replace(run, statistics=statistics))) == ["SN502"]
    inputs = replace(_of_trials(64), trials_of="inputs")
    assert codes(judged(replace(run, statistics=statistics, subject=inputs))) == []


def _of_trials(trials: int) -> Any:
    return replace(SUMMARY, rows=tuple(replace(row, trials=trials) for row in ROWS))


def test_the_json_of_a_check_follows_the_schema() -> None:
    check = judged(with_values(make_traced_run(), "second_moment", layer_5=1e4))
    document = json.loads(checks_to_json([check]))
    assert [
        error.message for error in Draft202012Validator(schema("check")).iter_errors(document)
    ] == []
    (form,) = document["checks"]
    assert form["module"]["target"] == "models:resnet"
    assert form["findings"][0]["path"] == "layer1.relu#2"


# ------------------------------------------------------------------------------------ baselines


def compared(run: Run, baseline: Run, tmp_path: Any) -> Check:
    import snstat

    snstat.save(baseline, tmp_path / "base.json")
    return judged(run, baseline=str(tmp_path / "base.json"), select=("SN701",))


def test_an_equal_module_agrees_with_its_baseline(tmp_path) -> None:
    assert compared(make_traced_run(), make_traced_run(seed=1), tmp_path).passed


def test_a_changed_row_is_found_by_its_path_and_call(tmp_path) -> None:
    """Although another row before it moves its number."""
    rows = (call("stem", "Conv2d"), *(replace(row, same_as=None) for row in ROWS))
    run = make_traced_run(replace(SUMMARY, rows=rows))
    run = with_values(run, "second_moment", layer_6=2.0)
    run = with_values(run, "variance", layer_6=1.99)
    check = compared(run, make_traced_run(seed=1), tmp_path)
    (finding,) = check.findings
    assert (finding.code, finding.path) == ("SN701", "layer1.relu#2")
    assert any(
        note == "rows are matched by path, call and output: stem not in the baseline"
        for note in check.notes
    )


def test_a_renamed_module_is_removed_and_added_and_not_compared(tmp_path) -> None:
    rows = tuple(replace(row, path="stem") if row.path == "conv1" else row for row in ROWS)
    run = with_values(make_traced_run(replace(SUMMARY, rows=rows)), "second_moment", layer_1=50.0)
    check = compared(run, make_traced_run(seed=1), tmp_path)
    assert check.passed
    words = "stem not in the baseline; conv1 only in the baseline"
    assert any(words in note for note in check.notes)


def test_a_second_call_is_a_row_of_its_own(tmp_path) -> None:
    """Names then gain the number of the call, which does not hide the row from its baseline."""
    once = tuple(row for row in ROWS if row.call == 1)
    once = tuple(replace(row, repeated=False, same_as=None) for row in once)
    check = compared(make_traced_run(), make_traced_run(replace(SUMMARY, rows=once)), tmp_path)
    assert check.passed
    assert any("path, call and output: layer1.relu#2 not in" in note for note in check.notes)


def test_a_stack_is_no_baseline_of_a_module() -> None:
    """No row of a module has the path of a layer of a stack."""
    run, stack = make_traced_run(), propagate("relu", 2, width=8, batch=4, trials=2)
    beside = matched(run, stack)
    for name, column in beside.statistics.items():
        np.testing.assert_array_equal(column.estimate[1:], run.statistics[name].estimate[1:])
        assert np.isnan(column.stderr[1:]).all()


def test_other_data_are_told(tmp_path) -> None:
    def run(digit: str, seed: int = 0) -> Run:
        digest = f"sha256:{64 * digit}"
        given = replace(SUMMARY, inputs={"x": "float32:Bx3 of x.npy"}, inputs_digest=digest)
        return make_traced_run(given, seed=seed)

    assert not any("content" in note for note in compared(run("a"), run("a", 1), tmp_path).notes)
    (note,) = [n for n in compared(run("b"), run("a", 1), tmp_path).notes if "content" in n]
    assert note.endswith("baseline: the content of x=float32:Bx3 of x.npy has changed")


def test_what_differs_in_the_module_is_told(tmp_path) -> None:
    other = replace(SUMMARY, settings={"width": 32}, mode="eval")
    check = compared(make_traced_run(), make_traced_run(other, seed=1), tmp_path)
    (note,) = [note for note in check.notes if note.startswith("the module differs")]
    assert "settings is {'width': 16}, was {'width': 32}" in note
    assert "mode is train, was eval" in note


def test_an_output_without_units_counts_as_one() -> None:
    rows = (*ROWS[:-2], replace(ROWS[-2], shape=("S", 0)), ROWS[-1])
    run = make_traced_run(replace(SUMMARY, rows=rows))
    assert Request.build({}, saved=run).case(run).units[-2] == 1
