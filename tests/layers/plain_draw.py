"""What a layer draws from, in plain numpy: an oracle for the engine, and for theory."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr, ndtri

from snstat.layers.draw import Pass
from snstat.layers.initialisers import TRUNCATED_STD
from snstat.layers.normalise import normalised
from snstat.layers.patches import by_patches
from snstat.layers.tied import WholeMatrices


class PlainDraw:
    """Draws in float64 from a generator of numpy."""

    def __init__(self, seed=0, *, train=True):
        self.random, self.train = np.random.default_rng(seed), train

    def channels(self, count):
        return count

    def linear(self, values, weights):
        matrix, biases = self.matrix(weights)
        z = np.tensordot(matrix, values, 1)
        z += biases.reshape(-1, *[1] * (z.ndim - 1))
        return Pass(z, lambda slope: (np.tensordot(matrix.T, slope, 1),))

    def convolve(self, values, window, weights, groups):
        return by_patches(self, values, window, weights, groups)

    def matrix(self, weights):
        matrix = self.rows(weights)
        biases = self.random.normal(size=weights.fan_out)
        if weights.bias_distribution == "uniform":
            biases = self.random.uniform(-math.sqrt(3.0), math.sqrt(3.0), weights.fan_out)
        return matrix, weights.bias_std * biases

    def tied(self, weights, columns):  # noqa: ARG002
        return [WholeMatrices.drawn(self, group) for group in weights]

    def vectors(self, numbers, width, std):
        return self.random.normal(0.0, std, (int(numbers.max()) + 1, width))[numbers]

    def rows(self, weights):
        drawn = self.drawn(weights)
        if weights.form == "plain":
            return drawn
        if weights.form == "standardized":
            drawn = drawn - drawn.mean(axis=1, keepdims=True)
        norms = np.linalg.norm(drawn, axis=1, keepdims=True)
        return math.sqrt(weights.square_gain) * drawn / np.where(norms > 0, norms, 1.0)

    def drawn(self, weights):
        shape = (weights.fan_out, weights.fan_in)
        std = math.sqrt(weights.square_gain / weights.fan_in)
        if weights.distribution == "orthogonal":
            high, low = max(shape), min(shape)
            q, r = np.linalg.qr(self.random.normal(size=(high, low)))
            q *= np.sign(np.diag(r))
            # The entries of orthonormal rows or columns have variance 1/high.
            return (q if shape[0] == high else q.T) * std * math.sqrt(high)
        if weights.distribution == "uniform":
            return self.random.uniform(-math.sqrt(3.0), math.sqrt(3.0), shape) * std
        if weights.distribution == "truncated_normal":
            cut = ndtri(self.random.uniform(ndtr(-2.0), ndtr(2.0), shape))
            return cut * std / TRUNCATED_STD
        return self.random.normal(size=shape) * std

    def activate(self, function, values):
        slopes = function.derivative(values)
        return Pass(function.function(values), lambda slope: (slope * slopes,))

    def normalise_channels(self, values, epsilon):
        return normalised(values, tuple(range(1, values.ndim)), epsilon)

    def normalise_samples(self, values, epsilon, *, centred=True):
        return normalised(values, (0,), epsilon, centred=centred)

    def kept(self, shape, rate, dtype):
        return (self.uniform(shape) >= rate).astype(dtype)

    def uniform(self, shape):
        return self.random.random(shape)
