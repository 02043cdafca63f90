"""Theory to first order in 1/width: the expected value of each statistic at the simulated width.

The pre-activation second moment q of one network fluctuates around its infinite-width value, and
its mean differs from that value (`fluctuations`). Every expectation over the activations of a layer
is a function f of q, expanded to second order. The square of a mean adds the variance of that mean.
See docs/finite-width.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from snstat.activation import resolve
from snstat.gaussian.dead import is_told
from snstat.gaussian.quadrature import FloatArray
from snstat.layers.shape import Shape
from snstat.layers.spread import ENDLESS
from snstat.network.stack import Stack
from snstat.results import GRADIENT, STATISTICS, InputMoments, within
from snstat.theory.at_input import exact_of_input
from snstat.theory.by_layer import activations_of, units
from snstat.theory.corrected import Corrected
from snstat.theory.dead_fluctuations import dead_of_batch
from snstat.theory.dead_single import dead_of_one
from snstat.theory.extremes import largest_input
from snstat.theory.finite_width_data import RELATIVE, alike_samples, sizes_of_data
from snstat.theory.fluctuations import Fluctuations, follow
from snstat.theory.gram import follow_gram
from snstat.theory.layer_moments import Moments
from snstat.theory.predict import predict
from snstat.theory.prediction import Prediction
from snstat.theory.ratios import cosine, kurtosis, over_batch
from snstat.theory.silence import always_half, dead_with_silence, zero_samples
from snstat.theory.single_samples import ForwardColumns, of_single_samples


@dataclass(frozen=True, slots=True, eq=False)
class FiniteWidth:
    """First-order theory of a stack. Every array has shape (depth + 1,), NaN where not known.

    `expected` maps each name of `results.STATISTICS`, and "largest" of the input, to the expected
    value of a trial, `residual` to the size of the neglected terms, of order 1/width².
    `log_gradient` is the expected logarithm of `gradient` and `log_gradient_residual` its residual,
    NaN unless they were requested. `fluctuation` is the standard deviation between networks of the
    logarithm of one sample's second moment, to first order even where it is large, infinite beyond
    2. `trial_fluctuation` is a lower bound on that of the mean over the batch of a trial.
    """

    expected: Mapping[str, FloatArray]
    residual: Mapping[str, FloatArray]
    fluctuation: FloatArray
    trial_fluctuation: FloatArray
    log_gradient: FloatArray
    log_gradient_residual: FloatArray


_UNKNOWN = Corrected(np.array(math.nan), np.array(math.nan), np.array(False))


# Where second moments overflow nothing is known, and their differences are NaN.
@np.errstate(over="ignore", invalid="ignore")
def finite_width(
    stack: Stack,
    batch: int,
    inputs: InputMoments,
    prediction: Prediction,
    *,
    backward: bool = False,
) -> FiniteWidth:
    """Return the first-order theory that corrects the infinite-width `prediction`.

    It covers every statistic that the infinite-width theory covers, as far as first order is
    accurate enough. For data as inputs it covers those that need no pairs of samples. Elsewhere the
    residual says how far the infinite-width theory may be off.
    """
    found = _to_first_order(stack, batch, inputs, prediction, backward=backward)
    if inputs.drawn:
        return found
    return _with_sizes(found, stack, batch, inputs, prediction, backward=backward)


def _with_sizes(
    found: FiniteWidth,
    stack: Stack,
    batch: int,
    inputs: InputMoments,
    prediction: Prediction,
    *,
    backward: bool,
) -> FiniteWidth:
    """Return `found` of data, with how far theory may be off where nothing is expected."""
    fewer = alike_samples(batch, inputs)

    def off(drawn: InputMoments) -> dict[str, FloatArray]:
        theory = predict(stack, fewer, drawn)
        there = _to_first_order(stack, fewer, drawn, theory, backward=backward)
        sizes = {
            GRADIENT: _off(there.log_gradient, theory.log_gradient, there.log_gradient_residual)
        }
        for name in STATISTICS:
            value = theory.statistics[name]
            size = _off(there.expected[name], value, there.residual[name])
            with np.errstate(invalid="ignore", divide="ignore"):
                sizes[name] = size / np.abs(value) if name in RELATIVE else size
        return sizes

    sizes = sizes_of_data(stack, batch, inputs, off)

    def known(residual: FloatArray, size: FloatArray, expected: FloatArray) -> FloatArray:
        return np.where(np.isnan(expected), size, residual)

    residual = dict(found.residual)
    for name in STATISTICS:
        theory = prediction.statistics[name]
        size = sizes[name] * (np.abs(theory) if name in RELATIVE else 1.0)
        residual[name] = known(residual[name], size + 0.0 * theory, found.expected[name])
    return replace(
        found,
        residual=MappingProxyType(residual),
        log_gradient_residual=known(
            found.log_gradient_residual, sizes[GRADIENT], found.log_gradient
        ),
    )


def _off(expected: FloatArray, theory: FloatArray, residual: FloatArray) -> FloatArray:
    """Return how far `theory` may be off: the residual where nothing is expected."""
    return np.where(np.isnan(expected), residual, np.abs(expected - theory) + residual)


def _to_first_order(
    stack: Stack, batch: int, inputs: InputMoments, prediction: Prediction, *, backward: bool
) -> FiniteWidth:
    """Return what is expected to first order in 1/width, as `finite_width` does."""
    moments = Moments(stack, prediction, backward=backward)
    fluctuations = follow(stack, batch, inputs, prediction, moments)
    forward = ForwardColumns.of(moments, int(np.isfinite(fluctuations.variance).sum()))
    found = of_single_samples(stack, batch, prediction, fluctuations, forward)
    if inputs.norms is None:
        trial = _fluctuation(stack, inputs, fluctuations, forward, batch)
    else:
        from snstat.theory.finite_width_classes import of_classes  # only data have classes

        by_class, sampling, alike = of_classes(stack, batch, inputs.norms)
        found |= by_class
        trial = np.nan_to_num(_fluctuation(stack, inputs, fluctuations, forward, alike))
        trial = np.hypot(trial, sampling)
    if batch == 1:
        still = np.where(np.isfinite(prediction.pre_second_moment), 0.0, math.nan)
        found["variance_over_batch"] = Corrected(still, still, still == 0)
    # What compares samples is not known of samples that differ in norm, unless they are drawn.
    if math.isfinite(inputs.length_variance):
        found |= _of_pairs(stack, batch, inputs, prediction, (moments, fluctuations, found))
    dead = found.get("dead_fraction", _UNKNOWN)
    found["dead_fraction"] = _dead(stack, batch, prediction, dead)
    expected, residual = {}, {}
    for name, exact in exact_of_input(Shape(stack.width_of(0)), batch, inputs).items():
        column = found.get(name, _UNKNOWN)
        # A value that no network can have shows that first order is not enough.
        low, high = within(name)
        possible = (column.value >= low) & (column.value <= high)
        column = column._replace(trusted=column.trusted & possible)
        theory = prediction.statistics[name]
        expected[name], residual[name] = (part + 0.0 * theory for part in column.beside(theory))
        if name != "dead_fraction":
            residual[name][~fluctuations.told] = math.nan
        if math.isfinite(exact):
            expected[name][0], residual[name][0] = exact, 0.0
    # Of later layers nothing is exact: at infinite width there is no largest activation.
    expected["largest"], residual["largest"] = np.full((2, stack.depth + 1), math.nan)
    expected["largest"][0] = largest = largest_input(inputs, batch * stack.width_of(0))
    residual["largest"][0] = 0.0 * largest
    zeros = zero_samples(stack, prediction.statistics["zero_samples"])
    expected["zero_samples"], residual["zero_samples"] = zeros, 0.0 * zeros
    log_gradient, log_residual = np.full((2, stack.depth + 1), math.nan)
    if backward:
        from snstat.theory.finite_width_gradient import expected_log_gradient  # few ask for it

        added = expected_log_gradient(stack, batch, fluctuations, moments)
        added_log, log_residual = added.beside(np.zeros(stack.depth + 1))
        log_gradient = prediction.log_gradient + added_log
    return FiniteWidth(
        MappingProxyType(expected),
        MappingProxyType(residual),
        _fluctuation(stack, inputs, fluctuations, forward),
        trial,
        log_gradient,
        log_residual,
    )


@np.errstate(over="ignore", invalid="ignore")
def of_one_sample(
    stack: Stack, inputs: InputMoments, prediction: Prediction
) -> tuple[FloatArray, FloatArray]:
    """Return `FiniteWidth.fluctuation` and the second moment, each (depth + 1,), without what pairs
    of samples need.

    The second moment is that of infinite width where first order is not trusted, and for data whose
    samples differ in norm.
    """
    moments = Moments(stack, prediction, backward=False)
    fluctuations = follow(stack, 1, inputs, prediction, moments)
    forward = ForwardColumns.of(moments, int(np.isfinite(fluctuations.variance).sum()))
    second = prediction.statistics["second_moment"]
    if inputs.norms is None:
        column = of_single_samples(stack, 1, prediction, fluctuations, forward)["second_moment"]
        expected, _ = column.beside(second)
        second = np.where(np.isnan(expected), second, expected)
    return _fluctuation(stack, inputs, fluctuations, forward), second


def _of_pairs(
    stack: Stack,
    batch: int,
    inputs: InputMoments,
    prediction: Prediction,
    known: tuple[Moments, Fluctuations, Mapping[str, Corrected]],
) -> dict[str, Corrected]:
    """Return kurtosis and dead fraction, and what compares samples if there is more than one;
    `known` is what is known of single samples."""
    moments, fluctuations, alone = known
    found = {"kurtosis": kurtosis(stack, batch, inputs, moments, fluctuations)}
    if batch > 1:
        gram = follow_gram(stack, inputs, prediction, moments, fluctuations)
        relative = alone["second_moment"].neglected / prediction.statistics["second_moment"]
        relative[0] = 0.0
        found["cosine"] = cosine(prediction, batch, gram, relative)
        found["variance_over_batch"] = over_batch(prediction, gram)
        found["dead_fraction"] = dead_of_batch(
            stack, batch, inputs, prediction, moments, (fluctuations, gram)
        )
    else:
        found["dead_fraction"] = dead_of_one(stack, moments, fluctuations)
    return {
        name: column._replace(trusted=column.trusted & fluctuations.trusted)
        for name, column in found.items()
    }


def _dead(stack: Stack, batch: int, prediction: Prediction, column: Corrected) -> Corrected:
    """Return the dead fraction over all networks, of which some are silent. `column` is that of
    networks that are not silent."""
    dead, neglected = (np.broadcast_to(part, stack.depth + 1).copy() for part in column[:2])
    trusted = np.broadcast_to(column.trusted, stack.depth + 1).copy()
    if batch == 1 and always_half(resolve(stack.repeated.activation)):
        known = np.isfinite(prediction.pre_second_moment)
        half = np.where(known, 0.5, math.nan)
        for name, layers in activations_of(stack):
            if not always_half(resolve(name)):  # such as a linear read-out, never dead
                half[layers] = prediction.statistics["dead_fraction"][layers]
        dead, neglected, trusted = half, np.where(known, 0.0, math.nan), known
    for name, layers in activations_of(stack):
        if not resolve(name).flat:
            q = prediction.pre_second_moment[layers]
            known = np.isfinite(q) & is_told(resolve(name), q)
            dead[layers] = neglected[layers] = np.where(known, 0.0, math.nan)
            trusted[layers] = known
    value, error, heard = dead_with_silence(stack, batch, prediction, dead, neglected)
    return Corrected(value, error, trusted & heard)


def _fluctuation(
    stack: Stack,
    inputs: InputMoments,
    fluctuations: Fluctuations,
    forward: ForwardColumns,
    batch: float | FloatArray = 1.0,
) -> FloatArray:
    """Return the standard deviation of ln of one sample's second moment, (depth + 1,), or a lower
    bound on that of the mean over `batch` samples."""
    held = 2.0 * fluctuations.pinned * (forward.slope * fluctuations.share) ** 2
    # What the units of one layer add is taken as independent from sample to sample.
    square = (forward.fourth - 1.0 - held) / units(stack) / batch
    shared = np.where(np.greater(batch, 1.0), np.nan_to_num(fluctuations.pair), 0.0)
    square += forward.slope**2 * (shared + (fluctuations.variance - shared) / batch)
    square[0] = inputs.length_variance / np.broadcast_to(batch, square.shape)[0]
    endless = np.flatnonzero(fluctuations.variance > ENDLESS)
    square[endless[0] if endless.size else square.size :] = math.inf
    # Rounding can make a variance of 0 slightly negative.
    return np.sqrt(np.maximum(square, 0.0))
