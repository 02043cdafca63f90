"""Turns of a stream that are not followed one by one, of a few closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snstat.layers import container, folded
from snstat.layers.block import Block
from snstat.layers.dense import Dense
from snstat.layers.entry import Entry
from snstat.layers.law import GAUSSIAN
from snstat.layers.residual_block import Residual
from snstat.layers.rms_norm import RmsNorm
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope

FIRST, TIMES, WIDTH = 48, 120, 64


@pytest.fixture(autouse=True)
def few_turns(monkeypatch):
    monkeypatch.setattr(container, "FIRST", FIRST)
    monkeypatch.setattr(folded, "FEWEST", TIMES - FIRST)


def test_branches_with_means_add_up_over_a_stretch():
    """Of ReLU behind a norm, E[y] is (2π)^(−½) and E[y²] is ½, each times its factor, so that E[x]
    grows by the first, and E[x²] by the second and 2 E[x] E[y]."""
    factors = 1.0, 0.5
    branches = [
        Entry(Residual((RmsNorm(epsilon=0.0), Dense(WIDTH, "relu", init="lecun_normal")), c))
        for c in factors
    ]
    start = Signal.of_one(Shape(WIDTH), (0.0, 1.0, 1.0), GAUSSIAN)
    step = Block(tuple(branches), TIMES).moments([start], 2)
    assert len(step.turns) == FIRST
    assert [(f.stretch.first, f.stretch.end) for f in step.folds] == [(FIRST, TIMES)]
    mean, square, log = 0.0, 1.0, 0.0
    for _ in range(TIMES):
        for c in factors:
            own = c / math.sqrt(2.0 * math.pi)
            # The gradient of a branch is multiplied by c² E[φ'²] = c²/2 over E[x²].
            log += math.log1p(0.5 * c * c / square)
            square += 2.0 * mean * own + 0.5 * c * c
            mean += own
    assert step.signal.mean[0] == pytest.approx(mean, rel=1e-12)
    assert step.signal.same[0, 0] == pytest.approx(square, rel=1e-12)
    (back,) = step.pull(Slope(np.ones((1, 1)), np.ones((1, 1))))
    assert back.log == pytest.approx(log, rel=1e-11)
