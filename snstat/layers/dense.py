"""A dense layer: φ(W x + b)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from snstat.layers.weights import Weights

# A number, or an array of numbers.
Moment = TypeVar("Moment", float, npt.NDArray[np.float64])


@dataclass(frozen=True, slots=True)
class DenseLayer(Weights):
    """One dense layer whose inputs are known, with its activation."""

    activation: str

    def pre_second_moment(self, second_moment: Moment) -> Moment:
        """Return q = E[z²] of the pre-activations from E[x²] of what the layer is fed."""
        return self.square_gain * second_moment + self.bias_std**2
