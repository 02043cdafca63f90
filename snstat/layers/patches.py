"""A convolution as matrices on patches."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from snstat.layers.draw import Pass, Values
from snstat.layers.weights import Weights
from snstat.layers.window import Window


class Linear(Protocol):
    """The one of the methods of a Draw that is needed."""

    def linear(self, values: Values, weights: Weights) -> Pass:
        """See Draw."""
        ...


def by_patches(draw: Linear, values: Values, window: Window, weights: Weights, groups: int) -> Pass:
    """Return W ∗ x + b; see Draw.convolve."""
    patches = window.patches(values)
    if groups == 1:
        found = draw.linear(patches, weights)
        return Pass(found.values, lambda slope: (window.put_back(*found.pull(slope)),))
    # (taps, groups, channels of a group, …): each group has the channels next to each other.
    shape = (window.taps, groups, len(values) // groups, *patches.shape[1:])
    parts = np.moveaxis(patches.reshape(shape), 1, 0)
    found_of = [draw.linear(part.reshape(weights.fan_in, *shape[3:]), weights) for part in parts]

    def pull(slope: Values) -> tuple[Values, ...]:
        back = [
            own.pull(part)[0].reshape(parts.shape[1:])
            for own, part in zip(found_of, np.split(slope, groups), strict=True)
        ]
        return (window.put_back(np.stack(back, axis=1).reshape(patches.shape)),)

    return Pass(np.concatenate([own.values for own in found_of]), pull)
