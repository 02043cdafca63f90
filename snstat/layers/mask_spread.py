"""Fluctuations after dropout, from those before.

Every unit x becomes u = a·x + b with probability k, else c, with a mask of its own. Given x,

    E[mean of u²] = k(a² S + 2ab M + b²) + (1 − k)c²,    its variance k(1 − k) E[(u² − c²)²]/n

with S and M the means of x² and x. See docs/finite-width.md.
"""

from __future__ import annotations

import math

from snstat.layers.no_theory import NO_AVERAGE, ON_GRID, STILL, NoTheory
from snstat.layers.signal import Signal, Step
from snstat.layers.spread import Average, Spread, powers_of


def after_mask(
    step: Step, before: Spread, keep: float, factor: float, shift: float = 0.0, level: float = 0.0
) -> Spread | NoTheory:
    """Return the fluctuations of `factor`·x + `shift`, or `level` with probability 1 − `keep`, from
    those of x; or why not: the mean of x is needed and not known."""
    signal, after = step.inputs[0], step.signal
    if signal.mean.size > 1:
        return NoTheory(ON_GRID)
    if not signal.same[0, 0] > 0:
        return NoTheory(STILL)
    if before.average is None and (shift or level):
        return NoTheory(NO_AVERAGE)
    # Of a mean that is not known, only what is multiplied with 0.
    x = before.average or Average(*[0.0] * len(Average._fields))
    found = _after(signal, after, before, x, (keep, factor, shift, level))
    return found._replace(given=before.given, average=found.average if before.average else None)


def _after(
    signal: Signal,
    after: Signal,
    before: Spread,
    x: Average,
    mask: tuple[float, float, float, float],
) -> Spread:
    keep, factor, shift, level = mask
    drop, units = 1.0 - keep, after.shape.channels
    rms, root = math.sqrt(float(signal.same[0, 0])), math.sqrt(float(after.same[0, 0]))
    # Relative to the root mean square after it.
    a, b, c = factor * rms / root, shift / root, level / root
    mean = float(signal.mean[0]) / rms
    square, line = keep * a * a, 2.0 * keep * a * b
    kept = powers_of((1.0, mean, 1.0, x.third, before.fourth), a, b)
    noise = keep * drop / units
    variance = square**2 * before.variance + noise * (kept[4] - 2.0 * c * c * kept[2] + c**4)
    bias, residual = square * before.bias, square * before.residual
    pair = square**2 * before.pair
    if line:
        variance += 2.0 * square * line * x.covariance + line**2 * x.variance
        bias += line * x.shift
        residual += abs(line) * x.residual
        pair = math.nan
    mixed = kept[3] - c * kept[2] - c * c * kept[1] + c**3
    average = Average(
        keep * a * x.shift,
        keep * a * x.residual,
        (keep * a) ** 2 * x.variance + noise * (kept[2] - 2.0 * c * kept[1] + c * c),
        (keep * a) ** 2 * x.pair,
        keep * a * (square * x.covariance + line * x.variance) + noise * mixed,
        keep * kept[3] + drop * c**3,
        x.size,
    )
    return Spread(
        variance,
        pair,
        bias,
        residual,
        keep * kept[4] + drop * c**4,
        average=average,
        # It follows the mean as well, which is not that of E[x²].
        responses=(math.nan if line else square,),
        detailed=True,
    )
