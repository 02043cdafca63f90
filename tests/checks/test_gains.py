"""Gains that hold a signal."""

from __future__ import annotations

import pytest

from snstat.checks.gains import holding_gains
from tests.checks.cases import case


@pytest.mark.parametrize("init", ["he_normal", "torch_default"])
def test_the_target_of_selu_is_held_by_one_exactly(init):
    """He's gain is √2, that of PyTorch 1/√3, with biases that are little beside the signal."""
    assert holding_gains(case("selu", 64, init=init))[0] == (1.0, 64)
