"""Do the weights of two runs have one distribution? Compare kurtosis, averaged over layers.

Weights of equal variance leave second moments as they are. Their own kurtosis shows to first order
in 1/fan_in in the kurtosis of activations, in every layer alike, and the chance fluctuations of
layers are nearly independent. So the mean over layers of each trial sees it with far fewer trials
than any one layer does.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.checks.rule import Broken
from snstat.checks.welch import welch
from snstat.results import Run
from snstat.values.digits import told_apart

# The share of the false alarms of a comparison with a baseline that this one may raise.
SHARE = 0.1
# As a mean over layers, it is held to this share of the smallest effect of interest.
OF_EFFECT = 0.1


def parted_in_law(run: Run, baseline: Run, min_effect: float, level: float) -> Broken | None:
    """Return how the mean log kurtosis of two runs of equally many layers differs, None if chance
    does that with at least the probability `level`."""
    mine, theirs = run.log_kurtosis, baseline.log_kurtosis
    if mine is None or theirs is None or run.depth != baseline.depth:
        return None
    difference = mine.estimate - theirs.estimate
    trials = run.simulation.trials, baseline.simulation.trials
    errors = np.array([mine.stderr]), np.array([theirs.stderr])
    chance = float(welch(np.array([difference]), *errors, *trials)[0])
    if not (chance < level and abs(difference) > OF_EFFECT * min_effect):
        return None
    value, was = math.exp(mine.estimate), math.exp(theirs.estimate)
    now, then = told_apart(value, was, 4)
    text = (
        f"differs from the baseline: kurtosis, averaged over all layers, {now}, was"
        f" {then}, {math.expm1(difference):+.2%} (p = {chance:.1g}); the weights may have"
        " another distribution"
    )
    return Broken(run.depth, value, was, text)
