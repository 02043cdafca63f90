"""The general sampler with one batch many times over: a copy of it for each unit to read out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from snstat.engine.general.draw import LayerDraw
from snstat.engine.general.given import NOT_GIVEN, GivenLayer
from snstat.engine.general.sampler import General, Link, Walk
from snstat.engine.general.workshop import Workshop
from snstat.engine.history import HISTORY_BYTES, segment_length
from snstat.engine.inputs import Inputs
from snstat.engine.sampler import quiet
from snstat.layers.draw import Pass, Values
from snstat.layers.layer import Layer
from snstat.network.network import Network

# The most columns, from which a product with a matrix takes longer than to draw it, and the fewest
# for which it is worth while to keep all layers.
MOST_COLUMNS, FEW_COLUMNS = 512, 64
# Arrays as large as a layer's output that are in use beside what is kept.
BESIDE = 10


def tiled(values: Values, copies: int) -> Values:
    """Return `copies` of a batch (channels, batch, *grid), one after the other, as columns."""
    return np.tile(values, (1, copies, *(1,) * (values.ndim - 2)))


class RepeatedDraw(LayerDraw):
    """Draws masks once for all copies of a `batch`. Weights are the same for all samples anyway."""

    def __init__(self, workshop: Workshop, trial: int, number: int, batch: int) -> None:
        super().__init__(workshop, trial, number)
        self.batch = batch

    def kept(self, shape: tuple[int, ...], rate: float, dtype: np.dtype[Any]) -> Values:
        """See Draw: the masks of one batch, which all copies have."""
        channels, count, *grid = shape
        own = super().kept((channels, self.batch, *grid), rate, dtype)
        return tiled(own, count // self.batch)


class Repeated(General):
    """Layers 1 to `depth` of trials of one `batch`, which stands there `copies` times: a column is
    a sample, and samples of a copy are next to each other. Read-outs are of its first sample.

    Gradients are those of layer `source`, 0 for the input, whose shape is `before`. All weights are
    drawn: without them columns that are equal have no gradients of their own. Layers in which a
    sample depends on the rest of its batch are sampled, and pulled back through, copy by copy.
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
        copies: int,
        whole: bool = True,
        source: int = 0,
        given: Mapping[int, GivenLayer] = NOT_GIVEN,
    ) -> None:
        super().__init__(network, inputs, trials, seed, dtype, train=train, given=given)
        self.depth, self.copies, self.whole = depth, copies, whole
        self.batch = inputs.batch
        self.source, self.before = source, network.shape_after(source)

    def first(self, number: int) -> Values:
        """Return the input of a trial, (channels, columns, *grid)."""
        return tiled(self.one_batch(number), self.copies)

    def one_batch(self, number: int) -> Values:
        """Return the input of a trial once, (channels, batch, *grid)."""
        return super().first(number)

    def draw(self, trial: int, number: int) -> RepeatedDraw:
        """See General."""
        return RepeatedDraw(self.workshop, trial, number, self.batch)

    def sampled(self, layer: Layer, given: Sequence[Values], draw: LayerDraw) -> Pass:
        """See General."""
        copies = given[0].shape[1] // self.batch
        if copies == 1 or not self.mixed(layer):
            return super().sampled(layer, given, draw)
        passes = self.of_copies(layer, [self.by_copies(values) for values in given], draw)

        def pull(slope: Values) -> tuple[Values, ...]:
            slopes = zip(passes, self.by_copies(slope), strict=True)
            parts = zip(*(own.pull(part) for own, part in slopes), strict=True)
            return tuple(np.concatenate(part, axis=1) for part in parts)

        return Pass(np.concatenate([own.values for own in passes], axis=1), pull)

    def mixed(self, layer: Layer) -> bool:
        """Return whether samples depend on each other in a layer."""
        return layer.mixes and self.workshop.train

    def of_copies(
        self, layer: Layer, given: Sequence[Sequence[Values]], draw: LayerDraw
    ) -> list[Pass]:
        """Return what a layer makes of each copy of what it is `given`. All are alike."""
        return [layer.sample([values[0] for values in given], draw)] * len(given[0])

    def by_copies(self, values: Values) -> list[Values]:
        """Return columns (channels, columns, *grid) copy by copy."""
        starts = range(0, values.shape[1], self.batch)
        return [values[:, begin : begin + self.batch] for begin in starts]

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

    def ways(self, number: int) -> Callable[[], Iterable[list[Link]]]:
        """Return a function that gives `links` of a trial each time, to be emptied. What fits in
        memory is sampled once for all."""
        if not self.whole:
            return lambda: self.links(number)
        kept = next(self.links(number), list[Link]())
        return lambda: [[*kept]]


def copies_for(
    network: Network,
    depth: int,
    units: int,
    dtype: str,
    running: int,
    *,
    batch: int = 1,
    least: int = 1,
) -> tuple[int, bool, float]:
    """Return how many copies of a batch to take at once for `units` read-outs, `least` at least;
    whether all layers are then kept for the way back; and the bytes that this needs, of `running`
    trials together."""
    size, kept, widest = batch * np.dtype(dtype).itemsize, 0, network.input.units
    gathered = 0
    for row in islice(network.rows(), depth):
        kept += row.layer.kept * row.after.units + row.layer.beside(row.before)
        # What is put together for matrices that are drawn is not kept.
        gathered = max(gathered, 2 * row.layer.gathered(row.before))
        widest = max(widest, row.after.units, *(shape.units for shape in row.before))
    fitting = int(HISTORY_BYTES / (running * (kept + gathered) * size))
    copies = min(units, max(least, MOST_COLUMNS // batch))
    whole = fitting >= min(copies, max(least, -(-FEW_COLUMNS // batch)))
    if whole:
        copies = min(copies, fitting)
    else:
        kept = 3 * kept // segment_length(depth)  # what starts a segment, and one of them
    return copies, whole, float(running) * copies * size * (kept + gathered + BESIDE * widest)
