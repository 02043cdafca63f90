"""What a layer draws: its matrices, biases, masks and other numbers, for a twin that has them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from snstat.layers.draw import Pass
from snstat.layers.initialisers import PLAIN
from snstat.layers.patches import by_patches
from snstat.layers.tied import WholeMatrices
from snstat.layers.weights import Weights


@dataclass(frozen=True)
class Matrix:
    """A matrix before its rows are brought to the form that `weights` says, (fan_out, fan_in), and
    its biases, (fan_out,)."""

    weights: Weights
    values: np.ndarray[Any, Any]
    biases: np.ndarray[Any, Any]


@dataclass
class Recorder:
    """A Draw that keeps what the layer draws.

    `new` returns a Draw of this layer that has not drawn yet. One of them is asked for matrices
    and masks, another one for biases alone, so that neither has the rounding of a sum.
    What it returns to the layer has the right shape only.
    """

    new: Any
    matrices: list[Matrix] = field(default_factory=list)
    masks: list[np.ndarray[Any, Any]] = field(default_factory=list)
    uniforms: list[np.ndarray[Any, Any]] = field(default_factory=list)
    tables: list[np.ndarray[Any, Any]] = field(default_factory=list)

    def __post_init__(self):
        self._draw, self._biased = self.new(), self.new()
        self.train = self._draw.train

    def channels(self, count):
        return count

    def linear(self, values, weights):
        plain, units = replace(weights, form=PLAIN), np.eye(weights.fan_in, dtype=values.dtype)
        matrix = self._draw.linear(units, replace(plain, bias_std=0.0)).values
        biases = self._biased.linear(np.zeros_like(units), plain).values[:, 0]
        self.matrices.append(Matrix(weights, matrix, biases))
        return Pass(np.ones((weights.fan_out, *values.shape[1:]), values.dtype), _unused)

    def convolve(self, values, window, weights, groups):
        return by_patches(self, values, window, weights, groups)

    def matrix(self, weights):
        matrix, biases = self._draw.matrix(weights)
        self._biased.matrix(weights)  # both have drawn as often
        self.matrices.append(Matrix(replace(weights, form=PLAIN), matrix, biases))
        return matrix, biases

    def tied(self, weights, columns):  # noqa: ARG002
        return [WholeMatrices.drawn(self, group) for group in weights]

    def vectors(self, numbers, width, std):
        self.tables.append(self._draw.vectors(numbers, width, std))
        return self.tables[-1]

    def activate(self, function, values):  # noqa: ARG002
        return Pass(np.zeros_like(values), _unused)  # over time, larger values might overflow

    def normalise_channels(self, values, epsilon):  # noqa: ARG002
        return Pass(values, _unused)

    def normalise_samples(self, values, epsilon, *, centred=True):  # noqa: ARG002
        return Pass(values, _unused)

    def kept(self, shape, rate, dtype):
        kept = self._draw.kept(shape, rate, dtype)
        self.masks.append(kept.copy())  # layers scale what they get
        return kept

    def uniform(self, shape):
        self.uniforms.append(self._draw.uniform(shape))
        return self.uniforms[-1]


def _unused(slope):
    raise AssertionError(slope)  # gradients are those of the twin
