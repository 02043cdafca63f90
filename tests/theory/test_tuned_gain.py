"""The gain after which the last second moment is that of the input."""

from __future__ import annotations

import math

import pytest

from snstat.network.stack import Stack
from snstat.theory.holding import tuned_gain
from tests.checks.cases import second_moments


@pytest.mark.parametrize("start", [0.25, 4.0])
def test_relu_keeps_every_second_moment_at_the_gain_of_he(start):
    found = tuned_gain(Stack.build("relu", 6, weight_gain=1.0).repeated, start, 6)
    assert found == pytest.approx(math.sqrt(2.0), rel=1e-9)


@pytest.mark.parametrize("depth", [1, 5])
def test_the_last_second_moment_is_that_of_the_input(depth):
    found = tuned_gain(Stack.build("tanh", depth).repeated, 0.25, depth)
    seconds, _ = second_moments("tanh", found, depth, start=0.25)
    assert seconds[-1] == pytest.approx(0.25, rel=1e-8)
