"""One simulated layer: its values, the pull-back of gradients, and what it draws from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from snstat.activation import Activation
from snstat.layers.arrays import Values as Values  # noqa: PLC0414  # most files take it from here
from snstat.layers.weights import Weights
from snstat.layers.window import Window

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# From ∂L/∂(values of a layer) to the same of its inputs, in their order.
PullValues = Callable[[Values], tuple[Values, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """One layer of one trial: its `values`, and the `pull` of gradients back to its inputs."""

    values: Values
    pull: PullValues


class Tied(Protocol):
    """Matrices on the same values, one below the other: W (outputs, fan_in) and their `biases`
    (outputs, 1)."""

    biases: Values

    def times(self, values: Values) -> Values:
        """Return W x, (…, outputs, columns), of x (…, fan_in, columns)."""
        ...

    def back(self, slope: Values) -> Values:
        """Return Wᵀ δ, (…, fan_in, columns), of δ (…, outputs, columns)."""
        ...


class Draw(Protocol):
    """What the engine lends to a layer, so that kinds import no kernels.

    What is drawn depends on the seed, the trial, the number of the layer and how often the layer
    has drawn before. `train` is whether dropout and the statistics of a batch are on.
    """

    train: bool

    def channels(self, count: int) -> int:
        """Return how many channels the layer has in the network, where `count` stand for it in the
        limit of infinite width; else `count` itself."""
        ...

    def linear(self, values: Values, weights: Weights) -> Pass:
        """Return W x + b over channels, with weights and biases drawn as `weights` says."""
        ...

    def convolve(self, values: Values, window: Window, weights: Weights, groups: int) -> Pass:
        """Return W ∗ x + b: what `linear` gives for the patches that the window takes of `values`,
        with a matrix for each of `groups` of channels, one after the other."""
        ...

    def matrix(self, weights: Weights) -> tuple[Values, Values]:
        """Return W (fan_out, fan_in) and b (fan_out,), drawn as `linear` draws them."""
        ...

    def tied(self, weights: Sequence[Sequence[Weights]], columns: int) -> Sequence[Tied]:
        """Return for each group of `weights` matrices on the same values, one below the other, that
        act at several times, on so many `columns` in all. Each has the law that its `weights` say.
        """
        ...

    def vectors(self, numbers: npt.NDArray[np.intp], width: int, std: float) -> Values:
        """Return the rows of these `numbers` of a matrix of independent N(0, `std`²), (numbers,
        width). A number has the same row whichever others are asked for."""
        ...

    def activate(self, function: Activation, values: Values) -> Pass:
        """Return φ(x) of every unit."""
        ...

    def normalise_channels(self, values: Values, epsilon: float) -> Pass:
        """Return (x − m)/√(ν + ε), with the mean m and the variance ν of a channel over the batch
        and all positions. NaN where that is 0/0."""
        ...

    def normalise_samples(self, values: Values, epsilon: float, *, centred: bool = True) -> Pass:
        """Return the same, with m and ν those of a sample and position over the channels. Where not
        `centred`, m is 0 and ν the mean of x²."""
        ...

    def kept(self, shape: tuple[int, ...], rate: float, dtype: np.dtype[Any]) -> Values:
        """Return 0 where one of `uniform`(shape) is below `rate`, else 1, as numbers of `dtype`."""
        ...

    def uniform(self, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        """Return independent numbers, uniform on [0, 1)."""
        ...
