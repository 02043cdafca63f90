"""The options of heads of attention, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass

from snstat.errors import InvalidValueError
from snstat.layers.attend import Heads
from snstat.layers.draw import Draw
from snstat.layers.dropout import RATE
from snstat.layers.heads import read_by_heads
from snstat.layers.no_theory import NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Step
from snstat.limits import MAX_WIDTH
from snstat.values.kinds import Flag, Whole
from snstat.values.option import Settings, option


@dataclass(frozen=True, kw_only=True)
class HeadOptions(Settings):
    """The options of a layer whose tokens read others by `heads`."""

    heads: int = option(
        Whole(1, MAX_WIDTH), "Heads of equally many channels each.", default=MISSING
    )
    causal: bool = option(
        Flag(), "Whether a token reads only itself and those before it.", default=False
    )
    dropout: float = option(
        RATE, "Probability that a head drops what one token reads of another.", default=0.0
    )

    def require_divided(self, channels: int) -> None:
        """Raise InvalidValueError unless the heads divide so many channels."""
        if channels % self.heads:
            bound = f"a divisor of the {channels:,} channels before it"
            near = next(n for n in range(min(self.heads, channels), 0, -1) if channels % n == 0)
            raise InvalidValueError("heads", self.heads, bound, f"try {near:,}")

    def weights_kept(self, queries: Shape, keys: Shape) -> int:
        """Return how many numbers say how much of each token each head reads for each other one,
        with dropout twice, for a sample."""
        return (2 if self.dropout else 1) * self.heads * queries.positions * keys.positions

    def read(self, signals: Sequence[Signal], equal: float) -> Step | NoTheory:
        """Return the step from queries, keys and values to what heads read, two tokens of which are
        equal with the probability `equal`; or why there is none."""
        keep = 1.0 - self.dropout
        return read_by_heads(signals, self.heads, keep, causal=self.causal, equal=equal)

    def drawn_heads(self, channels: int, draw: Draw) -> Heads:
        """Return the heads of one trial with so many channels: where these are more than those of
        the layer, there are more heads of as many units."""
        number = self.heads * channels // draw.channels(channels)
        return Heads(number, causal=self.causal, rate=self.dropout if draw.train else 0.0)
