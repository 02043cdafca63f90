"""What a table and the sentences above it may say: which estimates are farther from theory than
chance explains, what they contradict, and which signals keep their size."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence

import numpy as np

from snstat.results.base import BoolArray, FloatArray, IntArray
from snstat.results.ranges import SHARES
from snstat.results.run import Run
from snstat.results.statistic import GRADIENT
from snstat.results.student import tail

# The p-value of z below which chance does not explain it.
CHANCE = 1e-3
# Relative differences below this are rounding of float32.
FLOAT32 = 1e-5
# Squares of smaller numbers are not normal numbers any more.
SQUARED = math.sqrt(sys.float_info.min)
# Estimates that differ from theory by more than this factor contradict sentences about it.
MUCH = 2.0
# A signal that changes by at most this factor over the whole stack needs no other gain.
NEUTRAL = 1.1


def departures(run: Run, name: str, rows: Sequence[int]) -> tuple[BoolArray, BoolArray]:
    """Return where a statistic is farther from theory than chance explains, (rows,), and where the
    error of the first order in 1/width does not explain it either, (rows,).

    Layers without a z are judged by `without_spread`.
    """
    chosen = np.array(rows, dtype=np.intp)
    statistic, freedom = run.statistics[name], run.trials_had[chosen] - 1
    bare = without_spread(run, name)[chosen]
    beyond = bare | _unlikely(statistic.z[chosen], freedom)
    # The logarithm of 0 is beyond any theory.
    zero = bare & statistic.logarithmic & np.isfinite(statistic.expected[chosen])
    return beyond, beyond & (zero | _unlikely(statistic.excess[chosen], freedom))


def contradictions(run: Run) -> Iterator[tuple[str, int]]:
    """Yield the statistics and layers whose estimates contradict what theory says of the whole
    stack: the second moment of the last layer, and the gradient at the input."""
    last = len(run.finite) - 1
    if run.partial or last < 1 or run.outlook is None:
        return
    for name, layer in (("second_moment", last), (GRADIENT, 0)):
        if name not in run.statistics or not departures(run, name, [layer])[0]:
            continue
        statistic = run.statistics[name]
        theory = float(statistic.reference[layer])
        if not theory / MUCH <= statistic.estimate[layer] <= theory * MUCH:
            yield name, layer


def nearly_neutral(run: Run) -> bool:
    """Return whether the whole stack preserves the signal's size, both by the rate of the outlook
    and by theory for its layers, which may change faster far from the limit."""
    rate = None if run.outlook is None else run.outlook.rate
    if rate is None or rate <= 0 or run.depth * abs(math.log(rate)) > math.log(NEUTRAL):
        return False
    moments = run.statistics["second_moment"].theory[1:]
    if not moments.size:
        return True
    first, last = float(moments[0]), float(moments[-1])
    return first / NEUTRAL <= last <= first * NEUTRAL


def without_spread(run: Run, name: str) -> BoolArray:
    """Return the layers, (layers,), where z has no value but the estimate is certainly not theory:
    all trials agree on another value, as dead networks do, or a gradient is exactly 0.

    Layer 0 is left out: the theory of data is the data themselves, before rounding.
    """
    statistic, trials = run.statistics[name], run.trials_had
    estimate, reference = statistic.estimate, statistic.reference
    second = run.statistics["second_moment"]
    with np.errstate(invalid="ignore", over="ignore"):
        if statistic.logarithmic:
            far = (estimate == 0) & (reference > 0)
        elif name in SHARES:
            # Hoeffding's bound, at `CHANCE`: rare units may be in no trial.
            allowed = np.sqrt(math.log(2.0 / CHANCE) / (2.0 * trials))
            far = (statistic.stderr == 0) & (np.abs(estimate - reference) > allowed)
        else:
            size = np.maximum(np.abs(estimate), np.abs(reference))
            square = np.fmax(second.estimate, second.reference)
            one = np.ones_like(square)
            units = {"mean": np.sqrt(square), "cosine": one, "position_cosine": one}
            unit = units.get(name, square)
            if name not in {"kurtosis", "largest"}:
                size = np.fmax(size, unit)
            far = (statistic.stderr == 0) & (np.abs(estimate - reference) > FLOAT32 * size)
        # The deviations of smaller values underflow when they are squared.
        far &= np.fmax(np.abs(estimate), np.abs(reference)) > SQUARED
    found: BoolArray = far & (trials > 1) & statistic.scored
    found[:1] &= statistic.logarithmic
    return found


def _unlikely(z: FloatArray, freedom: IntArray) -> BoolArray:
    """Return where the p-value of z (rows,) is below `CHANCE`; nowhere where z is NaN."""
    unlikely: BoolArray = tail(z, np.maximum(freedom, 1)) < CHANCE
    return unlikely
