"""Fluctuations of the Gram matrix of two samples between networks, layer by layer.

They are those of the sum and the difference of two samples' pre-activations, in the notation of
`gram_moments`, with δ the deviation of one network relative to infinite width:

    of P, U    variances V_P, V_U and covariance C; biases b_P, b_U
    of X       variance V_X over PU; by symmetry no bias and no covariance

An expectation f changes by f_P b_P + f_U b_U + ½f_PP V_P + ½f_UU V_U + f_PU (C + 2V_X), where
weights that are not Gaussian add k to the variances. Averages over the n units of a layer fluctuate
by (E fg − E f E g)/n + f_i g_j V_ij. Weights pass on the share λ of P and all of U. Derived in
docs/finite-width.md, with the residuals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from snstat.gaussian.gram_moments import GramMoments
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.spread import ENDLESS, LARGEST_VARIANCE, settled
from snstat.layers.weights import Weights
from snstat.network.stack import Stack
from snstat.results import BoolArray, InputMoments
from snstat.theory.fluctuations import Fluctuations, last_motion
from snstat.theory.layer_moments import Moments
from snstat.theory.prediction import Prediction


class GramState(NamedTuple):
    """State of the activations of one layer, relative to infinite width, NaN where not known.

    `along`, `across` are the biases of ½E(φ₁ + φ₂)² and ½E(φ₁ − φ₂)². `first` and `second` are
    their variances, `mixed` their covariance. `crossed` is the variance of ½(φ₁² − φ₂²) over both.
    `residual` bounds the terms that `across` neglects, and `product_residual` those of E φ₁φ₂, over
    E φ². `largest` is the largest variance of the pre-activations so far.
    """

    along: float
    across: float
    first: float
    mixed: float
    second: float
    crossed: float
    residual: float
    product_residual: float
    largest: float


@dataclass(frozen=True, slots=True, eq=False)
class GramColumns:
    """The `GramState` of every layer, each array (depth + 1,)."""

    along: FloatArray
    across: FloatArray
    first: FloatArray
    mixed: FloatArray
    second: FloatArray
    crossed: FloatArray
    residual: FloatArray
    product_residual: FloatArray
    largest: FloatArray

    @property
    def trusted(self) -> BoolArray:
        """Where the fluctuations are so small that first order describes them."""
        trusted: BoolArray = self.largest <= LARGEST_VARIANCE
        return trusted

    @property
    def spread(self) -> FloatArray:
        """The sum of the variances."""
        return self.first + self.second + self.crossed


@dataclass(frozen=True, slots=True)
class _Shape:
    """Fourth cumulants of pre-activations, expressed as variances: of P, of U, and of both."""

    first: float
    second: float
    mixed: float


_UNKNOWN = GramState(*[math.nan] * len(GramState._fields))


def follow_gram(
    stack: Stack,
    inputs: InputMoments,
    prediction: Prediction,
    moments: Moments,
    fluctuations: Fluctuations,
) -> GramColumns:
    """Return the `GramState` of every layer.

    Values are NaN from the first layer where something is not known: for data as inputs, whose
    pairs differ, and for variances beyond `ENDLESS`.
    """
    columns = np.full((len(GramState._fields), stack.depth + 1), math.nan)
    after = _input(stack, inputs)
    columns[:, 0] = after
    known, squares = math.isfinite(after.first), _input_squares(inputs)
    for first, count, layer in stack.equal_layers():
        if not known:
            break
        end, previous = first + count, _UNKNOWN
        motion = last_motion(moments, first, end)
        for number in range(first, end):
            q, misalignment = float(moments.q[number]), float(moments.misalignment[number])
            share = float(fluctuations.share[number])
            found = moments.gram(number)
            if found is None or not math.isfinite(fluctuations.shape[number]):
                known = False
                break
            # The share of P that comes from the weights.
            along = 1.0 - 2.0 * layer.bias_std**2 / (q * (2.0 - misalignment))
            shape = _shape(layer, along, squares)
            before = after._replace(
                along=along * after.along,
                first=along * along * after.first,
                mixed=along * after.mixed,
                crossed=along * after.crossed,
                product_residual=share * after.product_residual,
            )
            here = max(before.first, before.second, before.crossed)
            if not max(here, fluctuations.variance[number]) <= ENDLESS:
                known = False
                break
            after = _activate(
                found,
                before,
                shape,
                1.0 - misalignment,
                float(fluctuations.residual[number]),
                (along, float(fluctuations.pinned[number]), layer.fan_out),
            )
            squares = found.squares
            columns[:, number] = after
            if number > motion and settled(after, previous):
                columns[:, number:end] = np.array(after)[:, None]
                break
            previous = after
    return GramColumns(*columns)


def _activate(
    found: GramMoments,
    before: GramState,
    shape: _Shape,
    cosine: float,
    residual: float,
    weights: tuple[float, float, int],
) -> GramState:
    """Return the state after the activation, from `before`, the state of the pre-activations.

    `residual` is that of q. `weights` are the share of P that comes from the weights, the part that
    they pin, and the number of units.
    """
    share, pinned, units = weights
    a, g, tilt = found.along, found.across, found.tilt
    sum_square, product, difference_square = found.squares
    held = pinned * 2.0
    joint = before.mixed + shape.mixed + 2.0 * before.crossed

    def bias(f: dict[tuple[int, int], float]) -> float:
        return (
            f[1, 0] * before.along
            + f[0, 1] * before.across
            + 0.5 * f[2, 0] * (before.first + shape.first)
            + 0.5 * f[0, 2] * (before.second + shape.second)
            + f[1, 1] * joint
        )

    def covariance(
        f: dict[tuple[int, int], float], h: dict[tuple[int, int], float], fourth: float
    ) -> float:
        kept = held * (f[1, 0] * h[1, 0] * share**2 + f[0, 1] * h[0, 1])
        return (
            (fourth - 1.0 - kept) / units
            + f[1, 0] * h[1, 0] * before.first
            + f[0, 1] * h[0, 1] * before.second
            + (f[1, 0] * h[0, 1] + f[0, 1] * h[1, 0]) * before.mixed
        )

    # E φ₁φ₂ over E φ², and its response to q and to the product of pre-activations over q.
    both = {order: found.alike * a[order] - (1.0 - found.alike) * g[order] for order in a}
    near, far = both[1, 0] / (1.0 + cosine), both[0, 1] / max(1.0 - cosine, 1e-300)
    if cosine == 1.0:  # identical samples: only their square is left
        near, far = both[1, 0] + both[0, 1], 0.0
    leaning = (1.0 - cosine) / (1.0 + cosine)
    sizes = (
        _root(before.first + abs(shape.first)),
        _root(before.second + abs(shape.second)),
        _root(before.crossed + 0.5 * abs(shape.mixed)),
    )
    return GramState(
        bias(a),
        bias(g),
        covariance(a, a, sum_square),
        covariance(a, g, product),
        covariance(g, g, difference_square),
        (product - pinned * share * tilt**2) / units + tilt**2 * before.crossed,
        abs(2.0 * g[1, 0] / (1.0 + cosine)) * residual
        + abs(g[0, 1] - g[1, 0] * leaning) * before.residual
        + _roughness(g, sizes, signed=False),
        abs(near + far) * residual
        + abs(near - far) * before.product_residual
        + _roughness(both, sizes, signed=True),
        max(before.largest, before.first, before.second, before.crossed),
    )


def _root(variance: float) -> float:
    """Return the root of a variance, which may be rounded below 0 where hardly anything varies."""
    return math.sqrt(max(variance, 0.0))


def _roughness(
    f: dict[tuple[int, int], float], sizes: tuple[float, float, float], *, signed: bool
) -> float:
    """Return the size of the second-order terms of an expectation, from its derivatives 2 to 4.

    All directions are weighted as `by_q.derivatives` weights one. `sizes` are the standard
    deviations of P, U and X. If `signed`, equal contributions of the sum and the difference of the
    samples cancel: completely for uncorrelated samples of an odd activation.
    """
    p, u, x = sizes
    p2, u2, x2 = p * p, u * u, 4.0 * x * x
    total = p2 + u2 + x * x

    def both(first: float, second: float) -> float:
        return abs(first + second) if signed else abs(first) + abs(second)

    second = both(f[2, 0] * p2, f[0, 2] * u2) + abs(f[1, 1]) * (2.0 * p * u + x2)
    third = both(f[3, 0] * p2 * p, f[0, 3] * u2 * u)
    third += 3.0 * both(f[2, 1] * p2 * u, f[1, 2] * p * u2)
    third += 3.0 * both(f[2, 1] * p * x2, f[1, 2] * u * x2)
    fourth = both(f[4, 0] * p2 * p2, f[0, 4] * u2 * u2)
    fourth += 4.0 * both(f[3, 1] * p2 * p * u, f[1, 3] * p * u2 * u)
    fourth += 6.0 * both(f[3, 1] * p2 * x2, f[1, 3] * u2 * x2)
    fourth += abs(f[2, 2]) * (6.0 * p2 * u2 + x2 * x2 + 12.0 * p * u * x2)
    return 0.5 * (0.5 * (second * total + third * math.sqrt(total)) + 0.125 * fourth)


def _input(stack: Stack, inputs: InputMoments) -> GramState:
    """Return the state of layer 0, whose units are independent."""
    if not inputs.drawn:
        return _UNKNOWN
    sum_square, product, difference_square = _input_squares(inputs)
    width = stack.width_of(0)
    return GramState(
        0.0,
        0.0,
        (sum_square - 1.0) / width,
        (product - 1.0) / width,
        (difference_square - 1.0) / width,
        product / width,
        0.0,
        0.0,
        0.0,
    )


def _input_squares(inputs: InputMoments) -> tuple[float, float, float]:
    """Return E a², E[a g] and E g² of drawn values, which are symmetric about their mean."""
    excess = 0.0 if math.isnan(inputs.kurtosis) else inputs.kurtosis - 3.0
    fixed = 2.0 * inputs.cosine / (1.0 + inputs.cosine)
    free = 1.0 - fixed
    fourth, mixed = 3.0 + 0.5 * excess, 1.0 + 0.5 * excess
    return fixed**2 + 6.0 * fixed * free + fourth * free**2, fixed + free * mixed, fourth


def _shape(layer: Weights, share: float, squares: tuple[float, float, float]) -> _Shape:
    """Return the shape of pre-activations whose inputs have E a², E[a g] and E g² `squares`.

    It corresponds to the shape in `fluctuations` for one sample.
    """
    biases = layer.bias_excess / 3.0 * (1.0 - share) ** 2
    if layer.orthogonal:
        each = -2.0 / layer.larger
        return _Shape(each * share**2 + biases, each, each * share)
    each = layer.excess / 3.0 / layer.fan_in
    return _Shape(
        each * share**2 * squares[0] + biases, each * squares[2], 3.0 * each * share * squares[1]
    )
