"""Samples of data by how large they are: what theory needs to follow each its own way."""

from __future__ import annotations

from dataclasses import dataclass, replace

from snstat.results.base import Record


@dataclass(frozen=True, slots=True)
class NormClasses(Record):
    """Samples of data in classes of nearly equal norm, the smallest first.

    `second_moment` is the mean of x² over units and the samples of each class, `count` how many
    there are, `cosine` (classes × classes) the mean cosine between different samples of two
    classes, NaN where there are none or one is 0, and `largest` the second moment of the largest
    single sample.
    """

    second_moment: tuple[float, ...]
    count: tuple[int, ...]
    cosine: tuple[tuple[float, ...], ...]
    largest: float

    @property
    def samples(self) -> int:
        """All samples."""
        return sum(self.count)

    def scaled(self, square: float) -> NormClasses:
        """Return the classes of samples divided by √`square`."""
        seconds = tuple(value / square for value in self.second_moment)
        return replace(self, second_moment=seconds, largest=self.largest / square)


@dataclass(frozen=True, slots=True)
class DataSummary(Record):
    """What theory needs to know of data beside the statistics of layer 0: the `largest` absolute
    value, and the classes of samples, None where all have one norm."""

    largest: float
    norms: NormClasses | None
