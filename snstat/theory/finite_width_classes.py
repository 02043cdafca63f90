"""First-order theory of data whose samples differ in norm: the average over classes of norms.

The samples of a class are followed as one sample of their mean norm (`fluctuations` with a batch
of 1), and statistics of single samples are averaged over the classes. What compares samples would
need the covariance between networks of samples of different norms, and is not known.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.gaussian.quadrature import FloatArray
from snstat.network.stack import Stack
from snstat.results import MOST_CLASSES, InputMoments, NormClasses
from snstat.theory.corrected import Corrected
from snstat.theory.fluctuations import follow
from snstat.theory.layer_moments import Moments
from snstat.theory.predict import predict
from snstat.theory.single_samples import ForwardColumns, of_single_samples

# Statistics that the samples of a batch contribute to one by one.
_NAMES = ("mean", "second_moment", "variance_over_units")
# Batches that hold a part of the data vary in their mean of x². A few samples that most batches
# miss make that variation so skewed that its standard deviation does not describe it.
_LARGEST_SAMPLING = 0.1


def of_classes(
    stack: Stack, batch: int, norms: NormClasses
) -> tuple[dict[str, Corrected], FloatArray, FloatArray]:
    """Return the statistics of single samples by name, the standard deviation of ln of the second
    moment from the choice of a batch, and how many samples of equal norm would average as well as a
    batch does; both (depth + 1,).

    Where the choice of a batch varies the second moment by more than a tenth, nothing is expected.
    """
    shares = np.array(norms.count) / norms.samples
    spreads = _spreads(norms)
    totals = {name: np.zeros((2, stack.depth + 1)) for name in _NAMES}
    trusted = np.ones(stack.depth + 1, dtype=bool)
    first, second = np.zeros((2, stack.depth + 1))
    for share, moment, spread in zip(shares, norms.second_moment, spreads, strict=True):
        found = _of_class(stack, moment, spread)
        for name, column in found.items():
            totals[name] += share * np.stack([column.value, column.neglected])
            trusted &= column.trusted
        value = found["second_moment"].value
        first, second = first + share * value, second + share * value**2
    with np.errstate(invalid="ignore", divide="ignore"):
        # Drawn without replacement.
        drawn = (norms.samples - batch) / max(norms.samples - 1, 1) / batch
        uneven = np.maximum(second / first**2, 1.0)
        sampling = np.sqrt((uneven - 1.0) * drawn)
    unknown = ~(sampling <= _LARGEST_SAMPLING)
    for columns in totals.values():
        columns[:, unknown] = math.nan
    sampling[unknown] = 0.0
    found = {name: Corrected(columns[0], columns[1], trusted) for name, columns in totals.items()}
    return found, sampling, batch / uneven


def _of_class(stack: Stack, second_moment: float, spread: float) -> dict[str, Corrected]:
    """Return the statistics of samples with this `second_moment`.

    `spread`, the relative variance of x² in the class, is only estimated: what it would change
    counts as neglected.
    """
    prediction = predict(stack, 1, _sample(second_moment, 0.0))
    moments = Moments(stack, prediction, backward=False)

    def to_first_order(length_variance: float) -> dict[str, Corrected]:
        inputs = _sample(second_moment, length_variance)
        fluctuations = follow(stack, 1, inputs, prediction, moments)
        known = int(np.isfinite(fluctuations.variance).sum())
        forward = ForwardColumns.of(moments, known)
        found = of_single_samples(stack, 1, prediction, fluctuations, forward)
        return {name: found[name] for name in _NAMES}

    equal = to_first_order(0.0)
    spread_out = equal if spread == 0 else to_first_order(spread)
    return {
        name: column._replace(
            neglected=column.neglected + np.abs(spread_out[name].value - column.value),
            trusted=column.trusted & spread_out[name].trusted,
        )
        for name, column in equal.items()
    }


def _sample(second_moment: float, length_variance: float) -> InputMoments:
    """Return the moments of one sample of data."""
    return InputMoments(
        mean=0.0,
        variance=second_moment,
        second_moment=second_moment,
        variance_over_batch=0.0,
        variance_over_units=second_moment,
        cosine=math.nan,
        kurtosis=math.nan,
        length_variance=length_variance,
    )


def _spreads(norms: NormClasses) -> FloatArray:
    """Return about the relative variance of x² in each class, (classes,).

    Fewer classes than the most there may be hold samples of equal norm. Of others, a class reaches
    halfway to the nearer neighbour in ln x², on both sides, and the last one to the largest sample;
    values spread evenly over a width w have the variance w²/12, of which twice is taken.
    """
    seconds, count = np.array(norms.second_moment), np.array(norms.count)
    spreads = np.zeros(seconds.size)
    if seconds.size < MOST_CLASSES:
        return spreads
    some = np.flatnonzero(seconds > 0)
    logs = np.log(seconds[some])
    halves = 0.5 * np.diff(logs)
    last = math.log(norms.largest) - logs[-1]
    nearer = np.minimum(np.append(halves[0], halves), np.append(halves, last))
    spreads[some] = 2.0 * (2.0 * nearer) ** 2 / 12.0
    spreads[count == 1] = 0.0
    return spreads
