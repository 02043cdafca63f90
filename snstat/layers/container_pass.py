"""One trial of the layers of a container, one after the other, and their way back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.entry import Entry, chosen


def passed(
    parts: Sequence[Entry], repetitions: int, values: Values, outer: Sequence[Values], draw: Draw
) -> Pass:
    """Return what `parts`, `repetitions` times over, make of `values` and of the values of layers
    outside, `outer`. All turns are kept until gradients have been pulled back."""
    turns, shapes = list[list[Pass]](), [own.shape for own in outer]
    for _ in range(repetitions):
        found, passes = [values], list[Pass]()
        for place, entry in enumerate(parts):
            given = chosen(found, outer, entry.inputs or (place,))
            passes.append(entry.layer.sample(given, draw))
            found.append(passes[-1].values)
        turns.append(passes)
        values = found[-1]

    def pull(slope: Values) -> tuple[Values, ...]:
        of_outer = [np.zeros(shape, slope.dtype) for shape in shapes]
        for passes in reversed(turns):
            slope = _pulled(parts, passes, slope, of_outer)
        return (slope, *of_outer)

    return Pass(values, pull)


def _pulled(
    parts: Sequence[Entry], passes: Sequence[Pass], slope: Values, of_outer: list[Values]
) -> Values:
    """Return the gradient of the input of one turn, from that of its output, and add those of
    layers outside to `of_outer`."""
    slopes: list[Values | None] = [None] * len(passes) + [slope]
    for place in range(len(passes), 0, -1):
        after = slopes[place]
        if after is None:  # no read-out depends on it
            continue
        sources = parts[place - 1].inputs or (place - 1,)
        for source, part in zip(sources, passes[place - 1].pull(after), strict=True):
            if source < 0:
                of_outer[-1 - source] = of_outer[-1 - source] + part
                continue
            before = slopes[source]
            slopes[source] = part if before is None else before + part
    first = slopes[0]
    return np.zeros_like(slope) if first is None else first
