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
        own = [draw.matrix(each) for each in weights]
        whole = np.concatenate([matrix for matrix, _ in own])
        return cls(whole, np.concatenate([biases for _, biases in own])[:, None])

    def times(self, values: Values) -> Values:
        """See Tied."""
        return self.weights @ values

    def back(self, slope: Values) -> Values:
        """See Tied."""
        return self.weights.T @ slope
