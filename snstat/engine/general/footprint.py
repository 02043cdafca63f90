"""An estimate of the memory that the general sampler needs, made before anything is allocated."""

from __future__ import annotations

import numpy as np

from snstat.engine.footprint import BYTES_PER_LAYER, BYTES_PER_TRIAL, DOUBLE, per_trial
from snstat.engine.inputs import Inputs
from snstat.engine.simulate import available_cores
from snstat.layers.initialisers import PLAIN
from snstat.limits import physical_memory
from snstat.network.description import BYTES_PER_ROW
from snstat.network.network import Network
from snstat.network.rows import Row

# Arrays as large as a layer's input and output that are in use while it is sampled, beside both:
# what later layers need, and what a layer computes in between.
BESIDE = 6


def footprint(
    network: Network,
    inputs: Inputs,
    *,
    trials: int,
    dtype: str,
    threads: int | None,
    backward: bool,
    keep_trials: bool = False,
) -> tuple[float, str]:
    """Return the bytes that `sample_network` needs with these arguments, and which layer needs most
    of them, in words, "" where the number of layers does."""
    size, depth = np.dtype(dtype).itemsize, network.depth
    needed = trials * BYTES_PER_TRIAL + float(depth) * (BYTES_PER_LAYER + BYTES_PER_ROW)
    needed += per_trial(trials, depth, backward=backward, keep_trials=keep_trials)
    needed += inputs.reading_bytes()
    if needed > physical_memory():
        return needed, ""
    running = min(threads or available_cores(), trials)
    largest, where = 0.0, ""
    for row in network.rows():
        before = sum(shape.units for shape in row.before)
        values = (BESIDE * max(before, row.after.units) + before) * float(inputs.batch) * size
        own = values + _matrix_bytes(row, size)
        if own > largest:
            largest, where = own, f"layer {row.name} alone takes {own / 2**30:,.1f} GiB"
    return needed + running * largest, where


def _matrix_bytes(row: Row, size: int) -> float:
    """Return the bytes of the largest matrix that is made whole, in float64 too with its squares.
    Others come in tiles. Of those of one layer, one at a time is there."""
    drawn = row.layer.matrices(row.before)
    whole = [own.fan_out * (own.fan_in + 1) for own in drawn if own.form != PLAIN]
    return float(max(whole, default=0)) * (size + 2 * DOUBLE)
