"""An estimate of the memory that the general sampler needs, made before anything is allocated."""

from __future__ import annotations

from functools import partial

import numpy as np

from snstat.engine.footprint import BYTES_PER_LAYER, BYTES_PER_TRIAL, DOUBLE, per_trial
from snstat.engine.general.samplers import is_matrix_free
from snstat.engine.general.unseen import matrix_bytes
from snstat.engine.history import HISTORY_BYTES, OBJECTS, segment_length
from snstat.engine.inputs import Inputs
from snstat.engine.simulate import available_cores
from snstat.engine.tensor import MEASURED_OF_TENSORS
from snstat.layers.entry import at
from snstat.layers.initialisers import PLAIN
from snstat.layers.shape import Shape
from snstat.limits import physical_memory
from snstat.network.description import BYTES_PER_ROW
from snstat.network.network import Network
from snstat.network.population import Population
from snstat.network.rows import Row
from snstat.network.run_settings import AUTO
from snstat.results import MEASURED

# Arrays as large as a layer's input and output that are in use while it is sampled, beside both:
# what later layers need, and what a layer computes in between. One that keeps more than two arrays
# has as many again that these are made from.
BESIDE, USUAL = 6, 2


def footprint(
    network: Network,
    inputs: Inputs,
    *,
    trials: int,
    dtype: str,
    threads: int | None,
    backward: bool,
    keep_trials: bool = False,
    population: Population | None = None,
    sampler: str = AUTO,
) -> tuple[float, str]:
    """Return the bytes that `sample_network` needs with these arguments, and in words which layer
    needs most of them, or how many layers there are if their number does. The network may be that
    of a `population`."""
    size, depth = np.dtype(dtype).itemsize, network.depth
    needed = trials * BYTES_PER_TRIAL + float(depth) * (BYTES_PER_LAYER + BYTES_PER_ROW)
    needed += per_trial(
        trials,
        depth,
        backward=backward,
        keep_trials=keep_trials,
        statistics=len(MEASURED_OF_TENSORS if network.input.grid else MEASURED),
    )
    needed += inputs.reading_bytes()
    if needed > physical_memory():
        return needed, f"the network has {depth:,} layers"
    running = min(threads or available_cores(), trials)
    largest, where, unit = 0.0, "", float(inputs.batch) * size
    way_back = _WayBack(segment_length(depth), unit)
    tied = partial(is_matrix_free, asked=sampler, backward=backward, tied=True)
    # Layers of a repeated block are looked at once.
    seen: dict[tuple[int, tuple[Shape, ...]], tuple[int, int, int, float]] = {}
    for row in network.rows():
        key = id(row.layer), row.before
        if key not in seen:
            before, arrays = sum(shape.units for shape in row.before), row.layer.kept
            with at(row.name):
                gathered, aside = row.layer.gathered(row.before), row.layer.beside(row.before)
                laws = row.layer.matrices(row.before)
                if population is not None:
                    aside, laws = aside * population.growth(row), population.laws(row)
                held, product = matrix_bytes(row, laws, inputs.batch, size, tied)
                matrix = _matrix_bytes(row, size) + held + product
            seen[key] = before, arrays * row.after.units + aside, gathered, held
            share = 1.0 if backward else row.layer.at_once(row.before)
            beside = BESIDE + 2 * max(arrays - USUAL, 0) * share
            # On the way back there are as many slopes as numbers that are gathered, or kept aside.
            more = before + 2 * (gathered + aside * share)
            values = (beside * max(before, row.after.units) + more) * unit
            own = values + matrix
            if own > largest:
                largest, where = own, f"layer {row.name} alone takes {own / 2**30:,.1f} GiB"
        if backward:
            way_back.add(row.number, *seen[key])
    needed += running * largest
    back = way_back.bytes(trials, running)
    if where and back:
        where += f", and the way back {back / 2**30:,.1f} GiB"
    return needed + back, where


class _WayBack:
    """What the way back of a trial keeps of layers in segments of `length`: see General.links.

    `unit` is the bytes of one unit of all samples.
    """

    def __init__(self, length: int, unit: float) -> None:
        self.length, self.unit = length, unit
        self.whole = self.drawn = self.segment = self.largest = self.marks = 0.0

    def add(self, number: int, before: int, kept: int, gathered: int, held: float) -> None:
        """Count a layer by its number, the units before it, those that it keeps, those that it
        keeps if its matrices are not drawn, and the bytes of the matrices that it holds."""
        if (number - 1) % self.length == 0:
            self.segment = 0.0
            # A stream beside the branch that is marked, about as wide.
            self.marks += 2.0 * before * self.unit
        own = kept * self.unit + held + OBJECTS
        self.drawn += own
        own += gathered * self.unit
        self.whole += own
        self.segment += own
        self.largest = max(self.largest, self.segment)

    def bytes(self, trials: int, running: int) -> float:
        """Return the bytes of all trials: everything if that is little, else the marks and one
        segment of those that run, or everything of all trials or of these if that is little, where
        all matrices are drawn or not."""
        if trials * self.whole <= HISTORY_BYTES:
            return trials * self.whole
        several = (count * own for count in (trials, running) for own in (self.whole, self.drawn))
        fitting = (needed for needed in several if needed <= HISTORY_BYTES)
        return max([running * (self.marks + self.largest), *fitting])


def _matrix_bytes(row: Row, size: int) -> float:
    """Return the bytes of the largest matrix that is made whole, in float64 too with its squares.
    Others come in tiles. Of those of one layer, one at a time is there.
    """
    drawn = row.layer.matrices(row.before)
    whole = [own.count for own in drawn if own.form != PLAIN]
    return float(max(whole, default=0)) * (size + 2 * DOUBLE)
