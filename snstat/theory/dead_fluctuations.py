"""The dead fraction of a batch to first order in 1/width.

It depends on the whole Gram matrix of the samples, whose entries fluctuate jointly. For different
samples a, b, c, d and relative to q, the covariances of the entries are V(aa,aa), V(aa,bb),
V(aa,ab), V(aa,bc), V(ab,ab), V(ab,ac) and V(ab,cd), in this order below. The average of φ_a² over a
layer responds to entry aa by χ, that of φ_aφ_b to aa and bb by A and to ab by C. The units add
(E[φ_aφ_bφ_cφ_d] − E[φ_aφ_b] E[φ_cφ_d])/n. Derived in docs/finite-width.md.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import resolve
from snstat.gaussian.dead import dead_fraction
from snstat.gaussian.dead_moments import DeadTable, patterns
from snstat.gaussian.gram_moments import GramMoments
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.weights import Weights
from snstat.network.stack import Stack
from snstat.results import InputMoments
from snstat.theory.by_layer import activations_of
from snstat.theory.corrected import LARGEST_SHIFT, Corrected
from snstat.theory.fluctuations import Fluctuations, last_motion
from snstat.theory.gram import GramColumns
from snstat.theory.layer_moments import Moments
from snstat.theory.prediction import Prediction

# For each covariance, the pattern of `dead_moments` that it belongs to.
_PATTERN = [0, 2, 1, 3, 2, 3, 4]


def dead_of_batch(
    stack: Stack,
    batch: int,
    inputs: InputMoments,
    prediction: Prediction,
    moments: Moments,
    states: tuple[Fluctuations, GramColumns],
) -> Corrected:
    """Return the expected dead fraction of networks that are not silent. `states` are those of one
    sample and of two. The result is NaN where pairs of samples are not known or have a correlation
    below 0."""
    fluctuations, gram = states
    unknown = np.full(stack.depth + 1, math.nan)
    if not inputs.drawn:
        return Corrected(unknown, unknown, unknown == 0)
    shift = _shifts(stack, batch, inputs, prediction, moments, (fluctuations, gram))
    known = np.flatnonzero(np.isfinite(shift))
    dead = unknown.copy()
    for name, layers in activations_of(stack):
        part = known[(known >= layers.start) & (known < (layers.stop or dead.size))]
        if part.size:
            q, misalignment = moments.q[part], moments.misalignment[part]
            dead[part] = dead_fraction(resolve(name), q, misalignment, batch)
    size = np.abs(shift)
    trusted = gram.trusted & (size <= LARGEST_SHIFT * dead)
    with np.errstate(divide="ignore", invalid="ignore"):
        again = np.where(size > 0, size / dead, 0.0)
        neglected = size * (again + 3.0 * gram.spread)
    return Corrected(dead + shift, neglected, trusted)


def _shifts(
    stack: Stack,
    batch: int,
    inputs: InputMoments,
    prediction: Prediction,
    moments: Moments,
    states: tuple[Fluctuations, GramColumns],
) -> FloatArray:
    """Return the change of the dead fraction relative to infinite width, (depth + 1,)."""
    fluctuations, gram = states
    shift = np.full(stack.depth + 1, math.nan)
    tables: dict[tuple[str, float], DeadTable] = {}
    products, cosine = patterns(_input_moments(inputs)), float(inputs.cosine)
    cosines = prediction.statistics["cosine"]
    covariance = _fresh(products, cosine) / stack.width_of(0)
    for first, count, layer in stack.equal_layers():
        activation, end = resolve(layer.activation), first + count
        motion = last_motion(moments, first, end) if activation.flat else first
        for number in range(first, end):
            found, forward = moments.gram(number), moments.forward(number)
            misalignment = float(moments.misalignment[number])
            negative = misalignment > 1.0 + 1e-12  # allow for rounding at zero correlation
            if found is None or forward is None or not activation.flat or negative:
                return shift
            if not math.isfinite(gram.spread[number]):
                return shift
            share = float(fluctuations.share[number])
            before = share**2 * covariance
            before[0], before[1] = fluctuations.variance[number], fluctuations.pair[number]
            aligned = share - misalignment
            cumulants = _cumulants(before) + _shape(layer, share, aligned, products)
            # The bias of the product of two samples.
            product = 0.5 * (1.0 + cosine) * gram.along[number - 1]
            product -= 0.5 * (1.0 - cosine) * gram.across[number - 1]
            state = layer.activation, float(moments.q[number])
            if state not in tables:
                tables[state] = DeadTable(activation, state[1], forward.rms, batch)
            numbers = tables[state].numbers(misalignment)
            products, factors = numbers[:5], numbers[5:]
            changes = factors * [fluctuations.bias[number], share * product, *cumulants]
            shift[number] = changes.sum()
            cosine = float(cosines[number])
            responses = (forward.square.slope, *_responses(found, misalignment))
            pinned = float(fluctuations.pinned[number])
            fresh = _fresh(products, cosine) - pinned * _carry(_wishart(share, aligned), responses)
            previous, covariance = covariance, fresh / layer.fan_out + _carry(before, responses)
            if number > motion and np.allclose(previous, covariance, rtol=1e-13, atol=0.0):
                shift[number:end] = shift[number]
                break
    return shift


def _input_moments(inputs: InputMoments) -> tuple[float, float, float, float]:
    """Return E x to E x⁴ of drawn values over powers of √E[x²]."""
    size = math.sqrt(inputs.second_moment) or 1.0
    mean, variance = inputs.mean / size, inputs.variance / size**2
    fourth = 0.0 if variance == 0 else inputs.kurtosis * variance**2
    return (
        mean,
        mean**2 + variance,
        mean**3 + 3.0 * mean * variance,
        mean**4 + 6.0 * mean**2 * variance + fourth,
    )


def _fresh(products: FloatArray, cosine: float) -> FloatArray:
    """Return the covariances that single units contribute."""
    c = cosine
    fresh: FloatArray = products[_PATTERN] - np.array([1.0, 1.0, c, c, c * c, c * c, c * c])
    return fresh


def _responses(found: GramMoments, misalignment: float) -> tuple[float, float]:
    """Return the responses of E φ_aφ_b over E φ² to entries aa and ab, relative to q."""
    by_sum, by_difference = (
        found.alike * found.along[order] - (1.0 - found.alike) * found.across[order]
        for order in ((1, 0), (0, 1))
    )
    by_sum /= 2.0 - misalignment
    by_difference /= max(misalignment, 1e-8)
    return 0.5 * (by_sum + by_difference), by_sum - by_difference


def _carry(v: FloatArray, responses: tuple[float, float, float]) -> FloatArray:
    """Return the covariances of averages over a layer, given those of its pre-activations `v`."""
    x, a, c = responses
    return np.array(
        [
            x * x * v[0],
            x * x * v[1],
            x * (a * (v[0] + v[1]) + c * v[2]),
            x * (2.0 * a * v[1] + c * v[3]),
            2.0 * a * a * (v[0] + v[1]) + 4.0 * a * c * v[2] + c * c * v[4],
            a * a * (v[0] + 3.0 * v[1]) + 2.0 * a * c * (v[2] + v[3]) + c * c * v[5],
            4.0 * a * a * v[1] + 4.0 * a * c * v[3] + c * c * v[6],
        ]
    )


def _wishart(own: float, aligned: float) -> FloatArray:
    """Return the covariances of products of Gaussians, given their variance and covariance."""
    square, mixed, both = own * own, own * aligned, aligned * aligned
    return np.array(
        [
            2.0 * square,
            2.0 * both,
            2.0 * mixed,
            2.0 * both,
            square + both,
            mixed + both,
            2.0 * both,
        ]
    )


def _cumulants(v: FloatArray) -> FloatArray:
    """Return the fourth cumulants, by pattern, of Gaussians whose Gram matrix fluctuates."""
    return np.array([3.0 * v[0], 3.0 * v[2], v[1] + 2.0 * v[4], v[3] + 2.0 * v[5], 3.0 * v[6]])


def _shape(layer: Weights, share: float, aligned: float, products: FloatArray) -> FloatArray:
    """Return the fourth cumulants of weights and biases that are not Gaussian, by pattern."""
    found = np.full(5, layer.bias_excess * (1.0 - share) ** 2)
    if layer.orthogonal:
        # The three pairings. The covariances of products hold each of them twice.
        return found - _cumulants(_wishart(share, aligned)) / layer.larger
    return found + layer.excess * share**2 / layer.fan_in * products
