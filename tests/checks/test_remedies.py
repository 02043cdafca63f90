"""Remedies: the change that a message recommends mends the rule of the message."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from numba import config

import snstat
from snstat import check
from snstat.activation import ACTIVATIONS
from snstat.checks.backward import _shorter
from snstat.checks.bounds import Bounds
from snstat.checks.judge import judge
from snstat.checks.look import BEGINNINGS, LASTING, broken_within, look, looked, sound, unsteady
from snstat.checks.remedies import change, standard, widest
from snstat.checks.rule import Broken
from snstat.checks.rules import CODES, RULES
from snstat.checks.several import last_resorts
from snstat.checks.stack_case import StackCase
from snstat.checks.stack_remedies import stack_remedy
from snstat.checks.target import more_layers
from snstat.network.stack import Stack
from snstat.results import InputMoments
from snstat.theory import finite_width
from tests.checks.cases import JUDGEMENTS, case, judged, mean_of, second_moments

# Quantity -> pattern of the recommended change; the first group is the new value.
CHANGES = {
    "weight_gain": r"--weight-gain (\S+) \(now",
    "bias_std": r"--bias-std (\S+) \(now",
    "mean": r"--input-mean (\S+) \(now",
    "std": r"--input-std (\S+) \(now",
    "number_format": r"--number-format (\S+) \(now",
    "depth": r"at (?:most|least) ([\d,]+) layers? \(now",
    "width": r"width ≥ ([\d,]+) \(now",
}


def parsed(remedy):
    """Return the changes that a remedy recommends, parsed from its text alone."""
    found = {name: re.search(pattern, remedy) for name, pattern in CHANGES.items()}
    texts = {name: match[1].replace(",", "") for name, match in found.items() if match}
    # Every part of the remedy is parsed.
    assert remedy.count("(now ") == len(texts) > 0, f"no remedy, or not understood: {remedy!r}"
    return {
        name: text
        if name == "number_format"
        else (int, float)[name not in {"depth", "width"}](text)
        for name, text in texts.items()
    }


def remade(activation, depth, options, changes):
    """Return the case that a user would start after the changes."""
    changes = dict(changes)
    bounds = dict(options.get("bounds", {}))
    if "number_format" in changes:
        bounds["number_format"] = changes.pop("number_format")
    if "depth" in changes:
        bounds.pop("depth_limit", None)
    return case(activation, **{**options, "depth": depth, **changes, "bounds": bounds})


def check_mends(activation, depth, options):
    """Check that all findings but unreachable targets have a remedy that mends them."""
    findings = judged(activation, depth, **options)[1]
    assert findings
    tried = {
        remedy: set(look(remade(activation, depth, options, parsed(remedy))))
        for remedy in {finding.remedy for finding in findings.values()}
    }
    # SN104 is reported in place of SN103.
    broken = {*findings, "SN103"} if "SN104" in findings else set(findings)
    for code, finding in findings.items():
        assert finding.message.endswith("; " + finding.remedy)
        assert code not in tried[finding.remedy], finding
        assert tried[finding.remedy] < broken, finding


BROKEN = [entry[:3] for entry in JUDGEMENTS if entry[4]]


@pytest.mark.parametrize(("activation", "depth", "options"), BROKEN)
def test_every_remedy_mends_its_rule(activation, depth, options):
    check_mends(activation, depth, {**options, "width": 2**14})


# Several faults at once, or faults of inputs, of the number format or of narrow networks.
SEVERAL = [
    ("selu", 40, {"width": 64, "batch": 8, "weight_gain": 1.1, "bias_std": 0.5, "std": 10.0}),
    ("selu", 40, {"weight_gain": 0.353, "std": 1e4}),
    ("selu", 512, {"width": 16, "batch": 8, "std": 0.001, "bias_std": 0.5}),
    ("selu", 4, {"mean": 3.0, "init": "torch_default", "bounds": {"depth_limit": 100}}),
    ("relu", 200, {"weight_gain": 3.0, "width": 64}),
    ("tanh", 20, {"batch": 1, "std": 1e4, "mean": 3.0, "weight_gain": 1.44, "bias_std": 0.5}),
    ("hard_tanh", 40, {"width": 4096, "batch": 8, "std": 3.0, "weight_gain": 2.18}),
    ("hard_tanh", 20, {"batch": 1, "mean": 3.0}),
    ("sigmoid", 4, {"width": 128, "std": 1e-3, "bias_std": 0.3}),
    ("erf", 64, {"width": 16, "init": "glorot_normal", "bias_std": 0.05, "std": 1e4}),
    ("tanh", 4, {"std": 0.0}),
    ("relu", 4, {"std": 1e5, "batch": 8, "bounds": {"number_format": "float16"}}),
    ("identity", 20, {"width": 16, "weight_gain": 1.3, "bias_std": 1.0}),
    ("identity", 300, {"width": 2, "batch": 8}),
    ("relu", 100, {"width": 4, "batch": 8}),
    ("silu", 60, {"width": 8, "batch": 8}),
    ("identity", 4, {"bounds": {"target_mean": 0.0, "target_variance": 4.0}}),
    ("relu", 4, {"bounds": {"target_mean": 0.8, "target_variance": 1.36}}),
]


@pytest.mark.parametrize(("activation", "depth", "options"), SEVERAL)
def test_stacks_with_several_faults_have_remedies_too(activation, depth, options):
    check_mends(activation, depth, options)


def test_rules_broken_by_the_first_layers_are_broken_by_the_whole_stack():
    early = 0
    for activation, depth, options in [*BROKEN, *SEVERAL][::3]:
        made = case(activation, depth, **options)
        beginnings = [made.changed(depth=layers) for layers in BEGINNINGS if layers < made.limit]
        soon = {code for code in LASTING for shorter in beginnings if looked(shorter, code)}
        assert soon <= set(look(made))
        early += bool(soon)
    assert early > 2


def test_a_remedy_of_several_changes_needs_each_of_them():
    counted = 0
    for activation, depth, options in SEVERAL:
        for finding in judged(activation, depth, **options)[1].values():
            changes = parsed(finding.remedy)
            if look(remade(activation, depth, options, changes)):
                continue  # it mends only this rule
            for name in list(changes) * (len(changes) > 1):
                # Mean and standard deviation of the inputs are changed together.
                rest = {key: value for key, value in changes.items() if key != name}
                if not {"mean", "std"} <= changes.keys() or name not in {"mean", "std"}:
                    assert look(remade(activation, depth, options, rest)), (finding, name)
                    counted += 1
    assert counted > 10


def test_rules_that_are_not_selected_veto_no_remedy():
    """No gain keeps the cosine of 64 layers of ReLU, but that rule may stay broken."""
    wide = {"weight_gain": 2.0}
    (remedy,) = (found.remedy for found in judged("relu", 64, codes={"SN102"}, **wide)[1].values())
    assert remedy == "use --weight-gain 1.414 (now 2)"
    assert judged("relu", 64, codes={"SN102"}, weight_gain=1.414)[1] == {}
    assert "at most 37 layers" in judged("relu", 64, **wide)[1]["SN102"].remedy


def test_the_remedy_keeps_as_many_layers_as_the_new_gain_allows():
    options = {"weight_gain": 3.0, "width": 64}
    changes = parsed(judged("relu", 200, **options)[1]["SN001"].remedy)
    assert changes.keys() == {"weight_gain", "depth"}
    for more, whole in ((0, True), (1, False)):
        longer = {**changes, "depth": changes["depth"] + more}
        assert bool(look(remade("relu", 200, options, longer))) != whole


def test_the_remedy_adds_no_more_layers_than_the_target_needs():
    standard, raw = (parsed(remedy.words) for remedy in more_layers(case("selu", 3, std=8.0), None))
    assert (standard.keys(), raw.keys()) == ({"std", "depth"}, {"depth"})
    changes = raw
    for fewer, reached in ((0, True), (1, False)):
        shorter = {"depth": changes["depth"] - fewer}
        assert ("SN103" not in look(remade("selu", 3, {"std": 8.0}, shorter))) == reached


def test_zeros_need_biases():
    data = InputMoments(0.0, 0.0, 0.0, 0.0, 0.0, math.nan, math.nan, 0.0, drawn=False)
    stack = Stack.build("tanh", 4)
    (finding,) = judge(StackCase(stack, 10, data, Bounds()), frozenset(CODES))[1]
    assert (finding.code, parsed(finding.remedy)) == ("SN101", {"bias_std": 0.1})
    assert not look(StackCase(replace(stack, bias_std=0.1), 10, data, Bounds()))


def test_an_unreachable_target_has_no_remedy_but_other_rules_have():
    # The mean of erf is always 0, but a smaller gain ends the chaos.
    options = {"weight_gain": 2.0, "bounds": {"target_mean": 0.5, "target_variance": 0.5}}
    findings = judged("erf", 64, **options)[1]
    assert set(findings) == {"SN104", "SN202", "SN302"}
    assert not findings["SN104"].remedy
    assert findings["SN104"].message.endswith("not to the target (0.5, 0.5)")
    for code in ("SN202", "SN302"):
        changes = parsed(findings[code].remedy)
        # SN104 is reported in place of SN103.
        left = set(look(remade("erf", 64, options, changes))) - {"SN103"}
        assert code not in left
        assert left < set(findings)


@pytest.mark.parametrize("factor", [20.0, 1e5])
def test_standardizing_is_recommended_for_data_of_another_scale(factor):
    square = factor**2
    data = InputMoments(0.0, square, square, 0.9 * square, square, 0.1, 3.0, 0.0, drawn=False)
    stack = Stack.build("tanh", 20)
    findings = judge(StackCase(stack, 10, data, Bounds()), frozenset(CODES))[1]
    assert findings[-1].code == "SN401"
    assert {finding.remedy for finding in findings} == {findings[0].remedy}
    assert findings[0].remedy == "use --standardize"
    scaled = InputMoments(0.0, 1.0, 1.0, 0.9, 1.0, 0.0, 3.0, 0.0, drawn=False)
    assert not look(StackCase(stack, 10, scaled, Bounds()))
    # The moments come from the file itself where it is available.
    made = StackCase(stack, 10, data, Bounds(), standardized=lambda: scaled)
    assert standard(made) == scaled


def test_scaling_is_recommended_for_data_with_another_target():
    data = InputMoments(0.0, 400.0, 400.0, 360.0, 400.0, 0.1, 3.0, 0.0, drawn=False)
    bounds = Bounds(target_mean=0.0, target_variance=4.0)
    findings = judge(StackCase(Stack.build("identity", 4), 10, data, bounds), frozenset(CODES))[1]
    assert [finding.remedy for finding in findings] == ["use inputs scaled by 0.1"]


def test_standard_inputs_are_recommended_before_other_remedies():
    for options, remedy in (
        ({"std": 3.0}, "use --input-std 1 (now 3)"),
        ({"mean": 2.0, "std": 3.0}, "use --input-mean 0 (now 2), --input-std 1 (now 3)"),
    ):
        finding = judged("selu", 4, **options)[1]["SN103"]
        assert finding.remedy.replace(" and ", ", ") == remedy


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="slow without compiled kernels")
@pytest.mark.parametrize("column", [None, 3])
def test_standardizing_is_recommended_for_files_even_with_a_column_of_zeros(column, tmp_path):
    data = np.random.default_rng(1).lognormal(2.0, 1.5, (200, 30))
    if column is not None:
        data[:, column] = 0.0
    np.save(tmp_path / "data.npy", data)
    options = {"width": 64, "inputs": tmp_path / "data.npy"}
    found = check("selu", 4, **options, select=["SN103"]).findings
    # Even then the norms of samples differ so much that reaching the target takes some layers.
    remedy = re.fullmatch(r"use --standardize and at least (\d+) layers \(now 4\)", found[0].remedy)
    assert check("selu", int(remedy[1]), **options, standardize=True, select=["SN103"]).passed
    data = np.exp(0.1 * np.log(np.maximum(data, 1e-9)))
    np.save(tmp_path / "data.npy", data)
    (finding,) = check("selu", 4, **options, select=["SN103"]).findings
    assert finding.remedy == "use --standardize"


def test_the_remedy_for_sigmoid_is_a_sufficient_gain():
    options = {"init": "glorot_uniform", "width": 256}
    for finding in judged("sigmoid", 8, **options)[1].values():
        changes = parsed(finding.remedy)
        assert changes.keys() == {"weight_gain"}
        assert not look(remade("sigmoid", 8, options, changes))


@pytest.mark.parametrize("width", [2, 64, 1024])
def test_recommended_widths_are_bounded(width):
    assert widest(width) in {256, 4 * width, 65_536}
    for activation in ("gelu", "relu"):
        for finding in judged(activation, 64, width=width)[1].values():
            told = parsed(finding.remedy).get("width") if finding.remedy else None
            assert told is None or told <= min(max(4 * width, 256), 65_536)


def test_where_no_gain_helps_the_remedy_states_a_sufficient_depth():
    narrow = {"init": "lecun_normal", "width": 256}
    finding = judged("gelu", 64, **narrow)[1]["SN101"]
    assert finding.remedy.startswith("no gain keeps 64 GELU layers of this width stable: use")
    assert finding.remedy.endswith(", or normalise between layers")
    changes = parsed(finding.remedy)
    assert changes.keys() == {"weight_gain", "depth"}
    assert not look(remade("gelu", 64, narrow, changes))


# activation, depth, width, the gains between which the signal survives at all
REPELLING = [
    ("gelu", 32, 1024, (1.45, 1.56)),
    ("gelu", 48, 256, (1.45, 1.56)),
    ("gelu", 64, 256, (1.45, 1.56)),
    ("silu", 40, 512, (1.53, 1.62)),
    ("mish", 96, 1024, (1.42, 1.53)),
]


@pytest.mark.parametrize(("activation", "depth", "width", "gains"), REPELLING)
def test_a_remedy_says_that_no_gain_helps_only_if_none_does(activation, depth, width, gains):
    (remedy,) = {how.remedy for how in judged(activation, depth, width=width)[1].values()}
    made = case(activation, depth, width=width)

    def holds(layers):
        tried = (made.changed(weight_gain=float(gain), depth=layers) for gain in grid)
        return any(sound(case) and unsteady(case) is None for case in tried)

    grid = np.linspace(*gains, 56)
    changes = parsed(remedy)
    assert holds(depth) == (changes.keys() == {"weight_gain"})
    assert ("no gain keeps" in remedy) == ("depth" in changes)
    if "depth" in changes:
        # Gains are tried at distances from the tuned one that grow by √2: a better one may lie
        # between two of them.
        assert not holds(math.ceil(1.15 * changes["depth"]))


def test_remedies_are_tried_on_the_first_layers_of_a_deep_stack(monkeypatch):
    # A trial on the first layers must not evaluate the whole stack.
    asked = []
    follow = finite_width.of_one_sample
    monkeypatch.setattr(
        "snstat.theory.known.of_one_sample",
        lambda stack, *rest: asked.append(stack.depth) or follow(stack, *rest),
    )
    broken_within(case("relu", 5000, width=16))
    assert asked
    assert max(asked) <= max(BEGINNINGS)


def test_slow_rules_are_asked_last(monkeypatch):
    # Gradients explode over the whole stack, which is fast to see. Fluctuations are slow.
    made = case("selu", 512, width=16, weight_gain=1.002)
    assert looked(made, "SN202") is not None
    asked = []
    monkeypatch.setattr("snstat.theory.known.of_one_sample", lambda *_: asked.append(1))
    assert not sound(made)
    assert not asked


def test_rules_on_single_samples_compute_no_pairs(monkeypatch):
    def none(*_):
        raise AssertionError("a pair was computed")

    made = case("softplus", 20, width=32)
    monkeypatch.setattr(
        "snstat.layers.gaussian_inputs.pair_gap", lambda _, __, gap: none() if gap else 0.0
    )
    for code in set(RULES) - {"SN301"}:
        looked(made, code)


def test_the_remedy_of_a_depth_limit_is_below_the_depth():
    finding = judged("selu", 512, bounds={"depth_limit": 1000})[1]["SN202"]
    # χ^199 < 10⁶ < χ^200 with χ = 1.0716 at SELU's fixed point.
    assert finding.remedy == "at most 199 layers (now 512, --depth-limit 1000)"


def test_fewer_layers_are_tried_one_by_one_and_then_a_tenth_fewer():
    """χ^199 < 10⁶ < χ^200 with χ = 1.0716, and a layer whose input costs next to nothing."""
    tried = [remedy.case.depth for remedy in _shorter(case("selu", 512), Broken(0, None, None, ""))]
    assert tried == [200, 199, 198, 180]


def test_one_layer_is_the_remedy_where_two_break_the_bound_of_gradients():
    _, places = second_moments("tanh", 2.0, 2)
    slope = ACTIVATIONS["tanh"].derivative
    factors = [4.0 * mean_of(lambda x: slope(x) ** 2, q) for q in places]
    one, two = factors[0], factors[0] * factors[1]
    assert 1.0 < one < two
    decades = 0.5 * math.log10(one * two)
    bounds = {"gradient_decades": decades}
    finding = judged("tanh", 6, weight_gain=2.0, bounds=bounds, codes={"SN202"})[1]["SN202"]
    assert finding.remedy == "at most 1 layer (now 6)"


def test_leaving_out_biases_that_move_the_fixed_point_is_recommended():
    finding = judged("selu", 64, bias_std=0.3)[1]["SN104"]
    assert finding.remedy == "use --bias-std 0 (now 0.3)"


@pytest.mark.parametrize(
    ("options", "most"),
    [
        # 61 layers of the run and the first layers of the stacks tried as remedies. Evaluating all
        # 69 stacks whole takes 1,040 pairs.
        (
            {
                "activation": "softplus",
                "depth": 61,
                "width": 32,
                "init": "he_uniform",
                "weight_gain": 1.517,
                "batch": 16,
                "trials": 4,
            },
            700,
        ),
    ],
)
def test_remedies_are_found_with_few_pairs(monkeypatch, options, most):
    from snstat.layers import gaussian_inputs

    calls = []
    original = gaussian_inputs.pair_gap

    def counted(*arguments):
        calls.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(gaussian_inputs, "pair_gap", counted)
    snstat.check(**options)
    assert len(calls) <= most


def test_a_gain_that_leaves_networks_no_margin_is_no_remedy():
    """At gain 1.01, theory rests at a second moment of 0.0099, above the bound of 0.005. Networks
    of width 64 vary about it by a factor of 2.4 (one standard deviation), so they leave it."""
    stack = case("tanh", 2000, width=64, batch=8)
    (remedy,) = {f.remedy for f in judge(stack, frozenset(CODES))[1]}
    assert remedy.startswith("no gain keeps 2,000 tanh layers of this width stable: use")
    held = stack.changed(weight_gain=1.01)
    assert held.predicted("second_moment")[-1] > 0.005
    assert 0.8 < held.fluctuation[-1] < 1.0


def remedy_options(message):
    """Return the options of a remedy as arguments of `check`."""
    _, _, remedy = message.rpartition("use --")
    words = remedy.replace(",", " ").split()
    found = {words[0]: words[1]}
    return {name.replace("-", "_"): float(value) for name, value in found.items()}


@pytest.mark.parametrize("width", [64, 100])
@pytest.mark.parametrize("init", ["lecun_normal", "lecun_truncated"])
def test_a_remedy_speaks_of_the_standard_deviation_that_was_given(width, init):
    network = {"depth": 4, "width": width, "init": init, "batch": 8, "trials": 4}
    found = check(weight_std=0.02, **network)
    assert {"SN101", "SN104"} & {finding.code for finding in found.findings}
    for finding in found.findings:
        assert finding.remedy.startswith("use --weight-std ")
        assert "--weight-gain" not in finding.message
        options = remedy_options(finding.message)
        # Weights cut at two deviations have 0.7737 times their variance (Keras' are not rescaled).
        cut = 1.0 if init == "lecun_normal" else 0.773741
        assert options["weight_std"] == pytest.approx(math.sqrt(1 / width / cut), rel=1e-4)
        assert check(**options, **network).passed


def test_layers_of_several_widths_get_a_gain_instead_of_a_standard_deviation():
    network = {"widths": "64,128*3", "batch": 8, "trials": 4}
    [remedy, *_] = [finding.remedy for finding in check(weight_std=0.02, **network).findings]
    assert remedy == "use --weight-gain 1 instead of --weight-std 0.02"
    assert check(weight_gain=1, **network).passed


@pytest.mark.parametrize("code", ["SN101", "SN401"])
def test_layers_before_one_that_was_seen_to_be_broken_are_offered(code):
    """Theory finds nothing wrong, so it cannot tell that standard inputs would help."""
    made, how = case("relu", 8, std=3.0), Broken(5, 0.9, 0.5, "")
    assert stack_remedy(RULES[code], made, how, {code}, {code}) == "at most 4 layers (now 8)"


def test_remedies_after_one_that_leaves_the_target_without_theory_are_tried(monkeypatch):
    made = case("relu", 16, weight_gain=2.0)
    gains = [1.40625, 1.4140625]

    def family(own, _):
        return (change(own, weight_gain=gain) for gain in gains)

    def lost(_, changed, __):
        return changed.stack.weight_gain == gains[0]

    monkeypatch.setattr("snstat.checks.stack_remedies.lost", lost)
    rule = replace(RULES["SN102"], families=(family,))
    how = looked(made, "SN102")
    found = stack_remedy(rule, made, how, {"SN102"}, {"SN102"})
    assert found.startswith(f"use --weight-gain {gains[1]} ")


def test_where_a_stack_leaves_its_baseline_says_nothing_about_how_many_layers_hold():
    def offered(**found):
        changed = replace(case("relu", 64), _results={})
        for code, how in found.items():
            changed.once(code, lambda _, how=how: how)
        return [remedy.words for remedy in last_resorts(changed, Broken(60, 1.0, 1.0, ""))]

    # The layers before 60 and those before SN301 breaks are offered.
    plain = offered()
    assert any("at most 59 layers" in words for words in plain)
    assert offered(SN701=Broken(63, 1.0, 1.0, "")) == plain
    assert offered(SN502=Broken(63, 1.0, 1.0, "")) != plain


def test_the_width_that_is_advised_is_in_proportion_to_the_bound_squared():
    """The variance between networks falls as 1/width."""
    options = {"depth": 20, "width": 16, "batch": 8, "trials": 4, "select": ["SN502"]}
    (finding,) = snstat.check("identity", fluctuation_max=0.5, **options).findings
    wanted = math.ceil(16 * (finding.value / 0.5) ** 2)
    assert finding.remedy.startswith(f"width ≥ {wanted} ")
