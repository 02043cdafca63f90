"""Gains that hold a signal."""

from __future__ import annotations

import pytest

from snstat.checks.gains import holding_gains, near_gains
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


@pytest.mark.parametrize(("low", "high"), [(0.95, 1.06), (1.01, 1.05), (0.9, 0.99)])
def test_gains_in_the_middle_of_what_holds_come_first(monkeypatch, low, high):
    """The tuned gain is 1. A gain is as far off the middle as off both ends of what holds."""
    held = set()

    def survival(tried):
        if low <= tried.layer.gain <= high:
            held.add(tried.layer.gain)
            return tried.limit
        return 0

    monkeypatch.setattr("snstat.checks.gains.holding.tuned_gain", lambda *_: 1.0)
    monkeypatch.setattr("snstat.checks.gains.survival", survival)
    found = near_gains(case("tanh", 8))
    assert held < set(found)
    assert len(set(found)) == len(found)
    apart = [abs((gain - min(held)) + (gain - max(held))) for gain in found]
    assert apart == pytest.approx(sorted(apart), abs=1e-12)


def test_gains_near_the_tuned_one_come_first_where_none_holds(monkeypatch):
    monkeypatch.setattr("snstat.checks.gains.holding.tuned_gain", lambda *_: 1.5)
    monkeypatch.setattr("snstat.checks.gains.survival", lambda _: 0)
    apart = [abs(gain - 1.5) for gain in near_gains(case("tanh", 8))]
    assert apart == pytest.approx(sorted(apart), abs=1e-12)
