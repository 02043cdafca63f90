"""Matrices that act at several times, as those of recurrent layers, and are drawn whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snstat.layers.draw import Draw, Values
from snstat.layers.weights import Weights


class WholeMatrices:
    """See Tied: they are drawn whole, and kept."""

    def __init__(self, weights: Values, biases: Values) -> None:
        self.weights, self.biases = weights, biases

    @classmethod
    def drawn(cls, draw: Draw, weights: Sequence[Weights]) -> WholeMatrices:
        """Return what `draw.matrix` draws for each of `weights`."""
        outputs, first = sum(own.fan_out for own in weights), 0
        whole, biases = np.empty(0), np.empty(0)
        for own in weights:  # one beside all, not all of them twice
            matrix, bias = draw.matrix(own)
            if not first:
                whole = np.empty((outputs, own.fan_in), matrix.dtype)
                biases = np.empty((outputs, 1), matrix.dtype)
            part = slice(first, first + own.fan_out)
            whole[part], biases[part, 0] = matrix, bias
            first += own.fan_out
        return cls(whole, biases)

    def times(self, values: Values) -> Values:
        """See Tied."""
        return self.weights @ values

    def back(self, slope: Values) -> Values:
        """See Tied."""
        return self.weights.T @ slope
