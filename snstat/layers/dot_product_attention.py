"""Attention without weights of its own: queries, keys and values are layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import ClassVar, Self

import numpy as np

from snstat.errors import InvalidValueError
from snstat.layers.attend import attended
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.head_options import HeadOptions
from snstat.layers.law import GAUSSIAN, ZERO
from snstat.layers.layer import Layer
from snstat.layers.no_theory import NOT_GAUSSIAN, NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import SQUARES, Signal, Step
from snstat.layers.window_options import time_of

INPUTS = 3


@dataclass(frozen=True, kw_only=True)
class DotProductAttention(HeadOptions, Layer):
    """softmax(q·k/√d) v of three layers q, k and v, in this order, on grids of one axis, whose
    positions are tokens.

    Each head has its share of the channels, d of them of q and of k, and a softmax of its own over
    all tokens of k and v. It has no weights: with those of `dense` layers before and after it, it
    is `attention` whose matrices are drawn each in its own way, as those of GPT-2 are, or whose q,
    k and v are slices of one layer.

    Theory is that of `attention`, for tokens that are alike. It is null too unless q and k are
    Gaussian of mean 0, as they are behind weights and with nothing in between, v has mean 0, and
    no unit of one of the three depends on the weights that the same unit of another does.
    Sources: arXiv:1706.03762, arXiv:2006.10540.
    """

    kind: ClassVar[str] = "dot_product_attention"
    sized: ClassVar[bool] = True  # the units of a head
    arrays: ClassVar[int] = 1

    @property
    def pairs(self) -> bool:
        """See Layer."""
        return True

    def evaluated(self) -> Self:
        """See Layer: without dropout."""
        return replace(self, dropout=0.0)

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError unless there are three, grids have one axis, heads
        divide the channels, k has the channels of q, and v the tokens of k."""
        if len(inputs) != INPUTS:
            bound, remedy = "three layers: q, k and v", 'name them: inputs = ["q", "k", "v"]'
            raise InvalidValueError("inputs", len(inputs), bound, remedy)
        queries, keys, values = inputs
        for shape in inputs:
            time_of(shape)
            self.require_divided(shape.channels)
        if keys.channels != queries.channels:
            bound = f"as many as those of the queries, {queries.channels:,}"
            raise InvalidValueError("channels of the keys", keys.channels, bound)
        if values.grid != keys.grid:
            bound = f"as many as those of the keys, {keys.positions:,}"
            raise InvalidValueError("tokens of the values", values.positions, bound)
        if self.causal and keys.grid != queries.grid:
            bound = "false where other tokens are read, which have no order among those that read"
            raise InvalidValueError("causal", self.causal, bound)
        return Shape(values.channels, queries.grid)

    def beside(self, inputs: Sequence[Shape]) -> int:
        """See Layer: q, k and v, and for each head how much of them each token reads, with dropout
        twice."""
        queries, keys, _ = inputs
        return sum(shape.units for shape in inputs) + self.weights_kept(queries, keys)

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        queries, keys, _ = inputs
        if any(x.fresh & y.fresh for x, y in combinations(inputs, 2)):
            return NoTheory("two of q, k and v depend on the same weights")
        if any(x.law not in (GAUSSIAN, ZERO) for x in (queries, keys)):
            return NoTheory(NOT_GAUSSIAN)
        if any(np.any(x.mean) for x in inputs):
            return NoTheory("means of q, k or v are not 0")
        step = self.read(inputs, keys.equal)
        if isinstance(step, NoTheory):
            return step
        fresh = frozenset[object]().union(*(signal.fresh for signal in inputs))
        return replace(step, signal=replace(step.signal, fresh=fresh, varies=SQUARES))

    def unlimited(self, own: Sequence[Shape], wide: Sequence[Shape]) -> str:  # noqa: ARG002
        """See Layer: the units of a head stay as many, and all layers have the same number."""
        queries, _, values = own
        if queries.channels == values.channels:
            return ""
        return f"its queries have {queries.channels:,} units, its values {values.channels:,}"

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        return attended(self.drawn_heads(len(inputs[0]), draw), inputs, draw)
