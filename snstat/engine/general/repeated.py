"""The general sampler with one sample many times over: a column for each unit to read out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from snstat.engine.general.draw import LayerDraw
from snstat.engine.general.sampler import General, Link, Walk
from snstat.engine.history import HISTORY_BYTES, segment_length
from snstat.engine.inputs import Inputs
from snstat.engine.sampler import quiet
from snstat.layers.draw import Values
from snstat.network.network import Network

# The most columns, from which a product with a matrix takes longer than to draw it, and the fewest
# for which it is worth while to keep all layers.
MOST_COLUMNS, FEW_COLUMNS = 512, 64
# Arrays as large as a layer's output that are in use beside what is kept.
BESIDE = 10


class RepeatedDraw(LayerDraw):
    """Draws masks once for all columns. Weights are the same for all samples anyway."""

    def kept(self, shape: tuple[int, ...], rate: float, dtype: np.dtype[Any]) -> Values:
        """See Draw: the mask of one sample, which all columns have."""
        channels, count, *grid = shape
        return np.repeat(super().kept((channels, 1, *grid), rate, dtype), count, axis=1)


class Repeated(General):
    """Layers 1 to `depth` of trials of one sample, which stands in all `columns`.

    Gradients are those of layer `source`, 0 for the input, whose shape is `before`. All weights are
    drawn: without them columns that are equal have no gradients of their own.
    """

    def __init__(
        self,
        network: Network,
        inputs: Inputs,
        trials: int,
        seed: int,
        dtype: str,
        *,
        train: bool,
        depth: int,
        columns: int,
        whole: bool = True,
        source: int = 0,
    ) -> None:
        super().__init__(network, inputs, trials, seed, dtype, train=train)
        self.depth, self.columns, self.whole = depth, columns, whole
        self.source, self.before = source, network.shape_after(source)

    def first(self, number: int) -> Values:
        """Return the input of a trial, (channels, columns, *grid)."""
        return np.repeat(super().first(number), self.columns, axis=1)

    def draw(self, trial: int, number: int) -> LayerDraw:
        """See General."""
        return RepeatedDraw(self.workshop, trial, number)

    def links(self, number: int) -> Iterator[list[Link]]:
        """See General. Whatever is pulled back is kept, if it was found to fit in memory."""
        if not self.whole:
            yield from super().links(number)
            return
        walk, found = Walk(self, number, {0: self.first(number)}), list[Link]()
        with quiet():
            for _ in range(self.depth):
                if self.stop[0]:
                    return
                found.append(walk.step()[0])
        yield found


def columns_for(
    network: Network, depth: int, units: int, dtype: str, running: int
) -> tuple[int, bool, float]:
    """Return how many columns to take at once for `units` read-outs, whether all layers are then
    kept for the way back, and the bytes that this needs, of `running` trials together."""
    size, kept, widest = np.dtype(dtype).itemsize, 0, network.input.units
    gathered = 0
    for row in islice(network.rows(), depth):
        kept += row.layer.kept * row.after.units + row.layer.beside(row.before)
        # What is put together for matrices that are drawn is not kept.
        gathered = max(gathered, 2 * row.layer.gathered(row.before))
        widest = max(widest, row.after.units, *(shape.units for shape in row.before))
    fitting = int(HISTORY_BYTES / (running * (kept + gathered) * size))
    columns = min(units, MOST_COLUMNS)
    whole = fitting >= min(columns, FEW_COLUMNS)
    if whole:
        columns = min(columns, fitting)
    else:
        kept = 3 * kept // segment_length(depth)  # what starts a segment, and one of them
    return columns, whole, float(running) * columns * size * (kept + gathered + BESIDE * widest)
