"""An embedding: a vector for every token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from typing import ClassVar

import numpy as np

from snstat.errors import InvalidValueError
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.law import GAUSSIAN, ZERO
from snstat.layers.layer import Layer, one
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Slope, Step
from snstat.limits import MAX_SCALE, MAX_WIDTH
from snstat.values.kinds import Real, Whole
from snstat.values.option import option


@dataclass(frozen=True)
class Embedding(Layer):
    """The row of each token in a matrix of independent N(0, std²), drawn once a trial: the input is
    input = { tokens = 32000, grid = [128] }.

    E[x²] is std², and E[xx'] of two positions or samples is std² times the probability that their
    tokens are equal, 1/tokens for tokens that are drawn: in the mean over tokens. Dense layers,
    norms, activations and their sums leave equal tokens equal, so theory follows pairs of others by
    themselves, and is exact. A layer that mixes positions, and dropout, take the mean over all
    pairs: what is not linear in E[xx'] after them is exact as tokens become many, and off by at
    most the variance over units divided by the number of tokens. Of tokens of data, E[xx'] is not
    known. Given the tokens, units are Gaussian. Numbers of tokens have no statistics and no
    gradient, so those of layer 0 are missing (arXiv:1706.03762).
    """

    kind: ClassVar[str] = "embedding"
    arrays: ClassVar[int] = 1
    takes_tokens: ClassVar[bool] = True

    width: int = option(Whole(1, MAX_WIDTH), "Units.", default=MISSING)
    std: float = option(
        Real(0.0, MAX_SCALE), "Standard deviation of every number in the matrix.", default=1.0
    )

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError for anything but tokens."""
        shape = one(inputs)
        if not shape.tokens:
            remedy = "give the network tokens: input = { tokens = 32000, grid = [128] }"
            raise InvalidValueError("input", str(shape), "numbers of tokens, on any grid", remedy)
        return Shape(self.width, shape.grid)

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """See Layer."""
        return one(inputs).tokens * self.width

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step:  # noqa: ARG002
        """See Layer. The moments of tokens are those of units of which one, the token's, is not
        0."""
        signal, square = one(inputs), self.std**2
        after = Signal(
            self.shape([signal.shape]),
            np.zeros_like(signal.mean),
            square * signal.same,
            square * signal.gap,
            GAUSSIAN if square else ZERO,
        )
        none = np.full_like(signal.same, np.nan)
        return Step((signal,), after, lambda slope: (Slope(none, none, slope.log),))

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        tokens = one(inputs)[0]
        rows = draw.vectors(tokens.astype(np.intp).reshape(-1), self.width, self.std)
        found = np.ascontiguousarray(rows.T).reshape(self.width, *tokens.shape)

        shape = (1, *tokens.shape)

        def pull(slope: Values) -> tuple[Values, ...]:
            return (np.full(shape, np.nan, slope.dtype),)

        return Pass(found, pull)
