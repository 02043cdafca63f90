"""Fluctuations of the pre-activation second moment of one network, layer by layer.

The maps are those of `layers.spread`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.activation_spread import spread_after
from snstat.layers.spread import (
    ENDLESS,
    LARGEST_TOLD,
    LARGEST_UNIFORM_SHARE,
    LARGEST_VARIANCE,
    Average,
    Given,
    Spread,
    settled,
)
from snstat.network.stack import Stack
from snstat.results import BoolArray, InputMoments
from snstat.theory.layer_moments import Moments
from snstat.theory.prediction import Prediction


@dataclass(frozen=True, slots=True, eq=False)
class Fluctuations:
    """The `Given` of every layer, each array (depth + 1,), NaN where unknown."""

    share: FloatArray
    pinned: FloatArray
    uniform: FloatArray
    variance: FloatArray
    pair: FloatArray
    bias: FloatArray
    shape: FloatArray
    residual: FloatArray
    pinned_pair: FloatArray
    centred: FloatArray

    @property
    def told(self) -> BoolArray:
        """Where the size of the first order tells how far theory may be off, (depth + 1,)."""
        return ~np.logical_or.accumulate(self.variance > LARGEST_TOLD)

    @property
    def trusted(self) -> BoolArray:
        """Where the fluctuations are so small that first order describes them, (depth + 1,)."""
        far = (self.variance > LARGEST_VARIANCE) | (self.uniform > LARGEST_UNIFORM_SHARE)
        trusted: BoolArray = np.isfinite(self.variance) & ~np.logical_or.accumulate(far)
        trusted[0] = True
        return trusted


def follow(
    stack: Stack, batch: int, inputs: InputMoments, prediction: Prediction, moments: Moments
) -> Fluctuations:
    """Return the fluctuations of the pre-activations of every layer.

    Where something is not known (see `InputMoments`), its arrays are NaN from that layer on, and so
    is everything but `share`, `pinned` and `uniform` after the first layer where r exceeds
    `ENDLESS`.
    """
    columns = np.full((len(Given._fields), stack.depth + 1), math.nan)
    columns[:3] = _shares(stack, prediction)
    share, after = columns[0], input_spread(stack.width_of(0), inputs)
    for first, count, layer in stack.equal_layers():
        before, end = Given(*[math.nan] * len(Given._fields)), first + count
        motion = last_motion(moments, first, end)
        for number in range(first, end):
            previous, before = before, layer.spread(float(share[number]), after)
            columns[:, number] = before
            forward = moments.forward(number)
            if forward is None or before.variance > ENDLESS:
                return Fluctuations(*columns)
            squares = forward.fourth
            if batch > 1:
                pair = moments.pair(number)
                squares = math.nan if pair is None else pair.square
            apart = float(prediction.misalignment[number])
            after = spread_after(forward, before, squares, apart, layer.fan_out)
            if number > motion and settled(before[3:], previous[3:]):
                columns[3:, number:end] = np.array(before[3:])[:, None]
                break
    return Fluctuations(*columns)


def last_motion(moments: Moments, first: int, end: int) -> int:
    """Return the last of the equal layers first..end−1 whose state differs from the one before."""
    moved = np.diff(moments.q[first:end]) != 0
    moved |= np.diff(moments.misalignment[first:end]) != 0
    return first + (int(np.flatnonzero(moved)[-1]) + 1 if moved.any() else 0)


def input_spread(units: int, inputs: InputMoments) -> Spread:
    """Return the state of layer 0."""
    known = math.isfinite(inputs.length_variance)
    variance = inputs.length_variance if known else 0.0
    average = None
    if inputs.drawn:
        average = _of_input(units, inputs)
    return Spread(
        variance,
        0.0 if inputs.drawn else math.nan,
        0.0 if known else math.nan,
        0.0,
        1.0 + units * variance if inputs.drawn else math.nan,
        average=average,
    )


def _of_input(units: int, inputs: InputMoments) -> Average:
    """Return the fluctuations of the mean of independent units, drawn from a symmetric law."""
    square = inputs.second_moment
    if not square > 0:
        return Average(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    mean = inputs.mean / math.sqrt(square)
    third = mean**3 + 3.0 * mean * (1.0 - mean**2)
    own = 1.0 - mean**2
    return Average(0.0, 0.0, own / units, 0.0, (third - mean) / units, third, 0.0)


def _shares(stack: Stack, prediction: Prediction) -> FloatArray:
    """Return the share of the weights in q, the part that orthogonal weights pin, and the share of
    uniform biases, (3, depth + 1)."""
    columns = np.full((3, stack.depth + 1), math.nan)
    second_moment, q = prediction.statistics["second_moment"], prediction.pre_second_moment
    for first, count, layer in stack.equal_layers():
        part = slice(first, first + count)
        columns[0, part] = layer.share(second_moment[first - 1 : part.stop - 1], q[part])
        columns[1, part] = layer.pinned
        columns[2, part] = layer.uniform_share(columns[0, part])
    return columns
