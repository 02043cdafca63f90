"""What becomes of the signal if the repeated block of a network went on for ever."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from snstat.layers.alpha_dropout import AlphaDropout
from snstat.layers.batch_norm import BatchNorm
from snstat.layers.block import Block
from snstat.layers.container import Container
from snstat.layers.dropout import Dropout
from snstat.layers.layer import Layer
from snstat.layers.signal import Signal
from snstat.network.network import Network
from snstat.results import InputMoments
from snstat.theory.start import signal_of

# A block that is repeated so often has a limit worth speaking of.
LEAST_TIMES = 4
# Repetitions are followed in runs of so many. A run over which the change from one to the next
# does not fall to this share leads to no limit: it grows, or creeps as a power of the depth.
RUN, FALLS = 32, 0.5
MOST_RUNS = 64
# A relative change below this is none.
STILL = 1e-9
# A second moment below this part of the one before the block has vanished.
FAINT = 1e-12
# 1 − cosine of nearby samples: so small that the slope has settled, and far above rounding.
NEARBY = 1e-10
# A second moment that is so much larger, squared, returns by more than a tenth unless all are kept.
MOVED, RETURNS = 1.1, 0.1


@dataclass(frozen=True, slots=True)
class Limit:
    """Where the signal of a repeated block settles.

    `first` layers come before the block, `count` are one repetition, and it ends with layer `last`.
    `mean` and `second_moment` are those after many repetitions. `keeps` is whether another size of
    the signal would stay as well. `growth` is the factor of 1 − cosine of nearby samples over one
    repetition, NaN where it is not known.
    """

    first: int
    count: int
    last: int
    mean: float
    second_moment: float
    keeps: bool
    growth: float

    @property
    def variance(self) -> float:
        """The variance at the limit."""
        return max(self.second_moment - self.mean**2, 0.0)

    @property
    def growth_per_layer(self) -> float:
        """The factor of 1 − cosine of nearby samples, for each layer of a repetition."""
        return self.growth ** (1.0 / self.count) if self.growth > 0 else math.nan


def repeated_block(network: Network) -> tuple[int, Block] | None:
    """Return the last block among the layers of a network that is repeated four times or more and
    starts from the layer before it, with its place, None if there is none."""
    for place in range(len(network.block.entries) - 1, -1, -1):
        entry = network.block.entries[place]
        layer = entry.layer
        if isinstance(layer, Block) and layer.repetitions >= LEAST_TIMES:
            return (place, layer) if entry.inputs in ((), (place,)) else None
    return None


def limit_of(network: Network, inputs: InputMoments, batch: int, *, train: bool) -> Limit | None:
    """Return the limit of the repeated block of a network, None where there is none or theory does
    not know it.

    `growth` is not known with dropout, whose masks tell samples apart, nor with batch norm, whose
    output depends on how different the samples of a batch are.
    """
    found = repeated_block(network)
    if found is None or inputs.norms is not None or network.input.grid:
        return None
    place, block = found
    # Theory of samples that are alike takes far less time, but batch norm makes them 0.
    parts = network.block.entries[: place + 1]
    alike = not (train and any(_norms_batches(entry.layer) for entry in parts))
    signal = signal_of(network.input, batch, inputs, pairs=False)
    if alike:
        signal = replace(signal, gap=0.0 * signal.same)
    before = Block(network.block.entries[:place]) if place else None
    if before is not None:
        signal = (before if train else before.evaluated()).moments([signal], batch).signal
    own = block if train else block.evaluated()
    if own.shape([signal.shape]) != signal.shape:
        return None
    settled = _settled(own, signal, batch)
    if settled is None:
        return None
    first, count = 0 if before is None else before.count, block.count // block.repetitions
    mean, second = float(settled.mean[0]), float(settled.same[0, 0])
    growth = math.nan if _mixes(own) else _growth(own, settled, batch)
    keeps = _keeps(own, settled, batch)
    return Limit(first, count, first + block.count, mean, second, keeps, growth)


def _settled(block: Block, signal: Signal, batch: int) -> Signal | None:
    """Return the signal after repetitions that no longer change it, None where they always do."""
    least = FAINT * float(signal.same[0, 0])
    for _ in range(MOST_RUNS):
        step = replace(block, times=RUN).moments([signal], batch)
        passed = [signal, *(turn[-1].signal for turn in step.turns)]
        start, end = _change(passed[0], passed[1]), _change(passed[-2], passed[-1])
        signal = step.signal
        if not signal.known:
            return None
        if step.equal or end <= STILL * float(signal.same[0, 0]):
            return signal if signal.same[0, 0] > least else None
        if end > FALLS * start:
            return None
    return None


def _change(one: Signal, other: Signal) -> float:
    means = abs(float(one.mean[0]) ** 2 - float(other.mean[0]) ** 2)
    return abs(float(one.same[0, 0] - other.same[0, 0])) + means


def _growth(block: Block, signal: Signal, batch: int) -> float:
    once = replace(block, times=1)
    after = once.moments([replace(signal, gap=NEARBY * signal.same)], batch).signal
    if not after.known:
        return math.nan
    return float(after.gap[0, 0] / after.same[0, 0]) / NEARBY


def _keeps(block: Block, signal: Signal, batch: int) -> bool:
    """Return whether a signal of another size does not return to this one."""
    square = MOVED**2
    moved = replace(
        signal, mean=MOVED * signal.mean, same=square * signal.same, gap=square * signal.gap
    )
    after = replace(block, times=RUN).moments([moved], batch).signal
    away = float(after.same[0, 0] / signal.same[0, 0]) - 1.0
    return not abs(away) < (1.0 - RETURNS) * (MOVED**2 - 1.0)


def _mixes(block: Block) -> bool:
    return _norms_batches(block) or any(
        isinstance(layer, AlphaDropout) or (isinstance(layer, Dropout) and layer.rate)
        for layer in layers_within(block)
    )


def _norms_batches(layer: Layer) -> bool:
    return any(isinstance(inner, BatchNorm) for inner in layers_within(layer))


def layers_within(layer: Layer) -> Iterator[Layer]:
    """Yield the layers of a container, or the layer itself, each once."""
    if not isinstance(layer, Container):
        yield layer
        return
    for entry in layer.parts:
        yield from layers_within(entry.layer)
