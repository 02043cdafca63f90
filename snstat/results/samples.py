"""Samples of data that theory follows one by one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from snstat.results.base import FloatArray, IntArray, Record


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Samples(Record):
    """Samples of data, and which of them make a batch.

    `values` (samples, units) are different samples, the units of a position next to each other.
    `batches` (trials, batch) are the rows of `values` that each trial takes: a single batch where
    all take the same. Where to follow so many takes too long, both are empty, and `left_out` says
    so in a few words.
    """

    values: FloatArray
    batches: IntArray
    left_out: str = ""

    @property
    def shares(self) -> FloatArray:
        """The part of all that trials take that each sample is, (samples,)."""
        count = len(self.values)
        return np.bincount(self.batches.ravel(), minlength=count) / self.batches.size

    def scaled(self, square: float) -> Samples:
        """Return the samples divided by √`square`."""
        return replace(self, values=self.values / math.sqrt(square))
