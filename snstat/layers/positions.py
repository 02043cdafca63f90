"""Encodings of positions, which are added to a signal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from snstat.errors import InvalidValueError
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.between import outer_between, with_own
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.law import GAUSSIAN, OTHER, ZERO
from snstat.layers.layer import Layer, one
from snstat.layers.no_theory import BY_PLACE, NoTheory
from snstat.layers.shape import Shape
from snstat.layers.signal import PLACE, Signal, Step
from snstat.layers.squares import alone, outer
from snstat.layers.window_options import time_of
from snstat.limits import MAX_SCALE
from snstat.values.kinds import Name, Real
from snstat.values.option import option

IntArray = npt.NDArray[np.intp]
SINUSOIDAL, NORMAL = ENCODINGS = "sinusoidal", "normal"
# The longest wavelength of the sinusoids is 2π times this.
LONGEST = 10_000.0


@dataclass(frozen=True)
class Positions(Layer):
    """x + e, with one vector e_t for each time t, a grid of one axis. All samples have the same.

    sinusoidal: of n channels, channel 2j is sin(tω_j) and channel 2j + 1 is cos(tω_j), with ω_j =
    10000^(−2j/n) and t from 0. The last of an odd number of channels is a sine. E[e_s e_t] over the
    channels is (1/n) Σ_j cos((s − t)ω_j), exactly ½ at equal times if n is even, and the mean over
    the channels is not 0. normal: independent N(0, std²), drawn once a trial, as positions that
    are learned start, with std 1 in nn.Embedding and 0.02 in GPT-2; e_s and e_t are then
    uncorrelated.
    E[e_s e_t] is added to E[x_s x'_t] of one sample and of two, and with sinusoids E[x_s] E[e_t] +
    E[e_s] E[x'_t] too. Normal encodings leave Gaussian x Gaussian. Units with sinusoids differ by
    their place: what needs only second moments goes on, and an activation is not known. Nor is a
    second layer of sinusoids on one signal. Gradients stay (arXiv:1706.03762).
    """

    kind: ClassVar[str] = "positions"
    arrays: ClassVar[int] = 1
    sized: ClassVar[bool] = True  # the number of sinusoids

    encoding: str = option(
        Name(ENCODINGS),
        "sinusoidal: sines and cosines. normal: independent N(0, std²), drawn once a trial.",
        default=SINUSOIDAL,
    )
    std: float = option(
        Real(0.0, MAX_SCALE),
        "Standard deviation of every number of a normal encoding.",
        default=1.0,
    )

    def __post_init__(self) -> None:
        """Validate every value."""
        super().__post_init__()
        if self.encoding == SINUSOIDAL and self.std != 1.0:
            bound = "left out beside sinusoids, which have their own size"
            raise InvalidValueError("std", self.std, bound, "put encoding = normal, or a scale")

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError unless the grid has one axis."""
        shape = one(inputs)
        time_of(shape)
        return shape

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """See Layer: encodings that are drawn are learned."""
        return one(inputs).units if self.encoding == NORMAL else 0

    def moments(self, inputs: Sequence[Signal], batch: int) -> Step | NoTheory:  # noqa: ARG002
        """See Layer."""
        signal = one(inputs)
        after = (
            _with_normal(signal, self.std) if self.encoding == NORMAL else _with_sinusoids(signal)
        )
        if isinstance(after, NoTheory):
            return after
        return Step((signal,), after, lambda slope: (slope,))

    def between(self, steps: Sequence[Step], inputs: Sequence[FloatArray]) -> FloatArray:
        """See Layer. What is added is the same for all samples."""
        crossed, before = one(inputs), steps[0].inputs[0]
        mean = np.array([step.inputs[0].mean for step in steps])
        added = np.array([step.signal.mean for step in steps]) - mean
        both = outer(mean[0], added[0], before.same)
        own = steps[0].signal.same - before.same - both - both.T
        found = crossed + outer_between(mean, added, crossed) + outer_between(added, mean, crossed)
        return with_own(found + own, steps)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        values = one(inputs)
        channels, times = len(values), values.shape[2]
        if self.encoding == NORMAL:
            added = draw.vectors(np.arange(times), channels, self.std).T
        else:
            own = draw.channels(channels)
            added = sinusoids(own, times)[places(own, channels)].astype(values.dtype)
        return Pass(values + added[:, None], lambda slope: (slope,))


def sinusoids(channels: int, times: int) -> FloatArray:
    """Return the sinusoidal encoding of each time, (channels, times)."""
    frequencies = LONGEST ** (-np.arange(0, channels, 2) / channels)
    angles = np.outer(frequencies, np.arange(times))
    found = np.empty((channels, times))
    found[::2], found[1::2] = np.sin(angles), np.cos(angles[: channels // 2])
    return found


def places(own: int, channels: int) -> IntArray:
    """Return which of its `own` channels each of `channels` that stand for them is, (channels,):
    all equally often, with sines and cosines in turn."""
    every = np.arange(channels)
    if own == channels or own < 2:
        return every if own == channels else np.zeros_like(every)
    pairs = every // 2 * (own // 2) // -(-channels // 2)
    found: IntArray = 2 * pairs + every % 2
    return found


def _with_normal(signal: Signal, std: float) -> Signal:
    if not std:
        return signal
    own = alone(np.full_like(signal.mean, std**2), signal.same)
    return Signal(
        signal.shape,
        signal.mean,
        signal.same + own,
        signal.gap,
        GAUSSIAN if signal.law in (GAUSSIAN, ZERO) else OTHER,
        signal.fresh | {object()},
    )


def _with_sinusoids(signal: Signal) -> Signal | NoTheory:
    """Return the signal with sinusoids, or why not: the same units may already have some."""
    if PLACE in signal.fresh:
        return NoTheory(BY_PLACE)
    channels, times = signal.shape.channels, signal.mean.size
    added = sinusoids(channels, times)
    mean, lags = added.mean(0), added[1::2].sum(0) / channels
    # Of each sine and its cosine, the product of two times is a cosine of their distance.
    if signal.same.ndim == 1:
        own = np.full(times, lags[0])
    else:
        own = lags[np.abs(np.subtract.outer(np.arange(times), np.arange(times)))]
    if channels % 2:
        own = own + outer(added[-1], added[-1], signal.same) / channels
    cross = outer(signal.mean, mean, signal.same)
    return Signal(
        signal.shape,
        signal.mean + mean,
        signal.same + cross + cross.T + own,
        signal.gap,
        OTHER,
        signal.fresh | {PLACE},
    )
