"""What stands for theory where there is none: the reason."""

from __future__ import annotations

from dataclasses import dataclass

# Reasons that several kinds have.
TOO_LARGE = "pre-activations are too large to be squared"
NO_PAIRS = "pairs of positions are not followed"
UNRESOLVED = "positions differ too much for products of them to be known to 6 digits"
NO_SAMPLES = "E[xx'] of two samples is not known"
BY_PLACE = "channels differ by their place"
NOT_GAUSSIAN = "it follows values that are not Gaussian"
NO_VARIANCE = "it divides by a variance of 0"
UNDERIVED = "first order in 1/width is not derived for it"
NO_AVERAGE = "how the mean over units fluctuates is not known"
STILL = "nothing fluctuates where all is 0"
ON_GRID = "first order in 1/width is not derived on grids"


@dataclass(frozen=True, slots=True)
class NoTheory:
    """Why theory does not know what a layer does: a few plain words that follow a colon, such as
    "groups of fewer than 32 channels"."""

    why: str
