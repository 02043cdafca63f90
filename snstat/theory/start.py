"""What theory of a network starts from: the signal of its input."""

from __future__ import annotations

import math

import numpy as np

from snstat.layers.law import OTHER, ZERO
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal
from snstat.results import InputMoments
from snstat.theory.predict import input_gap

# Pairs of positions of more tokens are not followed: those of many layers would fill the memory.
MOST_TOKENS_PAIRED = 256


def signal_of(shape: Shape, batch: int, inputs: InputMoments) -> Signal:
    """Return the signal of `batch` samples of this shape with the moments `inputs`."""
    if shape.tokens:
        return _tokens(shape, inputs)
    law = ZERO if inputs.silent else OTHER
    gap = input_gap(batch, inputs) if inputs.norms is None else math.nan
    if shape.grid and not inputs.drawn:  # moments of data are averages over positions
        gap = math.nan
    square = inputs.second_moment + 0.0 * gap
    if shape.positions == 1:
        return Signal.of_one(shape, (inputs.mean, square, gap), law)
    mean, same, apart = np.multiply.outer((inputs.mean, square, gap), np.ones(shape.positions))
    return Signal(shape, mean, same, apart, law)


def _tokens(shape: Shape, inputs: InputMoments) -> Signal:
    """Return the signal of tokens: E[xx'] is the probability that two of them are equal, as if only
    the unit of the token were not 0. Of data it is not known."""
    count, equal = shape.positions, 1.0 / shape.tokens
    between = equal if inputs.drawn else math.nan
    if inputs.cosine == 1.0:  # two passes of one sample
        between = 1.0
    mean, one = np.full(count, math.nan), np.ones(count)
    if count > MOST_TOKENS_PAIRED or not inputs.drawn:
        return Signal(shape, mean, one, (1.0 - between) * one, OTHER)
    same = np.where(np.eye(count, dtype=np.bool_), 1.0, equal)
    return Signal(shape, mean, same, same - np.where(same == 1.0, between, equal), OTHER)
