"""A transposed convolution: φ(z + b) on a larger grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, replace
from functools import lru_cache
from typing import ClassVar

import numpy as np

from snstat.activation import Pair, resolve
from snstat.activation.kind import ActivationName
from snstat.errors import InvalidValueError
from snstat.layers.biases import biases
from snstat.layers.dense_layer import LINEAR
from snstat.layers.draw import Draw, Pass, Values
from snstat.layers.initialisers import INITIALISERS
from snstat.layers.layer import one
from snstat.layers.no_theory import NoTheory
from snstat.layers.options import WeightOptions, defaults
from snstat.layers.shape import Shape
from snstat.layers.signal import Signal, Step
from snstat.layers.through_weights import pre_second_moment
from snstat.layers.transposed import transposed
from snstat.layers.weighted import Weighted
from snstat.layers.weights import Weights
from snstat.layers.window import Window
from snstat.layers.window_axis import Axis
from snstat.layers.window_options import SIZES, grid_of
from snstat.limits import MAX_WIDTH
from snstat.values.kinds import Whole
from snstat.values.option import option
from snstat.values.sizes import GridSizes, Sizes, of_axes

CROP = GridSizes(0, MAX_WIDTH)


@dataclass(frozen=True, kw_only=True)
class ConvTranspose(WeightOptions, Weighted):
    """φ(z + b) on a larger grid: the sum z of W_Δ x_u at position su + Δ.

    Every position u before it puts down k taps Δ, and the next one the same s further on, so that N
    positions along an axis become s(N − 1) + k, less those that are cropped at its ends, as the
    padding of PyTorch crops them. E[z_U z_V] = n Var w Σ E[x_u x_v] + b² with n channels before,
    over all u, v and Δ such that U = su + Δ and V = sv + Δ, whatever the law of x. So E[z_U²]
    counts the taps that meet at U: inside, ⌊k/s⌋ or ⌈k/s⌉ along each axis, a checkerboard unless s
    divides k, and fewer at the border. E[δδ'] goes back by the adjoint of the sum, times (channels
    after) Var w. Pre-activations are Gaussian given x if weights are, else in the limit of many
    channels before; without biases, positions that no tap meets (s > k) are 0, and theory of an
    activation is null.

    The fan-in of weight_gain and init is what meets at a position on average, n k/s for each axis;
    that of torch_default is PyTorch's, channels after · k, and orthogonal is the matrix from n
    channels to all taps. Normalized and standardized weights are those of one channel at one tap
    (arXiv:1603.07285; checkerboards: Odena, Dumoulin, Olah 2016).
    """

    kind: ClassVar[str] = "conv_transpose"

    channels: int = option(Whole(1, MAX_WIDTH), "Channels of the output.", default=MISSING)
    kernel: Sizes = option(SIZES, "Taps of the kernel, along each axis.", default=MISSING)
    stride: Sizes = option(
        SIZES, "Distance after it of two positions that are next to each other.", default=MISSING
    )
    crop: Sizes = option(CROP, "Positions that are taken away at both ends of an axis.", default=0)
    crop_end: Sizes | None = option(
        CROP, "Positions that are taken away at the second end instead.", shown="crop"
    )
    activation: str | Pair | None = option(
        ActivationName(), "Activation of the units.", shown="none"
    )

    def window(self, shape: Shape) -> Window:
        """Return the window over the grid after the layer that moves to each position before it.
        Raises InvalidValueError for a vector, and for sizes that do not fit."""
        grid = grid_of(shape)
        last = self.crop if self.crop_end is None else self.crop_end
        kernel, stride, crop, crop_end = (
            of_axes(name, value, len(grid))
            for name, value in (
                ("kernel", self.kernel),
                ("stride", self.stride),
                ("crop", self.crop),
                ("crop_end", last),
            )
        )
        return _window(grid, kernel, stride, crop, crop_end)

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """See Layer. Raises InvalidValueError for a vector, and for sizes that do not fit."""
        shape = one(inputs)
        grid = tuple(axis.size for axis in self.window(shape).axes)
        self.require_centred(shape.channels)
        return Shape(self.channels, grid)

    def at(self, shape: Shape) -> Weights:
        """Return the weights from the channels before to all taps of those after: G² is n Var w.
        Biases are those of the sum."""
        over, before = self.window(shape), shape.channels
        rows, strides = over.taps * self.channels, over.strides
        init, gain = defaults(
            resolve(self.activation or LINEAR).name, self.init, self.weight_gain, self.weight_std
        )
        scheme = INITIALISERS[init]
        # The fan-in is the first of these over the second, and what fans out likewise.
        fan_in, parts = over.taps * before, strides
        if scheme.bias_square_gain > 0:  # PyTorch's own
            fan_in, parts = rows, 1
        elif scheme.distribution == "orthogonal":
            fan_in, parts = before, 1
        found = Weights.of(
            init,
            fan_in,
            parts * rows,
            weight_gain=gain,
            weight_std=self.weight_std,
            bias_std=self.bias_std,
            form=self.weights,
        )
        if self.weight_std is not None:
            parts = 1
        square = found.square_gain * parts * before / fan_in
        return replace(found, fan_in=before, fan_out=rows, square_gain=square)

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """See Layer."""
        shape = one(inputs)
        return (self.window(shape).taps * shape.channels + 1) * self.channels

    def unlimited(self, own: Sequence[Shape], wide: Sequence[Shape]) -> str:  # noqa: ARG002
        """See Layer. Biases are added to sums over taps, by the layer itself."""
        weights = self.at(one(own))
        if self.bias_std is not None or weights.bias_std == 0:
            return ""
        return (
            f"biases of init {self.init} depend on the width; give the layer bias_std ="
            f" {weights.bias_std:.6g}"
        )

    def matrices(self, inputs: Sequence[Shape]) -> tuple[Weights, ...]:
        """See Layer."""
        return (_matrix(self.at(one(inputs))),)

    def gathered(self, inputs: Sequence[Shape]) -> int:
        """See Layer: what all positions put down."""
        shape = one(inputs)
        return self.window(shape).taps * self.channels * shape.positions

    def slopes(self, shape: Shape, mean: float, second_moment: float) -> tuple[float, ...]:
        """See Layer. A weight is used once for each position before, which are fewer than those
        after: the average over these of E[φ'²] times the share of all taps that meet there."""
        weights, over = self.at(shape), self.window(shape)
        met = over.spread(np.ones(over.positions))
        counts, times = np.unique(met, return_counts=True)
        total = 0.0
        put = pre_second_moment(_matrix(weights), mean, second_moment)
        for count, often in zip(counts, times, strict=True):
            q = float(count) * put + weights.bias_std**2
            total += count * often * self.square_slope(q)
        return (total / (over.taps * over.size),)

    def weighed(self, inputs: Sequence[Signal]) -> Step | NoTheory:
        """See Weighted."""
        signal = one(inputs)
        return transposed(self.at(signal.shape), self.channels, self.window(signal.shape), signal)

    def sample(self, inputs: Sequence[Values], draw: Draw) -> Pass:
        """See Layer."""
        values = one(inputs)
        shape = Shape(len(values), values.shape[2:])
        over, weights = self.window(shape), self.at(shape)
        put = draw.linear(values, _matrix(weights))
        back, z = put.pull, over.put_back(put.values)
        del put  # it may be larger than all else
        if weights.bias_std:
            added = biases(draw, self.channels, weights, z.dtype)
            z += added.reshape(-1, *[1] * (z.ndim - 1))
        own = Pass(z, lambda slope: back(over.patches(slope)))
        return self.activate(own, draw)


@lru_cache(maxsize=256)
def _window(
    grid: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    crop: tuple[int, ...],
    crop_end: tuple[int, ...],
) -> Window:
    """Return the window that moves over the grid after the layer to each position of `grid`."""
    axes = []
    for size, taps, step, first, last in zip(grid, kernel, stride, crop, crop_end, strict=True):
        whole = (size - 1) * step + taps
        if first + last >= whole:
            bound = f"less than the {whole:,} positions along an axis"
            raise InvalidValueError("crop at both ends", first + last, bound)
        axes.append(Axis(whole - first - last, taps, step, 1, first, size, around=False))
    return Window(tuple(axes))


def _matrix(weights: Weights) -> Weights:
    """Return the weights without biases, which are added to sums over taps."""
    return replace(weights, bias_std=0.0, bias_distribution="normal")
