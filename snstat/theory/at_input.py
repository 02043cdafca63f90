"""What is exact of the statistics of layer 0."""

from __future__ import annotations

import math

from snstat.layers.shape import Shape
from snstat.results import STATISTICS, InputMoments


def exact_of_input(shape: Shape, batch: int, inputs: InputMoments) -> dict[str, float]:
    """Return the exact expectations of the statistics of an input of this shape, NaN where they are
    not known."""
    exact = dict(inputs)
    if inputs.drawn:
        exact["variance"] = inputs.variance * (1.0 - 1.0 / (shape.units * batch))
        exact["variance_over_units"] = inputs.variance * (1.0 - 1.0 / shape.channels)
        exact["kurtosis"] = math.nan
        if inputs.mean != 0 and inputs.variance > 0:
            exact["cosine"] = math.nan
    if batch == 1:  # there are no pairs
        exact["cosine"] = math.nan
    return {name: exact.get(name, math.nan) for name in STATISTICS}
