"""Several changes together: the least width that holds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.checks.look import MARGIN, _margin
from snstat.checks.remedies import widest
from snstat.checks.rule import Broken
from snstat.checks.several import _narrowed, _wider, last_resorts
from tests.checks.cases import case


@pytest.mark.parametrize(("narrow", "wide"), [(3, 31), (32, 256)])
def test_the_least_width_that_holds_is_found(monkeypatch, narrow, wide):
    """Exactly below 32, else to a sixteenth."""
    stack = case("tanh", 2, width=narrow)
    for least in range(narrow + 1, wide + 1):
        monkeypatch.setattr(
            "snstat.checks.several.sound",
            lambda tried, _, least=least: tried.width >= least,
        )
        found = _narrowed(stack, narrow, {"bias_std": 0.0, "width": wide}, frozenset())
        assert found.keys() == {"bias_std", "width"}
        assert 0 <= found["width"] - least < max(found["width"] // 16, 1)


def test_a_sixteenth_is_not_divided_further(monkeypatch):
    tried = []
    monkeypatch.setattr(
        "snstat.checks.several.sound", lambda case, _: tried.append(case.width) or True
    )
    for narrow in (239, 240, 241):
        _narrowed(case("tanh", 2, width=narrow), narrow, {"width": 256}, frozenset())
    assert tried == [(239 + 256) // 2]


@pytest.mark.parametrize(("broken", "offered"), [
    (9, [8]), (9.0, [8]), (1, []), (0, []), (None, []),
])  # fmt: skip
def test_the_layers_before_the_one_that_breaks_are_offered(monkeypatch, broken, offered):
    assert depths_offered(monkeypatch, broken, {}) == offered


def test_of_several_broken_rules_the_layers_before_the_first_and_the_last_are_offered(monkeypatch):
    found = {"SN101": 5, "SN102": 7, "SN301": 12, "SN202": None}
    assert depths_offered(monkeypatch, 9, found) == [11, 4]
    # Where a stack drifts is not where it fails.
    assert depths_offered(monkeypatch, 9, found | {"SN701": 15}) == [11, 4]


def depths_offered(monkeypatch, broken, others):
    """Return the depths offered where a rule is broken at one layer, and others at theirs."""
    found = {code: Broken(layer, None, None, "") for code, layer in others.items()}
    monkeypatch.setattr("snstat.checks.several.look", lambda _: found)
    monkeypatch.setattr("snstat.checks.several.several", lambda *_: ())
    told = last_resorts(case("tanh", 20, width=64), Broken(broken, None, None, ""))
    return [remedy.case.depth for remedy in told]


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize(("lasts", "holds", "one_width", "found"), [
    (True, True, True, True),
    (False, True, True, False),  # the signal leaves its bounds at any width
    (True, False, True, False),  # wider ones break a rule
    (True, True, False, False),  # which layers to widen is not known
])  # fmt: skip
def test_what_lacks_width_alone_is_widened(monkeypatch, narrow, lasts, holds, one_width, found):
    """Stacks that break the rule of widths, or leave no margin."""
    least = 100
    stack = case("tanh", 8, width=32) if one_width else case("tanh", None, widths="32,64*4,32*4")
    too_narrow = Broken(8, 1.0, 0.9, "") if narrow else None
    fakes = {
        "survival": lambda tried: tried.limit - (not lasts),
        "sound": lambda *_: True,
        "looked": lambda *_: too_narrow,
        "_holds": lambda _, tried, __: holds and tried.width >= least,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(f"snstat.checks.several.{name}", fake)
    widened = list(_wider(stack, {"bias_std": 0.0}, frozenset()))
    assert bool(widened) == found
    for changes in widened:
        assert changes.keys() == {"bias_std", "width"}
        assert least <= changes["width"] <= widest(32)


@pytest.mark.parametrize("layers", [1, 10, 1000, 100_000])
def test_the_margin_is_that_of_the_largest_of_many_normal_variates(layers):
    """A fluctuation that settles within k of its n layers is drawn n/k times. The mean of the
    largest, by quadrature, is less than √(2 ln n), which is 0.63 more than it at most."""
    x = np.linspace(-10.0, 10.0, 20_001)
    below = np.array([0.5 * math.erfc(-value / math.sqrt(2.0)) for value in x]) ** layers
    largest = float(np.sum(0.5 * (x[1:] + x[:-1]) * np.diff(below)))
    for settled in (1, 4):
        fluctuation = np.ones(settled * layers + 1)
        fluctuation[:settled] = 0.89
        assert -1e-9 <= _margin(fluctuation) - MARGIN - largest < 0.63
