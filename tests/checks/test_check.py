"""`snstat.check` and `snstat.testing.assert_propagates`, called as in a user's tests."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from numba import config

import snstat
from snstat.checks.chance import disagrees
from snstat.checks.request import Request
from snstat.errors import InputFileError, InvalidValueError, UnknownNameError
from snstat.files.saved import load_named
from snstat.testing import assert_propagates

SMALL = {"depth": 6, "width": 32, "batch": 4, "trials": 4}


def test_a_sound_stack_passes_with_its_verdict():
    result = assert_propagates("selu", **SMALL)
    assert (result.passed, result.verdict, result.findings) == (True, "self-normalizing", ())
    assert result == snstat.check("selu", **SMALL)


def test_a_broken_stack_raises_the_messages_of_the_command():
    with pytest.raises(AssertionError) as caught:
        assert_propagates("sigmoid", **SMALL, name="gate")
    result = snstat.check("sigmoid", **SMALL)
    lines = str(caught.value).splitlines()
    assert lines[0] == "gate: collapsed"
    assert lines[1:] == [f"{entry.code} {entry.name}: {entry.message}" for entry in result.findings]
    assert_propagates("sigmoid", **SMALL, select="SN6")
    assert_propagates("sigmoid", **SMALL, ignore=[entry.code for entry in result.findings])


def test_bad_arguments_raise_errors_and_do_not_fail_the_assertion():
    with pytest.raises(InvalidValueError):
        assert_propagates("selu", depth=0)
    with pytest.raises(UnknownNameError):
        snstat.check("sleu")
    with pytest.raises(UnknownNameError):
        snstat.check("selu", **SMALL, select=["SN9"])
    with pytest.raises(TypeError, match="did you mean 'gradient_decades'"):
        snstat.check("selu", **SMALL, gradient_decade=3)
    with pytest.raises(InputFileError):
        snstat.check("selu", **SMALL, baseline="nowhere.json")


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="hundreds of networks need compiled kernels")
def test_the_remedy_for_a_narrow_network_off_its_target_is_a_sufficient_width():
    options = {"depth": 12, "batch": 16, "trials": 2000}
    (finding,) = snstat.check("selu", **options, width=8).findings
    assert (finding.code, finding.layer) == ("SN103", 12)
    width = int(re.fullmatch(r"width ≥ (\d+) \(now 8\)", finding.remedy)[1])
    assert snstat.check("selu", **options, width=width).passed
    # At the smallest sufficient width the bias of the variance is -0.1, the tolerance; the
    # recommended width is at most a sixteenth larger. The bias falls as 1/width, up to second
    # order.
    variance = snstat.propagate("selu", **options, width=width).statistics["variance"]
    bias, error = 1.0 - float(variance.estimate[12]), float(variance.stderr[12])
    second = (1.0 - finding.value - 0.1 * width / 8) * (8 / width) ** 2
    assert bias < 0.1 + 4.0 * error + abs(second)
    assert bias > 0.1 * 15 / 16 - 4.0 * error - abs(second)


def test_one_input_value_beyond_the_number_format_is_found():
    data = np.random.default_rng(3).standard_normal((16, 32))
    data[5, 7] = -1e5
    options = {**SMALL, "inputs": data, "select": ["SN001"]}
    assert snstat.check("relu", **options).passed
    (finding,) = snstat.check("relu", **options, number_format="float16").findings
    assert (finding.layer, finding.value) == (0, 1e5)
    assert "overflows at layer 0: largest of the inputs 1e+05, above 65504" in finding.message
    assert finding.remedy == "use --standardize"
    options |= {"standardize": True, "number_format": "float16"}
    assert snstat.check("relu", **options).passed


def test_given_data_are_judged():
    data = np.random.default_rng(3).standard_normal((16, 32))
    result = snstat.check("selu", **SMALL, inputs=data)
    assert result.passed
    assert result.notes == ()


def test_a_baseline_of_an_array_needs_the_array(tmp_path):
    data = np.random.default_rng(3).standard_normal((16, 32))
    path = tmp_path / "base.json"
    snstat.save(snstat.propagate("selu", **SMALL, inputs=data), path)
    with pytest.raises(InvalidValueError, match="array in memory"):
        snstat.check(baseline=path)
    assert snstat.check(baseline=path, inputs=data).passed


def test_options_left_out_are_taken_from_the_baseline(tmp_path):
    path = tmp_path / "base.json"
    options = {**SMALL, "init": "torch_default", "activation": "tanh", "input_std": 2.0}
    snstat.save(snstat.propagate(**options), path)
    again = snstat.check(baseline=path, select=["SN7"])
    assert again.passed
    before = load_named(path)["tanh"]
    assert again.stack == before.stack
    assert again.simulation == replace(before.simulation, seed=again.simulation.seed)
    with pytest.raises(InputFileError, match="no baseline of the check 'other', only of tanh"):
        snstat.check(baseline=path, name="other")


def test_the_layer_that_is_compared_with_the_target_is_the_last_at_most():
    options = {"depth": 3, "width": 8, "batch": 4, "trials": 2, "input_std": 8}
    last = snstat.check("selu", **options)
    assert snstat.check("selu", **options, target_layer=3).findings == last.findings
    with pytest.raises(InvalidValueError, match="target_layer is 4, but must be at most 3"):
        snstat.check("selu", **options, target_layer=4)


def test_a_single_trial_is_judged_by_theory_only():
    result = snstat.check("selu", **{**SMALL, "trials": 1})
    assert result.passed
    assert result.notes == ("SN501 not judged: chance cannot be told from fewer than 2 trials",)


def test_partial_runs_are_refused():
    run = snstat.propagate("selu", **SMALL)
    request = Request.build({}, saved=run)
    assert request.judge(run).passed
    with pytest.raises(InvalidValueError, match="partial"):
        request.judge(replace(run, partial=True))


def moved(run, name, layer, errors):
    """Return the run with an estimate that lies so many standard errors off its reference."""
    statistic = run.statistics[name]
    estimate = statistic.estimate.copy()
    estimate[layer] = statistic.reference[layer] + errors * statistic.stderr[layer]
    changed = dict(run.statistics) | {name: replace(statistic, estimate=estimate)}
    return replace(run, statistics=MappingProxyType(changed))


def test_a_disagreement_of_theory_and_simulation_is_reported():
    run = snstat.propagate("selu", depth=6, width=64, batch=8, trials=8, seed=4)
    case = Request.build({}, saved=run).case
    assert disagrees(case(run)) is None
    # Student's t with 7 degrees of freedom exceeds 60 with probability 1e-10.
    broken = disagrees(case(moved(run, "mean", 3, 60.0)))
    assert broken.layer == 3
    assert "layer 3: mean" in broken.text
    # Every statistic is judged, but not where it is not known how far theory may be off.
    assert disagrees(case(moved(run, "cosine", 3, 60.0))).layer == 3
    unknown = replace(run.cosine, neglected=np.array(math.nan))
    hidden = replace(run, statistics=MappingProxyType(dict(run.statistics) | {"cosine": unknown}))
    assert disagrees(case(moved(hidden, "cosine", 3, 60.0))) is None
    wrong = moved(run, "mean", 3, 60.0)
    judged = Request.build({}, saved=wrong).judge(wrong)
    assert [finding.code for finding in judged.findings] == ["SN501"]
    # One deviation within the part that theory neglects, and one far beyond it.
    mean = run.statistics["mean"]
    for errors, found in ((0.0, None), (60.0, 3)):
        apart = (errors + 1.0) * mean.stderr[3] + mean.neglected[3]
        broken = disagrees(case(moved(run, "mean", 3, apart / mean.stderr[3])))
        assert (broken and broken.layer) == found
    # Another seed, because the same seed would draw the same networks again.
    assert judged.findings[0].remedy.startswith("run again with --seed 5 --trials 32")


def test_two_trials_disagree_with_theory_and_one_tells_nothing():
    """Student's t with 1 degree of freedom exceeds 1e7 with probability 2/(1e7 π)."""
    for trials, layer in ((1, None), (2, 3)):
        run = snstat.propagate("selu", **SMALL | {"trials": trials})
        mean = replace(run.mean, stderr=np.full(run.depth + 1, 0.01))
        run = replace(run, statistics=MappingProxyType({**run.statistics, "mean": mean}))
        broken = disagrees(Request.build({}, saved=run).case(moved(run, "mean", 3, 1e7)))
        assert (broken and broken.layer) == layer


def test_a_note_tells_what_is_not_compared():
    """Where networks differ by factors, and where samples have become alike."""
    narrow = {**SMALL, "depth": 40}
    result = snstat.check("relu", **narrow)
    words = (
        "SN501 compares most statistics with theory only up to layer 13: how far theory may be off"
        " elsewhere is not known"
    )
    assert {"SN502", "SN301"} <= {finding.code for finding in result.findings}
    assert not any("SN501" in finding.message for finding in result.findings)
    assert words in result.notes
    # What is said is where theory of the run ends, by a plain count.
    run = snstat.propagate("relu", **narrow)
    statistic = run.second_moment
    known = np.isfinite(statistic.reference + statistic.neglected)
    assert known[:14].all()
    assert not known[14]
    # Without SN501 there is nothing to say.
    assert words not in snstat.check("relu", **narrow, select=["SN502"]).notes
    assert snstat.check("relu", **narrow, select=["SN501"]).notes == (words,)
    alike = snstat.check("tanh", **{**SMALL, "depth": 100, "width": 32}, bias_std=0.9)
    words = "SN501 compares variance over batch and cosine with theory only up to layer "
    assert any(note.startswith(words) for note in alike.notes)


# Networks at the edge of SN502, and initialisers whose first order is not trusted.
@pytest.mark.parametrize(
    "options",
    [
        {"activation": "relu", "depth": 12, "width": 64},
        {"activation": "tanh", "depth": 16, "width": 16},
        {"activation": "gelu", "depth": 12, "width": 64, "backward": True},
        {"activation": "relu6", "depth": 6, "width": 32, "init": "torch_default"},
        {"activation": "hard_sigmoid", "depth": 6, "width": 16},
    ],
)
def test_nothing_is_left_out_where_networks_are_wide_enough(options):
    result = snstat.check(**options, batch=8, trials=4)
    assert "SN502" not in [finding.code for finding in result.findings]
    assert not [note for note in result.notes if "SN501" in note]


def test_saved_runs_without_the_error_of_theory_are_judged_by_theory_of_this_version(tmp_path):
    run = snstat.propagate("selu", depth=3, width=64, batch=8, trials=8)
    snstat.save(run, tmp_path / "run.json")
    document = json.loads((tmp_path / "run.json").read_text())
    for layer in document["runs"][0]["layers"]:
        for statistic in run.statistics:
            del layer[statistic]["neglected"]
    (tmp_path / "run.json").write_text(json.dumps(document))
    saved = snstat.load(tmp_path / "run.json")
    assert Request.build({}, saved=saved).judge(saved).notes == ()


def test_a_saved_run_of_data_is_judged_like_a_fresh_one(tmp_path):
    data = np.random.default_rng(3).choice([-1.0, 1.0], (16, 32))
    options = {**SMALL, "inputs": data}
    snstat.save(snstat.propagate("selu", **options), tmp_path / "run.json")
    saved = snstat.load(tmp_path / "run.json")
    judged = Request.build({}, saved=saved).judge(saved)
    assert judged.notes == snstat.check("selu", **options).notes
    assert not any("norm" in note for note in judged.notes)


def test_a_saved_run_of_samples_of_unequal_norm_is_judged_like_a_fresh_one(tmp_path):
    data = np.random.default_rng(3).normal(size=(16, 32)) * np.logspace(-1, 1, 16)[:, None]
    data[4] = 0.0
    options = {**SMALL, "inputs": data, "number_format": "float16", "saturated_max": 0.01}
    fresh = snstat.check("tanh", **options)
    snstat.save(snstat.propagate("tanh", **SMALL, inputs=data), tmp_path / "run.json")
    saved = snstat.load(tmp_path / "run.json")
    bounds = {key: options[key] for key in ("number_format", "saturated_max")}
    judged = Request.build(bounds, saved=saved).judge(saved)
    # Remedies differ, because the data are not available to be standardized.
    keys = ("code", "layer", "value", "bound")
    told = [[[finding[key] for key in keys] for finding in found.findings]
            for found in (judged, fresh)]  # fmt: skip
    assert told[0] == told[1]
    assert judged.notes == fresh.notes
    assert {finding.code for finding in judged.findings} >= {"SN401"}


def test_the_same_seed_needs_the_same_sampler(tmp_path):
    snstat.save(snstat.propagate("selu", **SMALL, sampler="dense"), tmp_path / "base.json")
    base = {"baseline": tmp_path / "base.json", "same_seed": True}
    assert snstat.check(**base).passed
    with pytest.raises(InvalidValueError, match="sampler is 'matrix-free'"):
        snstat.check(**base, sampler="matrix-free")


def test_a_baseline_of_one_trial_is_refused_before_anything_runs(tmp_path, monkeypatch):
    snstat.save(snstat.propagate("selu", **{**SMALL, "trials": 1}), tmp_path / "base.json")
    base = {**SMALL, "baseline": tmp_path / "base.json"}
    assert snstat.check("selu", **{**base, "trials": 1}, ignore=["SN701"]).passed
    monkeypatch.setattr("snstat.experiment.plan.Plan.run", None)
    with pytest.raises(InvalidValueError, match="trials of the baseline"):
        snstat.check("selu", **base)


def test_numbers_that_overflow_are_judged_without_warnings(tmp_path):
    run = snstat.propagate("selu", **SMALL)
    snstat.save(run, tmp_path / "base.json")
    huge = replace(run.statistics["mean"], estimate=np.full(7, 1e308))
    changed = replace(run, statistics=MappingProxyType(dict(run.statistics) | {"mean": huge}))
    request = Request.build({"baseline": tmp_path / "base.json"}, saved=changed)
    assert "SN701" in {finding.code for finding in request.judge(changed).findings}


def test_an_underflow_of_gradients_states_theory_and_estimate():
    stack = {"depth": 20, "width": 64, "weight_gain": 0.5, "number_format": "float16"}
    stack["input_std"] = 1000.0  # activations stay in range, gradients do not
    told = snstat.check("relu", **stack, batch=4, trials=4, backward=True, select=["SN001"])
    [finding] = told.findings
    predicted, seen = re.search(
        r"gradients underflow at layer 3: (\S+) of .* \(theory; seen (\S+)\), below 6e-08",
        finding.message,
    ).groups()
    # Over 17 layers of 64 ReLUs the variance of ln g is 17·5/64; that of a mean of 4 trials a
    # quarter of it. The message states √g, whose logarithm has half that deviation.
    spread = 0.5 * math.sqrt(17 * 5 / 64 / 4)
    assert abs(math.log(float(seen) / float(predicted))) < 4.0 * spread
    unseen = snstat.check("relu", **stack, batch=4, trials=4, select=["SN001"])
    assert "(theory), below 6e-08" in unseen.findings[0].message


@pytest.mark.parametrize("trials", [1, 2, 3, 4])
def test_few_trials_get_a_note(trials):
    notes = snstat.check("relu", 4, width=16, batch=4, trials=trials).notes
    told = [note for note in notes if "use --trials 4 or more" in note]
    assert len(told) == (trials in {2, 3})


def test_one_layer_fewer_than_the_baseline_is_found(tmp_path):
    base = tmp_path / "base.json"
    snstat.save(snstat.propagate("relu", 6, width=16, batch=4), base)
    options = {"baseline": base, "select": ["SN701"]}
    assert snstat.check(**options).passed
    for same_seed in (False, True):
        (finding,) = snstat.check(depth=5, same_seed=same_seed, **options).findings
        assert "has 5 layers, and 6 in the baseline" in finding.message


def test_a_search_for_remedies_reports_progress():
    run = snstat.propagate("relu", 40, width=8, batch=4, trials=2)
    looks = []
    Request.build({}, saved=run).judge(run, tick=lambda: looks.append(1))
    assert len(looks) > 50
