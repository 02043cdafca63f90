"""Attention: every token reads all tokens, by how well its query fits their keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, TypeVar

from snstat.errors import InvalidValueError
from snstat.layers.attend import attended
from snstat.layers.dense import Dense
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.head_options import HeadOptions
from snstat.layers.layer import Layer
from snstat.layers.no_theory import NoTheory
from snstat.layers.options import WeightOptions
from snstat.layers.shape import Shape
from snstat.layers.signal import SQUARES, Signal, Slope, Step, unknown
from snstat.layers.through_weights import through
from snstat.layers.weights import Weights
from snstat.layers.window_options import time_of

T = TypeVar("T")
G = TypeVar("G", Values, Slope)

# Gradients after a layer to those of each of its inputs.
Back = Callable[[G], tuple[G, ...]]
# PyTorch's own initialiser of its module.
TORCH = "torch_default"


@dataclass(frozen=True, kw_only=True)
class Attention(HeadOptions, WeightOptions, Layer):
    """W_o softmax(q·k/√d) v with q = W_q x, k = W_k y, v = W_v y, on a grid of one axis, whose
    positions are tokens.

    Each head has d = channels/heads units of q, k and v, and a softmax of its own over all tokens y
    that a token x reads. These are its own input, or with memory = "NAME" those of that layer, of
    its container or of one around it, whose channels and length may differ. It is PyTorch's
    nn.MultiheadAttention, with biases in all four maps. Matrices are drawn alike, each with its own
    fan-in, but for init torch_default, which is PyTorch's own: W_q, W_k and W_v of one input are
    Glorot's as one matrix, so that G² is 1/2, those of a memory of other channels Glorot's one by
    one; W_o has G² 1/3, and biases are 0.

    Theory is that of many channels, an average over networks if heads are few, for tokens that are
    alike: all have E[x²] = q and any two E[xx'] = p, so that nothing depends on their places. For
    softmax weights A of scores with variance G_q² G_k² q (q − p), E[yy'] = G_v² G_o² (p + (q − p) E
    ΣAA'), of a token with itself and of two; E Σ A² is 1/(tokens read) for small scores and 1 for
    large ones, so that what tokens have in common stays and the rest is averaged away. Averages
    over queries are taken for the units that a head has, with an error of up to 1e-3 of E ΣAA' if
    there are few. Gradients of q, k and v follow from E[δδ'] of all pairs of tokens. A causal layer
    reads one token more for each, so that two have in common what both read; pairs are followed up
    to 256 tokens, and its gradients are those of read-outs that are independent for every token.
    Theory is null for other tokens, such as those behind a border of zeros, and where the variance
    of scores exceeds 16. It is null too where norms of tokens are random at any width, with a
    relative variance of squares above 1/16: heads are few then, and read few tokens, or drop many.
    And it is null for drawn tokens, two of which are equal with the probability e, where (T − 1) e
    (1 − exp(−variance of scores)) is above 0.02: of T tokens, equal ones have equal scores, and a
    mean of E[xx'] does not tell.
    Sources: arXiv:1706.03762, arXiv:2006.10540, arXiv:2103.03404.
    """

    kind: ClassVar[str] = "attention"
    second: ClassVar[str] = "memory"
    sized: ClassVar[bool] = True  # the units of a head
    arrays: ClassVar[int] = 2  # the output and q; the rest is in `beside`

    @property
    def pairs(self) -> bool:
        """See Layer."""
        return True

    def evaluated(self) -> Self:
        """See Layer: without dropout."""
        return replace(self, dropout=0.0)

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError unless grids have one axis and the heads divide the
        channels, and for a memory that is read causally."""
        queries, _ = _both(inputs)
        for shape in inputs:
            time_of(shape)
            self.require_centred(shape.channels)
        if self.causal and len(inputs) > 1:
            bound = "false with a memory, whose tokens have no order among those that read them"
            raise InvalidValueError("causal", self.causal, bound)
        self.require_divided(queries.channels)
        return queries

    def matrices(self, inputs: Sequence[Shape]) -> tuple[Weights, ...]:
        """See Layer: W_q, W_k, W_v and W_o. With a memory, the second and third act on that."""
        queries, memory = _both(inputs)
        units, read = queries.channels, memory.channels
        own = self._matrix(units, units)
        into = self._matrix(read, units)
        found: tuple[Weights, ...] = own, into, into, own
        if self.init != TORCH:
            return found
        if self.weight_gain is None and self.weight_std is None:
            # Glorot's variance 2/(fan-in + fan-out), where one matrix has all three as its fan-out.
            outputs = 3 * units if read == units else units
            gains = (2.0 * fan_in / (fan_in + outputs) for fan_in in (units, read, read))
            found = (*map(_with_gain, found, gains), own)
        if self.bias_std is None:
            found = tuple(replace(w, bias_std=0.0, bias_distribution="normal") for w in found)
        return found

    def columns(self, inputs: Sequence[Shape]) -> int:
        """See Layer: the tokens that read, or those of the memory, whichever are more."""
        return max(shape.positions for shape in inputs)

    def gathered(self, inputs: Sequence[Shape]) -> int:
        """See Layer: what heads read, which W_o acts on."""
        return inputs[0].units

    def beside(self, inputs: Sequence[Shape]) -> int:
        """See Layer: k and v of all tokens, and for each head how much of them each token reads,
        with dropout twice."""
        queries, memory = _both(inputs)
        read = 2 * queries.channels * memory.positions
        return read + self.weights_kept(queries, memory)

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        x, y = _both(inputs)
        *of_inputs, of_output = self.matrices([signal.shape for signal in inputs])
        steps = list[Step]()
        for own in zip(of_inputs, (x, y, y), strict=True):
            step = through(*own)
            if isinstance(step, NoTheory):
                return self._unknown(inputs, step)
            steps.append(step)
        between = self.read([step.signal for step in steps], y.equal)
        if isinstance(between, NoTheory):
            return self._unknown(inputs, between)
        out = through(of_output, between.signal)
        if isinstance(out, NoTheory):
            return out
        back = _back(len(inputs), [step.pull for step in steps], between.pull, out.pull)
        after = replace(out.signal, varies=SQUARES)
        return Step(tuple(inputs), after, back, why_pairs=between.why_pairs)

    def _unknown(self, inputs: Sequence[Signal], reason: NoTheory) -> Step | NoTheory:
        """Return the step where theory does not know what heads read, for this `reason`: what W_o
        makes of it is Gaussian of mean 0 all the same, and independent of the inputs."""
        x, _ = _both(inputs)
        of_output = self.matrices([signal.shape for signal in inputs])[-1]
        read = unknown(x.shape, inputs, reason.why)
        out = through(of_output, read.signal)
        if isinstance(out, NoTheory):
            return out
        after = replace(out.signal, varies=SQUARES)
        return Step(tuple(inputs), after, read.pull, why=read.why)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        x, y = _both(inputs)
        of_q, of_k, of_v, of_o = self.matrices([Shape(len(v), v.shape[2:]) for v in inputs])
        into = [draw.linear(*own) for own in ((x, of_q), (y, of_k), (y, of_v))]
        read = attended(self.drawn_heads(len(x), draw), [own.values for own in into], draw)
        out = draw.linear(read.values, of_o)
        # Their values are not needed: heads have copies.
        back = _back(len(inputs), [own.pull for own in into], read.pull, out.pull)
        return Pass(out.values, back)

    def _matrix(self, fan_in: int, fan_out: int) -> Weights:
        return Dense(fan_out, **self.weight_options()).at(fan_in)


def _both(inputs: Sequence[T]) -> tuple[T, T]:
    """Return what reads and what is read. Raises InvalidValueError for other inputs than one or
    two."""
    if len(inputs) not in (1, 2):
        bound = "one layer, or two: the one that reads, and the memory"
        raise InvalidValueError("inputs", len(inputs), bound)
    return inputs[0], inputs[-1]


def _back(inputs: int, into: Sequence[Back[G]], between: Back[G], last: Back[G]) -> Back[G]:
    """Return the way back through W_o, `last`, the heads, `between`, and `into` q, k and v, to the
    inputs: one that reads itself, or two."""

    def pull(slope: G) -> tuple[G, ...]:
        parts = zip(into, between(*last(slope)), strict=True)
        by_query, by_key, by_value = (back(part)[0] for back, part in parts)
        of_memory = by_key + by_value
        return (by_query, of_memory) if inputs > 1 else (by_query + of_memory,)

    return pull


def _with_gain(weights: Weights, square_gain: float) -> Weights:
    return replace(weights, square_gain=square_gain)
