"""Many networks at once, in plain numpy: samples of different networks are those of one batch."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from snstat.layers.draw import Pass
from tests.layers.plain_draw import PlainDraw


class ManyDraw(PlainDraw):
    """Draws weights and biases for `networks` networks, each with as many samples as the others:
    sample (network, number) of a batch. For kinds that do not mix samples, forward only."""

    def __init__(self, networks, seed=0):
        super().__init__(seed)
        self.networks = networks

    def linear(self, values, weights):
        matrix = self.matrices(weights)
        shape = (self.networks, weights.fan_out, 1)
        biases = self.random.normal(size=shape)
        if weights.bias_distribution == "uniform":
            biases = self.random.uniform(-math.sqrt(3.0), math.sqrt(3.0), shape)
        x = values.reshape(len(values), self.networks, -1).swapaxes(0, 1)
        z = matrix @ x + weights.bias_std * biases
        return Pass(z.swapaxes(0, 1).reshape(weights.fan_out, -1), None)

    def matrices(self, weights):
        if weights.distribution != "orthogonal":
            # Rows are independent, of one network and of several.
            rows = self.rows(replace(weights, fan_out=self.networks * weights.fan_out))
            return rows.reshape(self.networks, weights.fan_out, weights.fan_in)
        high, low = weights.larger, min(weights.fan_in, weights.fan_out)
        q, r = np.linalg.qr(self.random.normal(size=(self.networks, high, low)))
        q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
        q *= math.sqrt(weights.square_gain / weights.fan_in * high)
        return q if weights.fan_out == high else q.swapaxes(1, 2)
