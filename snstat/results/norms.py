"""Classes of data samples by norm. Theory follows each class separately."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from snstat.results.base import Record

# The largest number of classes. Repeatedly splitting the widest class leaves an error of second
# order in the spread of ln x² within a class. Fewer classes hold samples of equal norm.
MOST_CLASSES = 24


@dataclass(frozen=True, slots=True, eq=False)
class NormClasses(Record):
    """Samples of data in classes of nearly equal norm, the smallest first.

    `second_moment` is the mean of x² over the units and samples of each class, and `count` the
    number of samples. `cosine` (classes × classes) is the mean cosine between different samples of
    two classes, NaN if there are none or one is 0. `largest` is the second moment of the largest
    single sample.
    """

    second_moment: tuple[float, ...]
    count: tuple[int, ...]
    cosine: tuple[tuple[float, ...], ...]
    largest: float

    @property
    def samples(self) -> int:
        """The number of samples in all classes."""
        return sum(self.count)

    def scaled(self, square: float) -> NormClasses:
        """Return the classes of samples divided by √`square`."""
        seconds = tuple(value / square for value in self.second_moment)
        return replace(self, second_moment=seconds, largest=self.largest / square)


@dataclass(frozen=True, slots=True, eq=False)
class DataSummary(Record):
    """What theory needs of data besides the statistics of layer 0: the `largest` absolute value,
    the classes of samples, None for samples of equal norm, and the standard deviation of the cosine
    over pairs of samples, NaN if unknown."""

    largest: float
    norms: NormClasses | None
    cosine_spread: float = math.nan
