"""Rules and remedies of stacks whose layers differ in width or activation."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from snstat import check
from snstat.activation import ACTIVATIONS
from snstat.checks.bounds import Bounds
from snstat.checks.judge import judge
from snstat.checks.look import look
from snstat.checks.rules import CODES
from snstat.checks.stack_case import StackCase
from snstat.errors import InvalidValueError
from snstat.experiment.inputs import DrawnInputs
from snstat.network.stack import Stack
from tests.checks.cases import mean_of
from tests.network.stacks import stacks

# Wide enough that networks differ little from each other.
FUNNEL = "3000,5000*10,2500*20,3000*{}"


def case(activation, batch=64, bounds=None, std=1.0, **stack):
    built = Stack.build(activation, **stack)
    inputs = DrawnInputs("normal", built.input_width, batch, 0.0, std)
    return StackCase(built, batch, inputs.moments(), Bounds(**(bounds or {})))


@given(stacks())
def test_the_width_of_a_case_is_that_of_all_its_layers(stack):
    widths = {layer.fan_out for layer in stack.layers()}
    inputs = DrawnInputs("normal", stack.input_width, 4, 0.0, 1.0).moments()
    found = StackCase(stack, 4, inputs, Bounds()).width
    assert found == (None if len(widths) > 1 else widths.pop())


@pytest.mark.parametrize(
    ("activation", "depth", "options"),
    [
        ("selu", 64, {}),
        ("relu", 64, {}),
        ("relu", 60, {"weight_gain": 2.0}),
        ("tanh", 64, {"weight_gain": 20.0}),
        ("gelu", 64, {}),
        ("selu", 64, {"init": "he_normal"}),
        ("selu", 64, {"init": "torch_default", "bias_std": 0.3}),
    ],
)
def test_rules_of_infinite_width_do_not_depend_on_widths(activation, depth, options):
    """With weights of variance G²/fan_in, theory of infinite width does not depend on the
    widths."""
    funnel = case(activation, widths=FUNNEL.format(depth - 30), **options)
    uniform = case(activation, depth=depth, width=3000, **options)
    assert funnel.stack.runs
    found, plain = look(funnel), look(uniform)
    # The widths change the values of SN502 and SN001 a little, but not whether they are broken
    # here.
    assert found.keys() == plain.keys()
    for code in found.keys() - {"SN502", "SN001", "SN601"}:
        assert found[code].layer == plain[code].layer
        # Sums over the layers round in another order.
        assert found[code].value == pytest.approx(plain[code].value, rel=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "tanh", "widths": "40,60*2,25,8", "weight_gain": 3.0, "last": "linear"},
        {"activation": "relu", "widths": "50,300,60*2,9", "init": "glorot_normal"},
    ],
)
def test_the_second_moment_is_judged_in_every_layer(options):
    """A plain loop finds the first layer whose second moment is out of bounds."""
    stack = Stack.build(**options)
    second, seconds = 1.0, [1.0]
    for layer in stack.layers():
        q = layer.square_gain * second
        phi = ACTIVATIONS[layer.activation].function
        second = mean_of(lambda x, phi=phi: phi(x) ** 2, q)
        seconds.append(second)
    for bound in (1.05 * seconds[1], 0.5 * (seconds[-1] + seconds[-2])):
        if bound < 1.0:
            continue
        judged = look(case(bounds={"second_moment_max": bound}, **options))
        first = next((n for n, value in enumerate(seconds) if value > bound), None)
        assert ("SN102" in judged) == (first is not None)
        if first is not None:
            assert judged["SN102"].layer == first
            assert judged["SN102"].value == pytest.approx(seconds[first], rel=1e-6)


def test_a_linear_read_out_is_not_judged_for_saturation():
    """Small inputs, so that only the second layer's pre-activations are large: q = 0.01, then
    98."""
    options = {"widths": "300,250,200", "weight_gain": 100.0, "std": 0.001}
    assert look(case("tanh", **options))["SN401"].layer == 2
    assert "SN401" not in look(case("tanh", last="linear", **options))


def test_theorem_1_is_checked_in_every_layer():
    """Glorot weights of a layer 100 → 300 have the square sum 2·100/400."""
    found = look(case("selu", widths="100,100,300,300", init="glorot_normal"))["SN601"]
    assert (found.layer, found.value) == (2, pytest.approx(0.5))
    # The read-out is not a SELU.
    assert "SN601" not in look(case("selu", widths="100*3,10", init="glorot_normal", last="linear"))


def test_the_target_of_selu_does_not_apply_to_a_read_out():
    """Glorot weights give a read-out 500 → 10 the variance 2·500/510, which is not a fault."""
    options = {"activation": "selu", "widths": "500*12,10", "init": "glorot_normal"}
    assert "SN103" not in look(case(last="linear", **options))
    asked = look(case(last="linear", bounds={"target_layer": 12}, **options))["SN103"]
    assert (asked.layer, asked.value) == (12, pytest.approx(1000 / 510, rel=1e-3))
    given = {"target_mean": 0.0, "target_variance": 1.0}
    assert look(case(last="linear", bounds=given, **options))["SN103"].layer == 12


def remedies(judged):
    _, findings = judge(judged, CODES)
    return {finding.code: finding.remedy for finding in findings}


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "relu", "widths": "60,50*40,40*40,10", "last": "linear"},
        {"activation": "gelu", "widths": "2000,1500*30,1000*30,10", "last": "linear"},
        {"activation": "relu", "widths": "600,500*40,300*40"},
    ],
)
def test_the_remedy_of_fewer_layers_states_widths(options):
    """The option in a remedy mends its rule and breaks no other."""
    before = case(**options)
    broken = look(before)
    assert broken
    told = remedies(before)
    seen = 0
    for code, words in told.items():
        assert "width ≥" not in words
        for shape in re.findall(r"--widths (\S+) \(now", words):
            gain = re.search(r"--weight-gain (\S+) \(now", words)
            changed = dict(options) | {"widths": shape}
            if gain is not None:
                changed["weight_gain"] = float(gain[1])
            after = look(case(**changed))
            assert code not in after, (code, words)
            assert after.keys() <= broken.keys()
            seen += 1
    assert seen > 0


def test_a_depth_limit_beyond_the_listed_layers_is_refused():
    for options in ({"widths": "30,20,10"}, {"depth": 2, "width": 20, "last": "linear"}):
        with pytest.raises(InvalidValueError, match="depth_limit is 5, but must be 2"):
            check("tanh", trials=2, batch=4, depth_limit=5, **options)


def test_a_funnel_passes():
    """After simulation no rule is broken, so theory and simulation agree."""
    found = check("tanh", widths=[60, 80, 80, 40, 10], last="linear", batch=16, trials=16)
    assert found.passed, found.findings


@pytest.mark.parametrize("last", [None, "linear", "relu", "sigmoid", "tanh"])
def test_a_last_layer_of_another_activation_is_not_self_normalizing(last):
    """Its mean and variance are not 0 and 1, unless it is a read-out; its target is that of the
    last SELU."""
    verdict, findings = judge(case("selu", 16, last=last), CODES)
    assert not findings
    assert verdict == ("self-normalizing" if last in (None, "linear") else "stable")
    # Inputs that are far off reach the target only later.
    options = {"depth": 3, "width": 64, "std": 3.0, "last": last}
    target = look(case("selu", **options))["SN103"]
    assert target.layer == (3 if last is None else 2)
