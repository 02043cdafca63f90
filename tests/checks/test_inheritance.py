"""What a run that is compared with a baseline takes from it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from snstat.checks.inheritance import seed_beside


@pytest.mark.parametrize(("own", "given", "same", "seed"), [
    (5, {}, True, 5),
    (5, {"seed": 5}, True, 5),
    (5, {"seed": 7}, False, 7),
    (5, {"seed": 5}, False, 6),
    (5, {}, False, 6),
    (2**64 - 1, {}, False, 0),  # the largest seed has the smallest beside it
    (2**64 - 2, {}, False, 2**64 - 1),
])  # fmt: skip
def test_the_seed_beside_a_baseline(
    own: int,
    given: dict[str, int],
    same: bool,
    seed: int,
) -> None:
    baseline: Any = SimpleNamespace(simulation=SimpleNamespace(seed=own))
    assert seed_beside(given, baseline, same_seed=same) == seed
