"""What theory says of the singular values of a Jacobian, as the record has it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.results import InputMoments, SpectrumTheory, optional
from snstat.theory.jacobian import factors, moments
from snstat.theory.jacobian_density import BELOW, grouped, log_density, log_largest

if TYPE_CHECKING:
    from snstat.network.network import Network
    from snstat.network.stack import Stack

# Stacks of more different layers are taken as groups of alike ones for the largest value.
_MOST_LAYERS = 128
# Without spread all singular values are equal, and there is no density.
_LEAST_SPREAD = 1e-9


def stack_theory(
    stack: Stack, inputs: InputMoments, depths: tuple[int, ...], near_zero: float
) -> list[SpectrumTheory]:
    """Return theory of the Jacobian of layers `depths` of a stack by its input, at infinite width.

    `near_zero` is the bound, relative to the largest, below which singular values are counted.
    Nothing is known of data whose samples differ in norm, nor of a kink where all pre-activations
    are 0.
    """
    from snstat.theory.predict import predict

    if inputs.norms is not None:
        return [SpectrumTheory() for _ in depths]
    q = predict(stack, 1, inputs).pre_second_moment
    return [_at(stack, q, depth, near_zero) for depth in depths]


def network_theory(
    network: Network,
    inputs: InputMoments,
    depths: tuple[int, ...],
    *,
    train: bool,
    source: int = 0,
) -> list[SpectrumTheory]:
    """Return theory of the same of any network, by layer `source`: the mean square at the last
    layer, which is the squared norm of a gradient. Nothing is known of layers before it."""
    from snstat.theory.walk import walk

    found = [SpectrumTheory() for _ in depths]
    if depths[-1] == network.depth:
        log = float(walk(network, 1, inputs, train=train).log_gradient[source])
        units = network.block.shape([network.input]).units
        # tr JJᵀ = E|Jᵀr|² = exp(log)·E|r|² over the number of singular values.
        ratio = units / min(units, network.shape_after(source).units)
        found[-1] = SpectrumTheory(mean_square=_exp(log + math.log(ratio)))
    return found


def _at(stack: Stack, q: FloatArray, depth: int, near_zero: float) -> SpectrumTheory:
    layers = factors(stack, q, depth)
    if layers is None:
        return SpectrumTheory()
    found = moments(layers)
    few = grouped(layers)
    log_edge = log_largest(layers if len(layers) <= _MOST_LAYERS else few)
    single = len(layers) == 1 and layers[0].count == 1 and layers[0].orthogonal
    curve = None
    own_edge = log_largest(few)
    if own_edge is not None and found.spread > _LEAST_SPREAD and not single:
        curve = log_density(few, own_edge)
    if curve is None or log_edge is None:
        equal = found.spread <= _LEAST_SPREAD
        return SpectrumTheory(
            _exp(found.log_mean),
            found.spread,
            None if log_edge is None else _exp(0.5 * log_edge),
            0.0 if equal else None,
            found.zero,
        )
    log_values, density = curve
    bound = math.log(near_zero) + 0.5 * log_edge
    # From below: the largest value may have a probability of its own, which no density has.
    places = np.append(log_values[log_values < bound], bound)
    share = found.zero + BELOW
    if bound > log_values[0]:
        share += integral(np.interp(places, log_values, density), places)
    return SpectrumTheory(
        _exp(found.log_mean),
        found.spread,
        _exp(0.5 * log_edge),
        min(max(share, found.zero), 1.0),
        found.zero,
        log_values,
        density,
    )


def integral(values: FloatArray, places: FloatArray) -> float:
    """Return the integral of `values` at `places`, both (points,), by trapezoids."""
    return float(0.5 * (values[1:] + values[:-1]) @ np.diff(places))


def _exp(log: float) -> float | None:
    """Return e to the `log`, None out of a float's range or where it is not known."""
    with np.errstate(over="ignore"):
        return optional(float(np.exp(log)))
