"""A statistic to first order in 1/width, and how far that is trusted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from snstat.results import BoolArray, FloatArray

# A relative change above this is beyond first order.
LARGEST_SHIFT = 0.5


class Corrected(NamedTuple):
    """One statistic of every layer, each array (depth + 1,), NaN where it is not computed.

    `value` is the expectation to first order and `neglected` the size of the terms that it
    neglects. Where `trusted` is False the corrections are too large for a first order, and their
    size is all that is known.
    """

    value: FloatArray
    neglected: FloatArray
    trusted: BoolArray

    def beside(self, theory: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what is expected, NaN where it is not trusted, and how far it may be off.

        Where nothing is expected, the latter says how far `theory` of infinite width may be off:
        by the first order and what that neglects.
        """
        off = np.abs(self.value - theory) + self.neglected
        neglected = np.where(self.trusted, self.neglected, off)
        return np.where(self.trusted, self.value, np.nan), neglected
