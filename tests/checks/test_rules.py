"""Each rule is compared with a plain loop over layers."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import snstat
from snstat.activation import ACTIVATIONS
from snstat.checks.backward import scientific
from snstat.checks.bounds import Bounds
from snstat.checks.numbers import FORMATS
from snstat.checks.rules import CODES, RULES, choose, explanation
from snstat.errors import InvalidValueError, UnknownNameError
from snstat.limits import MAX_DEPTH, MAX_SCALE
from tests.checks.cases import (
    JUDGEMENTS,
    case,
    dense,
    judged,
    mean_of,
    network_case,
    second_moments,
)


@pytest.mark.parametrize(("activation", "depth", "options", "verdict", "codes"), JUDGEMENTS)
def test_verdict_and_codes(activation, depth, options, verdict, codes):
    seen, findings = judged(activation, depth, **options, width=2**14)
    assert (seen, set(findings)) == (verdict, codes)


def test_ignored_rules_still_count_towards_the_verdict():
    verdict, findings = judged("selu", 512, codes=choose(ignore=["SN2"]))
    assert (verdict, findings) == ("gradient-exploding", {})


@pytest.mark.parametrize("activation", ["tanh", "elu", "gelu"])
def test_a_vanishing_signal_is_reported_at_its_first_layer(activation):
    finding = judged(activation, 128)[1]["SN101"]
    seconds, _ = second_moments(activation, 1.0, 128)
    layer = int(np.flatnonzero(seconds < 0.005)[0])
    assert finding.layer == layer
    assert finding.value == pytest.approx(seconds[layer], rel=1e-9)
    assert finding.bound == 0.005


def test_an_exploding_signal_is_reported_at_its_first_layer():
    finding = judged("selu", 64, init="he_normal")[1]["SN102"]
    seconds, _ = second_moments("selu", math.sqrt(2.0), 64)
    layer = int(np.flatnonzero(seconds > 100.0)[0])
    # At the kink of SELU the error of the trapezoidal rule is of second order in its step.
    assert (finding.layer, finding.value) == (layer, pytest.approx(seconds[layer], rel=1e-5))


def test_the_scale_of_inputs_is_not_a_fault():
    # ReLU keeps any scale; only a change of scale is a fault.
    for std in (1e-3, 30.0):
        assert judged("relu", 16, std=std)[0] == "stable"
    # SELU moves any input to its fixed point, which is not a fault either.
    assert judged("selu", 64, std=30.0)[0] == "self-normalizing"


def test_a_signal_that_vanishes_beyond_the_stack_is_found_by_the_depth_limit():
    assert judged("tanh", 20)[1] == {}
    finding = judged("tanh", 20, bounds={"depth_limit": 128})[1]["SN101"]
    seconds, _ = second_moments("tanh", 1.0, 128)
    assert finding.layer == int(np.flatnonzero(seconds < 0.005)[0])
    assert "past the 20 layers of the stack" in finding.message


@pytest.mark.parametrize("depth", [6, 7, 8])
def test_only_layers_past_the_stack_are_told_to_be(depth):
    """The second moment is 2^l with ReLU and a gain of 2: above 100 at layer 7."""
    options = {"weight_gain": 2.0, "bounds": {"depth_limit": 10}, "codes": {"SN102"}}
    finding = judged("relu", depth, **options)[1]["SN102"]
    assert finding.layer == 7
    assert (f"at layer 7, past the {depth} layers" in finding.message) == (depth == 6)
    assert ("past the" in finding.message) == (depth == 6)


def test_zero_inputs_are_reported_as_vanishing():
    finding = judged("relu", 8, std=0.0)[1]["SN101"]
    assert (finding.layer, finding.value) == (0, 0.0)


@pytest.mark.parametrize(("activation", "gain"), [("selu", 1.0), ("tanh", 3.0), ("sigmoid", 1.0)])
def test_gradients_are_the_product_of_the_slopes(activation, gain):
    depth = 250 if activation == "selu" else 100
    _, places = second_moments(activation, gain, depth)
    slope = ACTIVATIONS[activation].derivative
    total = sum(math.log(gain**2 * mean_of(lambda x: slope(x) ** 2, q)) for q in places)
    code = "SN202" if total > 0 else "SN201"
    finding = judged(activation, depth, weight_gain=gain)[1][code]
    assert finding.layer == 0
    assert math.log(finding.value) == pytest.approx(total, rel=1e-4)
    assert "back to layer 0 (theory), " in finding.message
    assert finding.bound == pytest.approx(1e6 if total > 0 else 1e-6)


@pytest.mark.parametrize(("logarithm", "words"), [
    (0.0, "1"), (math.log(1234.5), "1.23e+03"), (-700.0, "9.86e-305"),
    # Beyond a float's range: as a power of ten.
    (1000.0 * math.log(10.0), "10^1000"), (-2000.0 * math.log(10.0), "10^-2000"),
    (math.inf, "infinity"), (-math.inf, "0"),
])  # fmt: skip
def test_numbers_of_any_size_are_told(logarithm, words):
    assert scientific(logarithm) == words


def test_the_layer_where_gradients_cross_their_bound_is_counted_from_the_end():
    finding = judged("selu", 512)[1]["SN202"]
    chi = mean_of(lambda x: ACTIVATIONS["selu"].derivative(x) ** 2, 1.0)
    layers = math.ceil(6.0 * math.log(10.0) / math.log(chi))
    assert f"crossed {layers} layers from the end" in finding.message


def test_relu_collapses_where_the_arc_cosine_kernel_predicts():
    # Cho, Saul 2009: cos θ' = (sin θ + (π − θ) cos θ)/π.
    cosine, layer = 0.0, 0
    while cosine < 0.98:
        angle = math.acos(cosine)
        cosine = (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / math.pi
        layer += 1
    finding = judged("relu", 64)[1]["SN301"]
    assert (finding.layer, finding.value) == (layer, pytest.approx(cosine, rel=1e-12))


def test_an_overflow_is_reported_before_an_earlier_underflow():
    # The largest of 65,536 normal values is about 4.450, and activations grow as √(1 − 0.81^l)
    # 6425/√(1 − 0.81) = √(1 − 0.81^l) 14,740: beyond 65,504 once 0.81^l < 0.0030.
    options = {"weight_gain": 0.9, "bias_std": 6425.0, "bounds": {"number_format": "float16"}}
    for depth in (100, 170):
        verdict, findings = judged("identity", depth, **options)
        assert verdict == "non-finite"
        assert "overflows at layer 28" in findings["SN001"].message
        assert findings["SN001"].layer == 28


def test_inputs_beyond_the_number_format_are_reported():
    finding = judged("tanh", 8, std=1e6, bounds={"number_format": "float16"})[1]["SN001"]
    # The mean of the largest of 65,536 normal values.
    assert (finding.layer, finding.value) == (0, pytest.approx(4.443e6, rel=1e-3))


def test_collapse_of_similar_inputs_is_relative_to_their_initial_difference():
    # The cosine at the input is mean² / (mean² + variance) = 0.99.
    mean = math.sqrt(0.99 / 0.01)
    assert "SN301" not in judged("identity", 8, mean=mean)[1]
    assert "SN301" not in judged("relu", 64, mean=mean)[1]
    finding = judged("relu", 64, mean=mean, bounds={"cosine_max": 0.6})[1]["SN301"]
    assert finding.bound == pytest.approx(1.0 - 0.4 * 0.01)


@pytest.mark.parametrize("gain", [1.5, 3.0])
def test_separation_is_the_slope_of_the_correlation_map_at_one(gain):
    finding = judged("tanh", 64, weight_gain=gain)[1]["SN302"]
    _, places = second_moments("tanh", gain, 200)
    slope = ACTIVATIONS["tanh"].derivative
    rate = gain**2 * mean_of(lambda x: slope(x) ** 2, places[-1])
    assert finding.value == pytest.approx(rate, rel=1e-9)
    # A difference of 0.01 grows to 1.
    assert finding.layer == math.ceil(math.log(100.0) / math.log(rate))
    assert "SN302" not in judged("tanh", finding.layer - 1, weight_gain=gain)[1]


def test_a_transient_separation_is_not_called_chaotic():
    assert "SN302" not in judged("selu", 2, std=3.0)[1]


def test_dead_units_are_counted():
    finding = judged("hard_tanh", 4, weight_gain=20.0, batch=1)[1]["SN401"]
    # With one sample, a unit is dead where |z| > 1.
    assert finding.value == pytest.approx(math.erfc(1.0 / math.sqrt(2.0 * 400.0)), rel=1e-6)


@pytest.mark.parametrize("name", FORMATS)
def test_number_formats_match_numpy(name):
    if name == "bfloat16":
        assert np.log2(FORMATS[name].smallest) == -133
        assert FORMATS[name].largest == pytest.approx(3.3895313892515355e38, rel=1e-15)
        return
    info = np.finfo(name)
    assert FORMATS[name].largest == float(info.max)
    assert FORMATS[name].smallest == float(info.smallest_subnormal)


def test_float16_overflows_before_float32():
    narrow = judged("relu", 100, weight_gain=2.0, bounds={"number_format": "float16"})
    wide = judged("relu", 100, weight_gain=2.0)
    # √(2 q ln 2N) > 65504 with q = 4·2^(l−1): the largest of N = 64·1024 normals.
    edge = 65504.0**2 / (2.0 * math.log(2 * 64 * 1024))
    layer = math.floor(math.log2(edge / 4.0)) + 2
    assert narrow[1]["SN001"].layer == layer
    assert narrow[0] == "non-finite"
    assert "SN001" not in wide[1]


def test_underflow_does_not_hide_a_vanishing_signal():
    verdict, findings = judged("gelu", 64, bounds={"number_format": "float16"})
    assert "underflows" in findings["SN001"].message
    assert verdict == "vanishing"


def test_a_target_not_yet_reached_differs_from_an_unreachable_one():
    findings = judged("selu", 3, std=8.0)[1]
    assert "SN103" in findings
    assert "SN104" not in findings
    assert findings["SN103"].remedy == "use --input-std 1 (now 8)"
    assert findings["SN103"].message.startswith("not at the target (0, 1) by layer 3: ")
    findings = judged("selu", 64, weight_gain=0.9)[1]
    assert "SN104" in findings
    assert "SN103" not in findings


def test_a_given_target():
    target = {"target_mean": 0.0, "target_variance": 2.0}
    finding = judged("selu", 64, bounds=target)[1]["SN104"]
    assert finding.bound == 2.0
    assert "not to the target (0, 2)" in finding.message
    assert judged("relu", 16, bounds={"target_mean": 0.5642, "target_variance": 0.6817})[1] == {}


@pytest.mark.parametrize("variance", [0.04, 25.0])
def test_the_tolerance_of_a_target_is_a_share_of_its_standard_deviation(variance):
    """Of the variance itself for variances. Linear layers keep both moments of the input."""
    std, tolerance = math.sqrt(variance), 0.1
    bounds = {"target_mean": 0.0, "target_variance": variance, "target_tolerance": tolerance}
    for factor, codes in ((1.0 + 0.9 * tolerance, set()), (1.0 + 1.1 * tolerance, {"SN103"})):
        options = {"std": std * math.sqrt(factor), "bounds": bounds}
        assert {"SN103"} & judged("identity", 1, **options)[1].keys() == codes
    # A mean that only the target has.
    for share, codes in ((0.9, set()), (1.1, {"SN103", "SN104"})):
        wanted = bounds | {"target_mean": share * tolerance * std}
        found = judged("identity", 1, std=std, bounds=wanted)[1]
        assert bool(found.keys() & {"SN103", "SN104"}) == bool(codes)


def test_the_last_layer_may_be_that_of_the_target():
    run = snstat.propagate("selu", depth=3, width=16, trials=2)
    assert snstat.check(run, target_layer=3, select=["SN103"]).passed
    with pytest.raises(InvalidValueError, match="at most 3, the depth"):
        snstat.check(run, target_layer=4)


@pytest.mark.parametrize(("gain", "bound"), [(0.5, 0.95), (2.0, 1.1)])
def test_the_bound_of_theorem_one_is_the_one_that_is_left(gain, bound):
    found = judged("selu", 4, weight_gain=gain)[1]["SN601"]
    assert (found.value, found.bound) == (gain**2, bound)


def test_the_distance_from_a_target_of_variance_0_is_absolute():
    bounds = {"target_mean": 0.0, "target_variance": 0.0}
    for variance, near in ((0.09, True), (0.11, False)):
        std = math.sqrt(variance)
        found = judged("identity", 4, std=std, bounds=bounds, codes={"SN103"})[1]
        assert ("SN103" not in found) == near


def test_the_domain_of_theorem_one():
    for gain, inside in ((0.974, False), (0.975, True), (1.048, True), (1.05, False)):
        assert ("SN601" not in judged("selu", 64, weight_gain=gain)[1]) == inside
    assert "SN601" not in judged("relu", 16)[1]


def test_weights_outside_theorem_one_are_told_with_their_layer_where_layers_differ():
    told = RULES["SN601"](case("selu", 4, weight_gain=2.0))
    assert told.text.startswith("weights have square sum 4 ")
    assert told.layer is None
    layers = [dense(activation="relu"), dense(activation="selu", weight_gain=2.0)]
    told = RULES["SN601"](network_case(*layers))
    assert told.text.startswith("weights of layer 2 have square sum 4 ")
    assert told.layer == 2


def test_narrow_networks_differ():
    # ReLU: every layer adds κ/n = 5/n to the variance of the log second moment. The 2/n of an
    # input are no difference between networks.
    finding = judged("relu", 32, width=64)[1]["SN502"]
    variance = 5.0 / 64 * np.arange(33)
    assert finding.layer == int(np.flatnonzero(np.sqrt(variance) > 1.0)[0])
    assert finding.value == pytest.approx(math.sqrt(variance[-1]), rel=1e-6)
    width = int(re.search(r"width ≥ ([\d,]+)", finding.remedy)[1].replace(",", ""))
    assert width - math.ceil(5.0 * 32) in {0, 1}  # up to rounding


def test_rules_are_selected_by_code_name_or_prefix():
    assert choose() == frozenset(CODES)
    assert choose(["SN1"]) == {"SN101", "SN102", "SN103", "SN104"}
    assert choose(["sn202", "inputs-collapse"]) == {"SN202", "SN301"}
    assert choose(["SN202, SN3"]) == {"SN202", "SN301", "SN302", "SN303", "SN304"}
    assert choose(["SN1"], ["SN104"]) == {"SN101", "SN102", "SN103"}
    for select in (["SN1"], []):
        with pytest.raises(InvalidValueError, match="no rule is left to check"):
            choose(select, ["SN10", "SN"])
    assert "SN501" not in choose(ignore=["SN501"])
    for entry in ("SN9", "", "vanishing", "202", "SN1,"):
        with pytest.raises(UnknownNameError):
            choose([entry])
    for code, found in (("SN2", "SN201, SN202, SN203"), ("", "none")):
        with pytest.raises(InvalidValueError, match=f"one rule, not {found}"):
            explanation(code)


@pytest.mark.parametrize(
    "values",
    [
        {"number_format": "float8"},
        {"depth_limit": 0},
        {"depth_limit": 1.5},
        {"second_moment_min": -1.0},
        {"second_moment_min": 2.0, "second_moment_max": 1.0},
        {"second_moment_min": 1.0, "second_moment_max": 1.0},
        {"second_moment_max": math.inf},
        {"target_mean": 0.0},
        {"target_variance": 1.0},
        {"target_mean": 0.0, "target_variance": -1.0},
        {"target_layer": 0},
        {"gradient_decades": math.nan},
        {"gradient_decades": 400.0},
        {"cosine_max": 1.5},
        {"separation_max": 0.5},
        {"dead_max": 2.0},
        {"saturated_max": "many"},
        {"fluctuation_max": -1.0},
        {"fluctuation_max": 2.5},
        {"min_effect": -0.1},
    ],
)
def test_bounds_out_of_range_are_refused(values):
    with pytest.raises(InvalidValueError, match="must be"):
        Bounds(**values)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("depth_limit", (1, MAX_DEPTH)),
        ("second_moment_min", (0.0, 99.0)),
        ("second_moment_max", (0.006, MAX_SCALE)),
        ("target_layer", (1, MAX_DEPTH)),
        ("target_tolerance", (0.0, MAX_SCALE)),
        ("gradient_decades", (0.0, 300.0)),
        ("cosine_max", (0.0, 1.0)),
        ("separation_max", (1.0, MAX_SCALE)),
        ("dead_max", (0.0, 1.0)),
        ("saturated_max", (0.0, 1.0)),
        ("fluctuation_max", (0.0, 2.0)),
        ("min_effect", (0.0, MAX_SCALE)),
    ],
)
def test_bounds_at_the_ends_of_their_range_are_accepted(name, values):
    for value in values:
        assert getattr(Bounds(**{name: value}), name) == value


def test_a_sample_of_zeros_does_not_hide_a_collapse():
    rows = np.random.default_rng(0).normal(size=(8, 16))
    rows[0] = 0.0
    found = snstat.check(
        "relu", depth=60, width=16, inputs=rows, trials=2, seed=1, select=["SN301"]
    )
    assert [finding.code for finding in found.findings] == ["SN301"]
