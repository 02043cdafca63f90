"""Records of where theory of a network ends."""

from __future__ import annotations

from dataclasses import dataclass

from snstat.results.base import Record
from snstat.results.check import NO_THEORY

# What theory may end of: see `TheoryEnd`.
OF_SIGNAL, OF_SIZE, OF_SAMPLES, OF_PAIRS, OF_GRADIENT, OF_WIDTH, OF_UNITS = ENDS_OF = (
    "signal",
    "size",
    "samples",
    "positions",
    "gradient",
    "width",
    "units",
)

# What that is called in words.
WHAT = {
    OF_SIZE: "mean, variance and cosine",
    OF_SAMPLES: "two samples",
    OF_PAIRS: "pairs of positions",
    OF_GRADIENT: "gradients",
    OF_WIDTH: "finite width",
    OF_UNITS: "single units",
}
# What ends at the input, or right behind it, ends altogether.
LAST_OF_START = 1


@dataclass(frozen=True, slots=True)
class TheoryEnd(Record):
    """A layer at which theory of a network ends, and the `reason` in a few words.

    `of` says of what: "signal" of all statistics, "size" of those that divide by the second moment
    or subtract from it (`mean`, `variance`, `cosine`), "samples" of `cosine` and
    `variance_over_batch`, "positions" of `position_cosine` and `variance_over_positions`, "units"
    of `dead_fraction`, `saturated_fraction` and `zero_samples`, and of `kurtosis` where it is null:
    their theory is null from `layer` on, as far as what follows starts from there. "gradient": it
    is null up to `layer`. "width": `expected` and `neglected`, which are to first order in 1/width,
    are null from `layer` on.
    """

    of: str
    layer: int
    reason: str

    def words(self, place: str) -> str:
        """Return this in words, for a layer called `place`, as `NO_THEORY` begins."""
        if self.of == OF_SIGNAL:
            return f"{NO_THEORY} from {place} on: {self.reason}"
        on = f" up to {place}" if self.of == OF_GRADIENT else f" from {place} on"
        whole = self.layer <= LAST_OF_START and self.of != OF_GRADIENT
        return f"{NO_THEORY} of {WHAT[self.of]}{'' if whole else on}: {self.reason}"


def place(layer: int, name: str, kind: str) -> str:
    """Return what notes call a layer: its number, name and kind."""
    return f"layer {layer} ({name}, {kind})"
