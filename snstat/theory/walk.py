"""Theory of any network at infinite width: the moments of its layers, one after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.layers.gaussian_inputs import LEAST_SQUARE
from snstat.layers.shape import Shape
from snstat.layers.signal import Slope
from snstat.layers.squares import alone
from snstat.network.network import Network
from snstat.results import InputMoments
from snstat.results.theory_end import OF_SIGNAL, TheoryEnd
from snstat.theory.columns import SPREADS, WALKED, log_norm, moments_of, spreads_of
from snstat.theory.ends import ends_of_gradients, ends_of_signals, ends_of_sizes
from snstat.theory.fluctuations import input_spread
from snstat.theory.over_samples import over_samples
from snstat.theory.start import steps_of
from snstat.theory.through import backward, forward, spreads


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """Theory of a network with inputs of the shape `input`: arrays (depth + 1,), NaN where there is
    none.

    `mean` is E[x], `second_moment` E[x²] and `gap` E[x²] − E[xx'] of two samples, averages over all
    positions; `over_units` is the average of the variance at each position. `over_positions` is the
    variance of one unit over the positions of a sample, and `position_cosine` the average cosine of
    two positions of a sample, both NaN where pairs of positions are not followed. `least_position`
    is E[x²] at the position where it is least, over the average, NaN without positions. `kurtosis`
    is that of all units at all positions together.
    `log_gradient` is the natural logarithm of the squared norm of ∂L/∂x over the same at the last
    layer.

    To first order in 1/width, relative to E[x²]: `variance` is that of one sample's mean of x²
    between networks, `pair` its covariance of two samples, `bias` what the mean over networks
    differs by, and `residual` bounds what that neglects. Relative to √E[x²], `shift`,
    `shift_residual`, `mean_variance` and `mean_pair` are the same of the mean over units; `size` is
    the relative variance of what the latter two are proportional to. `q_variance` is the relative
    variance of the second moment of the Gaussian of which the layer is a function (`variance` where
    there is more than one), and `uniform` the share of uniform biases in it.

    `ends` are the layers at which theory ends, with the reason of each. `own` are statistics by
    name that do not follow from these: of batches of samples that are followed one by one.
    """

    input: Shape
    mean: FloatArray
    second_moment: FloatArray
    gap: FloatArray
    over_units: FloatArray
    over_positions: FloatArray
    position_cosine: FloatArray
    least_position: FloatArray
    kurtosis: FloatArray
    log_gradient: FloatArray
    variance: FloatArray
    pair: FloatArray
    bias: FloatArray
    residual: FloatArray
    shift: FloatArray
    shift_residual: FloatArray
    mean_variance: FloatArray
    mean_pair: FloatArray
    size: FloatArray
    q_variance: FloatArray
    uniform: FloatArray
    ends: tuple[TheoryEnd, ...] = field(kw_only=True)
    own: Mapping[str, FloatArray] = field(kw_only=True, default_factory=dict)

    @classmethod
    def unknown(cls, shape: Shape, depth: int, reason: str) -> Walk:
        """Return that nothing is known of a network, for this reason."""
        columns = len(fields(cls)) - 3  # without the shape, the ends and what samples have
        none = np.full((columns, depth + 1), math.nan)
        return cls(shape, *none, ends=(TheoryEnd(OF_SIGNAL, 1, reason),))

    @property
    def cosine(self) -> FloatArray:
        """The cosine of two samples, NaN where their squares are so small that they lose digits."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = 1.0 - self.gap / self.second_moment
        found[self.second_moment < LEAST_SQUARE] = math.nan
        return found


def walk(network: Network, batch: int, inputs: InputMoments, *, train: bool = True) -> Walk:
    """Return theory of `batch` samples with the moments `inputs`, with dropout and the statistics
    of batches on if `train`.

    Every sample has a random linear read-out of its own. A repeated block is followed until its
    state repeats. Samples of data that differ in norm, or on a grid, are followed one by one: there
    is no theory without them.
    """
    layers = network.depth + 1
    if inputs.samples is not None:
        if inputs.samples.left_out:
            return Walk.unknown(network.input, network.depth, inputs.samples.left_out)
        found = over_samples(network, inputs.samples, train=train)
        unknown = np.full((SPREADS, layers), math.nan)
        columns = np.concatenate([found.moments, found.log_gradient[None], unknown])
        return Walk(network.input, *columns, ends=found.ends, own=found.own)
    start, step = steps_of(network, batch, inputs, train=train)
    moments, of_width = np.empty((WALKED, layers)), np.empty((SPREADS, layers))
    logs = np.empty(layers)

    moments[:, 0] = math.nan if network.input.tokens else moments_of(start)[:WALKED]
    forward(step, moments[:, 1:])
    # A read-out is independent for every position too.
    own = alone(np.ones(step.signal.mean.size), step.signal.same)
    logs[0] = log_norm(backward(step, Slope(own, own), logs[1:])[0], start)
    logs -= logs[-1]
    first = input_spread(network.input.units, inputs)
    of_width[:, 0] = spreads_of(first)
    ends, wide = [*ends_of_signals(network, start, step, inputs)], list[TheoryEnd]()
    spreads(network.block, step, [first], of_width[:, 1:], (1, wide))
    ends += [*ends_of_gradients(network.input, step, logs, ends), *wide]
    ends += ends_of_sizes(moments[0], moments[1])
    columns = np.concatenate([moments, logs[None], of_width])
    return Walk(network.input, *columns, ends=tuple(ends))
