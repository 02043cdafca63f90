"""The singular values of the Jacobian of a dense stack at infinite width, by free probability.

Layer l is x_l = φ(z_l) with z_l = W_l x_{l−1} + b_l, so J = D_L W_L ⋯ D_1 W_1 with
D_l = diag φ'(z_l). At infinite width the D_l are independent of the W_l, and with N_l units the
S-transform of JJᵀ is

    S(M) = Π_l S_{D_l²}(N_L M / N_l) · S_l(M),

where S_l(M) = 1/(G²(1 + N_L M/N_{l−1})) for independent weights of variance G²/N_{l−1}. For
orthogonal ones it is 1/G², times (1 + N_L M/N_l)/(1 + N_L M/N_{l−1}) where a layer has more units
than inputs. Source: Pennington, Schoenholz and Ganguli, arXiv:1711.04735 and arXiv:1802.09979, for
square matrices; others follow from the nonzero eigenvalues of AB and BA being the same.

Limits: the error is of order depth/width, not small in networks that are as deep as wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from snstat.activation import Activation, resolve
from snstat.gaussian.quadrature import FloatArray, centred_nodes
from snstat.layers.weights import Weights
from snstat.network.stack import Stack

# A sine of a phase with a larger deviation has a uniform phase, to 1e-14, at so many points.
_TURNS, _PHASES = 4.0, 1024


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """The law of the squared slope d = φ'(z)² of a unit: `squares` ascending, and their
    probabilities, each (values,). `bounded` is whether φ' is."""

    squares: FloatArray
    weights: FloatArray
    bounded: bool = True

    @classmethod
    def of(cls, activation: Activation, q: float) -> Slopes | None:
        """Return the law for z ~ N(0, q), None at a kink, where backpropagation chooses a slope."""
        if q == 0 and 0.0 in activation.kinks:
            return None
        sine = activation.formed("sine")
        if sine is not None and sine[0] * math.sqrt(q) > _TURNS:
            phase = (np.arange(_PHASES) + 0.5) * (math.pi / _PHASES)
            squares, weights = (sine[0] * np.cos(phase)) ** 2, np.full(_PHASES, 1.0 / _PHASES)
        else:
            x, weights = centred_nodes(activation, math.sqrt(q))
            squares = activation.derivative(x) ** 2
        if not np.isfinite(squares).all():
            return None
        values, inverse = np.unique(squares, return_inverse=True)
        bounded = all(map(math.isfinite, activation.slopes))
        summed = np.bincount(inverse, weights, values.size).astype(np.float64)
        return cls(values, summed, bounded)

    @property
    def zero(self) -> float:
        """The probability of a slope of 0."""
        return float(self.weights[self.squares == 0].sum())

    @property
    def mean(self) -> float:
        """E[d]."""
        return float(self.weights @ self.squares)

    @property
    def spread(self) -> float:
        """Var[d]/E[d]²."""
        centred = self.squares - self.mean
        return float(self.weights @ centred**2) / self.mean**2

    def merged(self, most: int) -> Slopes:
        """Return the law with at most about `most` values, each the mean of those near it."""
        if self.squares.size <= most:
            return self
        # Finer near 0: logarithms of singular values are shown.
        part = self.squares / self.squares[-1]
        bins = np.minimum(0.5 * (part + part**0.1) * most, most - 1).astype(np.intp)
        weights = np.bincount(bins, self.weights, most).astype(np.float64)
        sums = np.bincount(bins, self.weights * self.squares, most)
        kept = weights > 0
        return Slopes(sums[kept] / weights[kept], weights[kept], self.bounded)


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """`count` layers that are alike to JJᵀ: the law of their slopes, and G² of their weights.

    `after` and `before` are the units of the last layer over those after and before this one."""

    slopes: Slopes
    square_gain: float
    after: float
    before: float
    orthogonal: bool
    count: int = 1

    @property
    def spread(self) -> float:
        """What a layer adds to the relative variance of squared singular values."""
        own = self.before
        if self.orthogonal:
            own = max(self.before - self.after, 0.0)
        return self.after * self.slopes.spread + own


def factors(stack: Stack, q: FloatArray, depth: int) -> list[Factor] | None:
    """Return the layers 1 to `depth` of a stack with these second moments `q` (depth + 1,) of the
    pre-activations; None where a law of slopes is not known."""
    units, found = stack.width_of(depth), list[Factor]()
    # Layers of equal weights and slopes are counted together.
    last: tuple[object, ...] = ()
    for number in range(1, depth + 1):
        layer = stack.layer(number)
        weights = Weights(
            layer.fan_in, layer.fan_out, layer.distribution, layer.square_gain, "normal", 0.0
        )
        # Slopes of piecewise linear functions with a kink at 0 do not depend on q.
        activation = resolve(layer.activation)
        scale = 1.0 if activation.formed("half_linear") and q[number] > 0 else float(q[number])
        own = weights, layer.activation, scale
        if found and own == last:
            found[-1] = _more(found[-1])
            continue
        last = own
        slopes = Slopes.of(activation, scale) if math.isfinite(scale) else None
        if slopes is None or weights.square_gain * slopes.mean == 0:
            return None
        found.append(
            Factor(
                slopes,
                weights.square_gain,
                units / weights.fan_out,
                units / weights.fan_in,
                weights.orthogonal,
            )
        )
    return found


def _more(factor: Factor) -> Factor:
    return Factor(
        factor.slopes,
        factor.square_gain,
        factor.after,
        factor.before,
        factor.orthogonal,
        factor.count + 1,
    )


@dataclass(frozen=True, slots=True)
class Moments:
    """Of the squares of the singular values, those that are 0 because of the shape left out: ln of
    their mean, their variance over its square, and the share of them that is exactly 0."""

    log_mean: float
    spread: float
    zero: float


def moments(layers: Sequence[Factor]) -> Moments:
    """Return the moments at infinite width. Where all widths are equal, the mean is Π G² E[d], and
    the relative variance Σ (Var[d]/E[d]² + 1), without the 1 for orthogonal weights."""
    ratio = shown(layers)
    log_mean = sum(
        own.count * (math.log(own.square_gain) + math.log(own.slopes.mean)) for own in layers
    )
    spread = sum(own.count * own.spread for own in layers)
    rank = min(_ranks(layers))
    return Moments(
        log_mean + math.log(ratio), (1.0 + spread) / ratio - 1.0, max(1.0 - rank * ratio, 0.0)
    )


def shown(layers: Sequence[Factor]) -> float:
    """Return the units of the last layer over the number of singular values."""
    return max(1.0, 1.0 / min(1.0, 1.0 / layers[0].before))


def rank(layers: Sequence[Factor]) -> float:
    """Return the share of the eigenvalues of JJᵀ that are not 0."""
    return min(_ranks(layers))


def _ranks(layers: Sequence[Factor]) -> Iterator[float]:
    """Yield for each layer and matrix a bound of the rank, over the units of the last layer. That
    of a free product is the smallest."""
    yield 1.0
    for own in layers:
        yield (1.0 - own.slopes.zero) / own.after
        yield 1.0 / own.before
