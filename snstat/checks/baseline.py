"""Has a stack changed? Two runs compared layer by layer, statistic by statistic.

Two runs of one stack with independent seeds differ by chance. Each estimate is a mean over few
trials with its own standard error, so the difference over √(s₁² + s₂²) follows Student's t with
the degrees of freedom of Welch and Satterthwaite, fewer where the numbers of trials differ. All
comparisons of a check are allowed one false alarm together (Bonferroni: right however layers and
statistics depend on each other), and a difference below the smallest effect of interest is none,
however certain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snstat.checks.rule import Broken
from snstat.checks.unlikely import SCALES
from snstat.checks.weights_law import SHARE, parted_in_law
from snstat.checks.welch import welch
from snstat.errors import InvalidValueError
from snstat.results import GRADIENT, BoolArray, FloatArray, Run, Statistic
from snstat.values.digits import told_apart

# Probability of a false alarm between two runs of one stack.
FALSE_ALARM = 0.005
# Differences below this share of the scale are rounding of sums, where nothing else varies.
ROUNDING = 1e-9
# The spread of second moments between trials, and up to which, relative to them, these are nearly
# normal.
SPREAD, NORMAL = "spread", 0.1
OVER_BATCH = "variance_over_batch"
# Differences of shares and cosines are absolute: their scale is 1.
ABSOLUTE = frozenset({"cosine", "dead_fraction", "zero_samples", "saturated_fraction"})
ZEROS = "zero_samples"
# Too skewed for Student's t: left out unless the runs have the same seed.
EXTREME = "largest"


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """How two runs differ in one statistic, layer by layer: arrays (layers,).

    `effect` is the difference over the scale of the statistic, `chance` the probability that
    chance alone makes it as large, NaN where there is nothing to compare.
    """

    name: str
    effect: FloatArray
    chance: FloatArray


def compare(run: Run, baseline: Run, min_effect: float) -> Broken | None:
    """Return the first layer at which `run` and `baseline`, of independent seeds, part."""
    require_trials("trials", run.simulation.trials)
    require_trials("baseline trials", baseline.simulation.trials)
    found = _finite_only_once(run, baseline)
    if found is not None:
        return found
    fewer = _layers_only_once(run, baseline)
    differences = [*differences_of(run, baseline), spread_of(run, baseline)]
    comparisons = sum(int(np.count_nonzero(~np.isnan(entry.chance))) for entry in differences)
    law = parted_in_law(run, baseline, min_effect, SHARE * FALSE_ALARM)
    if comparisons == 0:
        return fewer or law
    level = (1.0 - SHARE) * FALSE_ALARM / comparisons
    parted: list[tuple[int, float, Difference]] = []
    for entry in differences:
        with np.errstate(invalid="ignore"):
            bad = np.flatnonzero((entry.chance < level) & (np.abs(entry.effect) > min_effect))
        if bad.size:
            layer = int(bad[0])
            parted.append((layer, float(entry.chance[layer]), entry))
    if not parted:
        return fewer or law
    # Gradients tell nothing of where the change is: they depend on all layers behind. Where several
    # statistics part at one layer: the count of samples of zeros, which changes all others, else
    # the one that has moved most.
    layer, chance, entry = min(
        parted,
        key=lambda item: (
            item[2].name == GRADIENT,
            item[0],
            item[2].name != ZEROS,
            -abs(item[2].effect[item[0]]),
        ),
    )
    return _told(run, baseline, layer, chance, entry, comparisons)


def require_trials(name: str, trials: int) -> None:
    """Raise InvalidValueError unless `trials` are enough to compare."""
    if trials < 2:
        raise InvalidValueError(
            name, trials, "at least 2 to tell change from chance", "use more --trials"
        )


def identical(run: Run, baseline: Run, allowed: FloatArray | float = 0.0) -> Broken | None:
    """Return the first layer at which `run` and `baseline`, of the same seed, are not equal to the
    last bit, or differ by more than the share of rounding that is `allowed`, (layers,)."""
    found = _finite_only_once(run, baseline)
    if found is not None:
        return found
    parted = []
    for name, mine, theirs in _shared(run, baseline):
        both = min(len(mine.estimate), len(theirs.estimate))
        first, second = mine.estimate[:both], theirs.estimate[:both]
        with np.errstate(invalid="ignore"):
            near = np.abs(first - second) <= allowed * _rounded(name, baseline, both)
        near |= (first == second) | (np.isnan(first) & np.isnan(second))
        bad = np.flatnonzero(~near)
        if bad.size:
            parted.append((int(bad[0]), name, float(first[bad[0]]), float(second[bad[0]])))
    if not parted:
        return _layers_only_once(run, baseline)
    # As above: gradients last.
    layer, name, value, was = min(parted, key=lambda item: (item[1] == GRADIENT, item[0]))
    how = "not the same to the last bit" if np.ndim(allowed) == 0 else "not the same"
    text = (
        f"{how} from layer {layer} on: {name.replace('_', ' ')} {value!r}, in the baseline {was!r}"
    )
    return Broken(layer, value, was, text)


def _rounded(name: str, baseline: Run, layers: int) -> FloatArray:
    """Return the size, (layers,), that rounding of a statistic is relative to: of squares that
    cancel, that of their terms."""
    estimate = {key: column.estimate[:layers] for key, column in baseline.statistics.items()}
    square = estimate["second_moment"]
    if name in SCALES:
        return square
    with np.errstate(divide="ignore", invalid="ignore"):
        if name == "kurtosis":
            size: FloatArray = estimate[name] * square / estimate["variance"]
            return size
    return _scale(name, estimate[name], baseline, logarithmic=False)


def differences_of(run: Run, baseline: Run) -> Iterator[Difference]:
    """Yield how the runs differ in each statistic that both have, over the layers of both."""
    for name, mine, theirs in _shared(run, baseline):
        if name == EXTREME:
            continue
        both = min(len(mine.estimate), len(theirs.estimate))
        first, second = mine.estimate[:both], theirs.estimate[:both]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if mine.logarithmic:
                first, second = np.log(first), np.log(second)
            difference = first - second
            effect = difference / _scale(name, second, baseline, logarithmic=mine.logarithmic)
            # Of samples that are alike, the variance over the batch is rounding.
            square = baseline.statistics["second_moment"].estimate[:both]
            noise = (name == OVER_BATCH) & (np.abs(difference) <= ROUNDING * square)
        trials = run.trials_had[:both], baseline.trials_had[:both]
        chance = welch(difference, mine.stderr[:both], theirs.stderr[:both], *trials)
        # Where nothing varies no chance is involved, and what agrees is no comparison.
        still = (mine.stderr[:both] == 0.0) & (theirs.stderr[:both] == 0.0)
        certain = np.where((np.abs(effect) > ROUNDING) & ~noise, 0.0, math.nan)
        chance = np.where(still & ~np.isnan(effect), certain, chance)
        yield Difference(name, effect, chance)


def spread_of(run: Run, baseline: Run) -> Difference:
    """Return how the runs differ in the spread of second moments from trial to trial.

    Weights of equal variance but another distribution leave means as they are, and change by how
    much networks differ: orthogonal ones keep norms. The ratio of two variances of normal values
    follows Fisher's F; only spreads so small that second moments are nearly normal are compared.
    """
    from scipy.special import fdtr, fdtrc

    mine, theirs = run.statistics["second_moment"], baseline.statistics["second_moment"]
    both = min(len(mine.estimate), len(theirs.estimate))
    trials, others = run.trials_had[:both], baseline.trials_had[:both]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        first = mine.stderr[:both] / mine.estimate[:both] * np.sqrt(trials)
        second = theirs.stderr[:both] / theirs.estimate[:both] * np.sqrt(others)
        ratio = (first / second) ** 2
        chance = np.minimum(
            fdtr(trials - 1, others - 1, ratio), fdtrc(trials - 1, others - 1, ratio)
        )
        normal = (np.minimum(first, second) > ROUNDING) & (np.maximum(first, second) <= NORMAL)
        effect = np.log(first) - np.log(second)
    return Difference(SPREAD, effect, np.where(normal, np.minimum(2.0 * chance, 1.0), math.nan))


def _shared(run: Run, baseline: Run) -> Iterator[tuple[str, Statistic, Statistic]]:
    for name, mine in run.statistics.items():
        if name in baseline.statistics:
            yield name, mine, baseline.statistics[name]


def _scale(name: str, value: FloatArray, baseline: Run, *, logarithmic: bool) -> FloatArray:
    """Return what a difference of a statistic is measured by, (layers,)."""
    if logarithmic or name in ABSOLUTE:
        return np.ones_like(value)
    if name == "mean":
        return np.sqrt(baseline.statistics["second_moment"].estimate[: len(value)])
    return np.abs(value)


def _finite_only_once(run: Run, baseline: Run) -> Broken | None:
    both = min(len(run.finite), len(baseline.finite))
    differ: BoolArray = run.finite[:both] != baseline.finite[:both]
    if not differ.any():
        return None
    layer = int(np.flatnonzero(differ)[0])
    now, then = ("finite", "was not") if run.finite[layer] else ("not finite", "was")
    return Broken(layer, None, None, f"layer {layer} is {now}, and {then} in the baseline")


def _spread_told(run: Run, baseline: Run, layer: int, chance: float, comparisons: int) -> Broken:
    value, was = (
        float(some.statistics["second_moment"].stderr[layer])
        / float(some.statistics["second_moment"].estimate[layer])
        * math.sqrt(some.trials_had[layer])
        for some in (run, baseline)
    )
    now, then = told_apart(value, was, 3)
    text = (
        f"differs from the baseline at layer {layer}: second moment varies by {now} of itself"
        f" from trial to trial, was {then} (p = {min(1.0, chance * comparisons):.1g} over"
        f" {comparisons:,} comparisons); the weights may have another distribution"
    )
    return Broken(layer, value, was, text)


def _layers_only_once(run: Run, baseline: Run) -> Broken | None:
    """Return how many layers more or fewer a run has than its baseline, which no layer that both
    have can tell. A note says which those of network files are."""
    now, was = run.depth, baseline.depth
    named = any(entry.network or entry.module for entry in (run, baseline))
    if now == was or named:
        return None
    layers = "layer" if now == 1 else "layers"
    text = f"has {now:,} {layers}, and {was:,} in the baseline; the layers of both agree"
    return Broken(min(now, was) + 1, float(now), float(was), text)


def _told(
    run: Run, baseline: Run, layer: int, chance: float, entry: Difference, comparisons: int
) -> Broken:
    if entry.name == SPREAD:
        return _spread_told(run, baseline, layer, chance, comparisons)
    mine, theirs = run.statistics[entry.name], baseline.statistics[entry.name]
    value, was = float(mine.estimate[layer]), float(theirs.estimate[layer])
    effect = float(entry.effect[layer])
    likely = "beyond chance" if chance == 0 else f"p = {min(1.0, chance * comparisons):.1g}"
    # Relative to something else than the statistic itself, a percentage would mislead.
    size = f"{math.expm1(effect) if mine.logarithmic else effect:+.1%}"
    if entry.name in {*ABSOLUTE, "mean"}:
        size = f"{value - was:+.2g}"
    now, then = told_apart(value, was, 4)
    text = (
        f"differs from the baseline at layer {layer}: {entry.name.replace('_', ' ')}"
        f" {now}±{float(mine.error[layer]):.1g}, was"
        f" {then}±{float(theirs.error[layer]):.1g}, {size} ({likely} over {comparisons:,}"
        f" comparisons)"
    )
    return Broken(layer, value, was, text)
