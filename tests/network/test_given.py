"""The gain that an activation has by default is not one that was given."""

import math

import pytest

import snstat
from snstat.network.description import stack_of, summary_of
from snstat.network.stack import Stack

SMALL = {"depth": 4, "width": 16, "batch": 4, "trials": 2}


@pytest.mark.parametrize("name", ["leaky_relu:0.2", "leaky_relu:0", "sine:2", "sine", "relu"])
@pytest.mark.parametrize("options", [{}, {"last": "tanh"}, {"init": "he_normal"}])
def test_defaults_are_not_given(name, options):
    stack = Stack.build(name, 4, 16, **options)
    summary = summary_of(stack)
    assert summary.given == ()
    again = stack_of(summary)
    assert summary_of(again) == summary
    assert summary_of(again).weight_gain == summary.weight_gain
    assert summary_of(again).given == ()


def test_a_gain_that_equals_the_default_is_given():
    gain = math.sqrt(2.0 / 1.04)
    for options in ({}, {"init": "he_normal"}, {"init": "lecun_normal"}):
        stack = Stack.build("leaky_relu:0.2", 4, 16, weight_gain=gain, **options)
        assert summary_of(stack).given == ("weight_gain",)
        assert summary_of(stack_of(summary_of(stack))).given == ("weight_gain",)
    # The default of the activation that no layer has is not the default of the one that they have.
    one = Stack.build("leaky_relu:0.2", 1, 16, last="tanh")
    assert summary_of(stack_of(summary_of(one))) == summary_of(one)


def test_an_initialiser_replaces_the_default_gain_of_a_baseline(tmp_path):
    run = snstat.propagate("leaky_relu:0.2", **SMALL)
    path = tmp_path / "run.json"
    snstat.save(run, path)
    loaded = snstat.load(path)
    assert loaded.stack.given == ()
    assert loaded.stack == run.stack
    compared = snstat.check(baseline=path, init="lecun_normal", select=["SN701"])
    assert compared.stack.weight_gain == 1.0
    same = snstat.check(baseline=path, same_seed=True, select=["SN701"])
    assert same.stack == run.stack
    assert same.passed
