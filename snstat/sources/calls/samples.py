"""Which samples of given arrays a trial takes: as many as the batch, the same of all arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from snstat.errors import InvalidValueError
from snstat.sources.calls.inputs import Given, Inputs

Rows = npt.NDArray[np.int64]
# Samples of a batch where nothing is said.
DEFAULT_BATCH = 8


def batch_of(inputs: Inputs, names: Sequence[str], batch: int | None) -> int:
    """Return the samples of a trial: `batch`, or those of smaller arrays where nothing is said.

    Raises InvalidValueError for arrays with too few samples, or with different numbers of them;
    `names` are those of the arguments.
    """
    sizes = {
        name: source.samples
        for name, source in inputs.named(names).items()
        if isinstance(source, Given)
    }
    if not sizes:
        return DEFAULT_BATCH if batch is None else batch
    first, samples = next(iter(sizes.items()))
    for name, size in sizes.items():
        if size != samples:
            raise InvalidValueError(
                f"number of samples of {name}", size, f"{samples}, that of {first}",
                "give every argument the same samples",
            )  # fmt: skip
    if batch is not None and batch > samples:
        bound = f"at most {samples}, the samples in the data"
        raise InvalidValueError("batch", batch, bound, f"use --batch {samples}")
    return min(samples, DEFAULT_BATCH) if batch is None else batch


def chosen(inputs: Inputs, batch: int, seed: int) -> Rows:
    """Return the samples of given arrays that one trial takes: all if `batch` is their number,
    otherwise a random subset. All arrays have the same, so that samples stay together."""
    given = [source.samples for source in inputs.sources if isinstance(source, Given)]
    if not given or batch == given[0]:
        return np.arange(batch)
    generator = np.random.default_rng(seed)
    # Sorted, so that a memory-mapped file is read from front to back.
    return np.sort(generator.choice(given[0], batch, replace=False, shuffle=False))
