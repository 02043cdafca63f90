"""Channel dropout: whole channels of a sample are dropped or scaled up."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from typing import ClassVar

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.draw import Values
from snstat.layers.dropout import RATE, Dropout
from snstat.values.option import option


@dataclass(frozen=True)
class ChannelDropout(Dropout):
    """x/k with probability k = 1 − rate, else 0, for all positions of a channel alike; x in eval
    mode.

    As dropout, but products of two positions of a sample grow by 1/k too, exactly and for any law
    of x. Without a grid it is dropout. Theory is that of train mode (arXiv:1411.4280).
    """

    kind: ClassVar[str] = "channel_dropout"
    per_position: ClassVar[bool] = False

    rate: float = option(RATE, "Probability that a channel is dropped.", default=MISSING)

    def masked_alike(self, square: FloatArray) -> FloatArray:
        """See Dropout."""
        return square

    def mask_shape(self, values: Values) -> tuple[int, ...]:
        """See Dropout."""
        return *values.shape[:2], *[1] * (values.ndim - 2)
