"""What the network is: a uniform dense stack, its initialiser, and their validation.

Layer 0 is the input; layer l (1..depth) is activation l. Layer l computes
``phi(W x + b)`` with ``W`` of shape (fan_out, fan_in).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from snstat.activation import ACTIVATIONS
from snstat.errors import InvalidValueError, UnknownNameError

Distribution = Literal["normal", "uniform", "orthogonal"]

# Index arithmetic of the random-number counters allows 2**56 weights per layer; anything near
# these bounds is far beyond memory and time, and is refused before anything is allocated.
MAX_WIDTH = 2**28
MAX_DEPTH = 10**9
# Squares of gains and standard deviations must stay finite.
MAX_SCALE = 1e100


@dataclass(frozen=True, slots=True)
class Initialiser:
    """How one layer's weights are drawn.

    `square_gain(fan_in, fan_out)` is G², weights having variance G²/fan_in; `bias_variance` of
    the uniform biases that come with the scheme is `bias_square_gain`/fan_in.
    """

    name: str
    distribution: Distribution
    square_gain: Callable[[int, int], float]
    citation: str
    bias_square_gain: float = 0.0


def _lecun(_fan_in: int, _fan_out: int) -> float:
    return 1.0


def _he(_fan_in: int, _fan_out: int) -> float:
    return 2.0


def _glorot(fan_in: int, fan_out: int) -> float:
    return 2.0 * fan_in / (fan_in + fan_out)


def _third(_fan_in: int, _fan_out: int) -> float:
    return 1.0 / 3.0


_LECUN = "LeCun, Bottou, Orr, Müller, Efficient BackProp (1998)"
_HE = "He, Zhang, Ren, Sun, Delving Deep into Rectifiers, arXiv:1502.01852"
_GLOROT = "Glorot, Bengio, Understanding the difficulty of training deep networks (2010)"
_SAXE = "Saxe, McClelland, Ganguli, Exact solutions to nonlinear dynamics, arXiv:1312.6120"
_TORCH = "torch.nn.Linear: weights and biases uniform on ±1/√fan_in"

INITIALISERS: Mapping[str, Initialiser] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Initialiser("lecun_normal", "normal", _lecun, _LECUN),
            Initialiser("lecun_uniform", "uniform", _lecun, _LECUN),
            Initialiser("he_normal", "normal", _he, _HE),
            Initialiser("he_uniform", "uniform", _he, _HE),
            Initialiser("glorot_normal", "normal", _glorot, _GLOROT),
            Initialiser("glorot_uniform", "uniform", _glorot, _GLOROT),
            Initialiser("orthogonal", "orthogonal", _lecun, _SAXE),
            Initialiser("torch_default", "uniform", _third, _TORCH, bias_square_gain=1.0 / 3.0),
        )
    }
)


@dataclass(frozen=True, slots=True)
class DenseLayer:
    """One dense layer with its activation.

    Weights (fan_out, fan_in) are drawn from `distribution` with variance `square_gain`/fan_in;
    biases from `bias_distribution` with standard deviation `bias_std`.
    """

    activation: str
    fan_in: int
    fan_out: int
    distribution: Distribution
    square_gain: float
    bias_distribution: Literal["normal", "uniform"]
    bias_std: float


@dataclass(frozen=True, slots=True)
class Stack:
    """A uniform dense stack. Build it with `Stack.build`, which validates and fills defaults.

    `weight_gain` and `bias_std` are None where the initialiser decides.
    """

    activation: str
    depth: int
    width: int
    input_width: int
    init: str
    weight_gain: float | None
    bias_std: float | None

    @classmethod
    def build(
        cls,
        activation: str = "selu",
        depth: int = 64,
        width: int = 1024,
        *,
        init: str | None = None,
        weight_gain: float | None = None,
        bias_std: float | None = None,
        input_width: int | None = None,
    ) -> Stack:
        """Return a validated stack.

        `init` defaults to what the activation's literature uses (`Activation.default_init`),
        `input_width` to `width`. Raises UnknownNameError and InvalidValueError.
        """
        known("activation", activation, ACTIVATIONS)
        if init is None:
            init = ACTIVATIONS[activation].default_init
        known("init", init, INITIALISERS)
        width = integer("width", width, 1, MAX_WIDTH)
        return cls(
            activation,
            integer("depth", depth, 1, MAX_DEPTH),
            width,
            width if input_width is None else integer("input width", input_width, 1, MAX_WIDTH),
            init,
            None if weight_gain is None else number("weight_gain", weight_gain, 0.0, MAX_SCALE),
            None if bias_std is None else number("bias_std", bias_std, 0.0, MAX_SCALE),
        )

    def layer(self, index: int) -> DenseLayer:
        """Return layer `index` (1..depth)."""
        scheme = INITIALISERS[self.init]
        fan_in = self.input_width if index == 1 else self.width
        if self.weight_gain is None:
            square_gain = scheme.square_gain(fan_in, self.width)
        else:
            square_gain = self.weight_gain**2
        own_bias = self.bias_std is None and scheme.bias_square_gain > 0
        bias_std = math.sqrt(scheme.bias_square_gain / fan_in) if own_bias else self.bias_std
        return DenseLayer(
            self.activation,
            fan_in,
            self.width,
            scheme.distribution,
            square_gain,
            "uniform" if own_bias else "normal",
            bias_std or 0.0,
        )

    def layers(self) -> Iterator[DenseLayer]:
        """Yield layers 1..depth."""
        if self.depth >= 1:
            yield self.layer(1)
        repeated = self.layer(2)
        for _ in range(2, self.depth + 1):
            yield repeated

    @property
    def hidden_gain(self) -> float:
        """G of the square layers: weights have variance G²/fan_in."""
        return (
            math.sqrt(self.layer(2).square_gain) if self.weight_gain is None else self.weight_gain
        )

    @property
    def hidden_bias_std(self) -> float:
        """Standard deviation of the biases of the square layers."""
        return self.layer(2).bias_std


def known(name: str, value: object, names: Collection[str]) -> None:
    """Raise UnknownNameError unless `value` is one of `names`."""
    if not isinstance(value, str) or value not in names:
        raise UnknownNameError(name, value, names)


def integer(name: str, value: object, low: int, high: int) -> int:
    """Return `value` as an int within [low, high]; raise InvalidValueError otherwise."""
    bound = f"a whole number from {low} to {high}"
    try:
        result = operator.index(value)  # type: ignore[arg-type]  # a TypeError is the answer here
    except TypeError:
        raise InvalidValueError(name, value, bound) from None
    if isinstance(value, bool) or not low <= result <= high:
        raise InvalidValueError(name, value, bound)
    return result


def number(name: str, value: object, low: float = -math.inf, high: float = math.inf) -> float:
    """Return `value` as a finite float within [low, high]; raise InvalidValueError otherwise."""
    bound = "a finite number"
    if low > -math.inf:
        bound += f" of at least {low:g}" if high == math.inf else f" from {low:g} to {high:g}"
    try:
        result = float(value)  # type: ignore[arg-type]  # whatever float() refuses is refused here
    except (TypeError, ValueError, OverflowError):
        raise InvalidValueError(name, value, bound) from None
    if not (math.isfinite(result) and low <= result <= high):
        raise InvalidValueError(name, value, bound)
    return result
