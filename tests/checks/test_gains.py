"""Gains that hold a signal."""

from __future__ import annotations

import pytest

from snstat.checks.gains import holding_gains
from tests.checks.cases import case


@pytest.mark.parametrize("init", ["he_normal", "torch_default"])
def test_the_target_of_selu_is_held_by_one_exactly(init):
    """He's gain is √2, that of PyTorch 1/√3, with biases that are little beside the signal."""
    assert holding_gains(case("selu", 64, init=init))[0] == (1.0, 64)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "silu"])
def test_all_digits_of_a_gain_are_tried_only_where_four_do_not_hold(activation):
    found = dict(holding_gains(case(activation, 64)))
    rounded = {gain: layers for gain, layers in found.items() if gain == float(f"{gain:.4g}")}
    exact = {float(f"{gain:.4g}"): gain for gain in found.keys() - rounded.keys()}
    assert exact.keys() == {gain for gain, layers in rounded.items() if layers < 64}
    assert all(gain == pytest.approx(near, rel=5e-4) for near, gain in exact.items())
