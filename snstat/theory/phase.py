"""Phases of random networks: where signals settle, for a grid of gains and biases at once."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from snstat.activation import Activation, Pair, require_functions, resolve
from snstat.errors import InvalidValueError
from snstat.gaussian.log_tables import CELL, LogTable, powers
from snstat.gaussian.quadrature import FloatArray
from snstat.limits import MAX_SCALE, require_memory
from snstat.results import Phase
from snstat.theory.ensemble import HIGHEST, LOWEST, NOTHING, unknown, zero_slope
from snstat.theory.linear import MARGINAL
from snstat.theory.maps import finite
from snstat.theory.phase_pairs import settled_correlations
from snstat.theory.settled import settle, table_for

# Bytes that a point needs while all of them are computed, from measurement.
_BYTES = 220
# |growth − 1| of a scale-free activation below this is rounding: it keeps every signal.
_NEUTRAL = 2e-14
_BLOCK = 8192


def phase(
    activation: str | Pair, *, weight_gain: npt.ArrayLike, bias_std: npt.ArrayLike = 0.0
) -> Phase:
    """Return where signals settle for every pair of a weight gain and a bias deviation.

    `weight_gain` (gains,) and `bias_std` (biases,) are numbers or one-dimensional arrays, at least
    0 and at most 1e100. Weights have variance G²/fan_in, biases are N(0, b²). The arrays of the
    result are (gains, biases).

    Of several fixed points, it is the one to which the ensemble map moves q = 1, stable as
    `fixed_points` says: the next above 1 if q' > 1, else the last below. Where every q is a fixed
    point (ReLU at gain √2), it is q = 1. Numbers agree with `fixed_points` to 1e-9, except for
    depth scales ξ of more than about 10⁴ layers, whose relative error is about 1e-13·ξ. About 10⁶
    points a second are found on one core, once the expectations of the activation are tabulated
    where they are needed. That takes a second or two at the first call, and 15 s for a million
    points of GELU, whose q* are huge before the signal grows without bound.

    Raises UnknownNameError, and InvalidValueError for values out of bounds, arrays of more than one
    axis, more points than memory holds, and a pair of functions that theory does not know.

    Source: Poole et al., arXiv:1606.05340; Schoenholz et al., arXiv:1611.01232.
    """
    entry = resolve(activation)
    require_functions(entry)
    gains, biases = _axis("weight_gain", weight_gain), _axis("bias_std", bias_std)
    count = gains.size * biases.size
    require_memory(float(_BYTES) * count, "use fewer weight gains or bias deviations")
    alpha, beta = np.square(gains), np.square(biases)
    scale_free = entry.formed("half_linear")
    if scale_free is not None:
        found = _scale_free((1.0 + scale_free[0] ** 2) / 2.0, alpha, beta)
    else:
        found = _tabulated(entry, alpha, beta)
    q, second, growth, slope = (part.reshape(gains.size, biases.size) for part in found)
    signal = (q > 0) & (q < math.inf)
    correlation = np.where(signal, 1.0, math.nan)
    with np.errstate(divide="ignore"):
        log_slope = np.where(signal, np.log(growth), math.nan)
    chaotic = np.nonzero(signal & (growth > 1.0 + MARGINAL))
    if chaotic[0].size:
        correlation[chaotic], log_slope[chaotic] = settled_correlations(
            entry, np.log(q[chaotic]), alpha[chaotic[0]], beta[chaotic[1]]
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        log_size = np.where(np.isinf(q), math.nan, np.log(np.abs(slope)))
    return Phase(
        activation=entry.name,
        weight_gain=gains,
        bias_std=biases,
        second_moment=second,
        pre_activation=q,
        gradient_growth=growth,
        slope=slope,
        depth_scale=_depth_scales(log_size),
        correlation=correlation,
        correlation_depth_scale=_depth_scales(log_slope),
    )


def _axis(name: str, values: npt.ArrayLike) -> FloatArray:
    """Return `values` as an array of one axis, validated."""
    found = finite(name, values, 0.0, MAX_SCALE)
    if found.ndim > 1:
        shape = f"an array of shape {found.shape}"
        raise InvalidValueError(name, shape, "a number or an array of one axis", "use .ravel()")
    if not found.size:
        raise InvalidValueError(name, "empty", "at least one number")
    return found.reshape(-1)


def _depth_scales(log_size: FloatArray) -> FloatArray:
    """Return −1/ln|slope| from ln|slope|, infinite where nothing decays; see `depth_scale`."""
    with np.errstate(divide="ignore"):
        scales: FloatArray = np.where(log_size < -MARGINAL, -1.0 / log_size, math.inf)
    return np.where(np.isnan(log_size), math.nan, scales)


def _scale_free(share: float, alpha: FloatArray, beta: FloatArray) -> list[FloatArray]:
    """Return q, E[φ²], χ and ∂q'/∂q of an activation with E[φ(√q ẑ)²] = `share`·q, in order of
    (gains, biases)."""
    rate = np.repeat(alpha * share, beta.size)
    bias = np.tile(np.where(beta > NOTHING, beta, 0.0), alpha.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        q = np.where(rate < 1.0, bias / (1.0 - rate), math.inf)
    q = np.where((bias == 0) & (np.abs(rate - 1.0) <= _NEUTRAL), 1.0, q)
    return [q, share * q, rate, rate.copy()]


def _tabulated(activation: Activation, alpha: FloatArray, beta: FloatArray) -> list[FloatArray]:
    """Return q, E[φ²], χ and ∂q'/∂q from tables in ln q, in order of (gains, biases)."""
    rest = float(activation.function(np.zeros(1))[0]) ** 2
    floor = np.add.outer(alpha * rest, beta)
    lowest = float(np.min(floor, where=floor > NOTHING, initial=math.inf))
    squares, biases = ((float(values.min()), float(values.max())) for values in (alpha, beta))
    ends = (
        math.log(min(LOWEST, 0.25 * lowest)),
        math.log(max(HIGHEST, 1e3 * (squares[1] + biases[1]))),
    )
    table = table_for(activation, squares, biases, ends)
    if np.isnan(table.ratio).any() or np.isnan(table.slope).any():
        raise unknown(activation)
    settled = settle(table, alpha, beta)
    zero, (left, right) = zero_slope(activation, 1.0), activation.slopes
    limit = np.where(settled.rises, 0.5 * (left * left + right * right), zero)
    size = np.where(settled.rises, math.inf, 0.0)
    found = [size, size.copy(), limit, limit.copy()]
    known = np.flatnonzero(settled.finite)
    for start in range(0, known.size, _BLOCK):
        here = known[start : start + _BLOCK]
        parts = _at(activation, table, settled.cell[here], settled.t[here])
        for whole, part in zip(found, parts, strict=True):
            whole[here] = part
    factor = np.repeat(alpha, beta.size)
    return [*found[:2], factor * found[2], factor * found[3]]


def _at(
    activation: Activation, table: LogTable, cell: npt.NDArray[np.intp], t: FloatArray
) -> tuple[FloatArray, ...]:
    """Return q, E[φ²], E[φ'²] and ∂E[φ²]/∂q at places of a table."""
    q = np.exp(CELL * (table.first + cell + 0.5 * (t + 1.0)))
    second = q * powers(table.ratio[:, cell], t)
    growth = powers(table.derivative_square[:, cell], t)
    sine = activation.formed("sine")
    if sine is not None:  # it falls too fast for a table
        square = sine[0] * sine[0]
        return q, second, growth, square * np.exp(-2.0 * square * q)
    return q, second, growth, powers(table.slope[:, cell], t)
