"""The branch of a residual, as a rule compares it with the sum."""

from __future__ import annotations

from typing import NamedTuple


class Branch(NamedTuple):
    """The number of the layer that is the sum, that of the branch's last layer, and the factor of
    the branch in the sum."""

    layer: int
    last: int
    scale: float
