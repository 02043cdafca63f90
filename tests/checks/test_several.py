"""Several changes together: the least width that holds."""

from __future__ import annotations

import pytest

from snstat.checks.several import _narrowed
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
