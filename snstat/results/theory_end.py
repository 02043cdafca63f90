"""Records of where theory of a network ends."""

from __future__ import annotations

from dataclasses import dataclass

from snstat.results.base import Record

# What theory may end of: see `TheoryEnd`.
OF_SIGNAL, OF_SAMPLES, OF_PAIRS, OF_GRADIENT, OF_WIDTH, OF_UNITS = ENDS_OF = (
    "signal",
    "samples",
    "positions",
    "gradient",
    "width",
    "units",
)


@dataclass(frozen=True, slots=True)
class TheoryEnd(Record):
    """A layer at which theory of a network ends, and the `reason` in a few words.

    `of` says of what: "signal" of all statistics, "samples" of `cosine` and
    `variance_over_batch`, "positions" of `position_cosine` and `variance_over_positions`, "units"
    of `kurtosis`, `dead_fraction`, `saturated_fraction` and `zero_samples`: their theory is null
    from `layer` on, as far as what follows starts from there. "gradient": it is null up to `layer`.
    "width": `expected` and `neglected`, which are to first order in 1/width, are null from `layer`
    on.
    """

    of: str
    layer: int
    reason: str
