"""Are units alive? SN401."""

from __future__ import annotations

import math

import numpy as np

from snstat.activation import Activation
from snstat.checks.case import Case
from snstat.checks.remedies import fewer_layers, gains, without_biases
from snstat.checks.rule import Broken, Rule
from snstat.results import FloatArray

# A unit whose derivative is below this share of the largest is saturated.
SATURATED = 0.01
# Quantiles of the pre-activations among which the saturated ones are counted.
QUANTILES = 4001


def saturates(activation: Activation) -> bool:
    """Return whether the activation is flat at both ends."""
    return activation.slopes == (0.0, 0.0)


def saturated_share(activation: Activation, q: FloatArray) -> FloatArray:
    """Return the share of units whose derivative is below a hundredth of the largest, for
    pre-activations N(0, q), q an array (layers,), NaN where q is."""
    from scipy.special import ndtri

    normal = ndtri((np.arange(QUANTILES) + 0.5) / QUANTILES)
    largest = np.abs(activation.derivative(np.linspace(-6.0, 6.0, 2401))).max()
    values, index = np.unique(q, return_inverse=True)  # a settled stack repeats one q
    shares = [
        math.nan
        if math.isnan(value)
        else float(
            np.mean(np.abs(activation.derivative(math.sqrt(value) * normal)) < SATURATED * largest)
        )
        for value in values.tolist()
    ]
    return np.array(shares)[index]


def too_few_alive(case: Case) -> Broken | None:
    """Return where dead units, or saturated ones, exceed their share."""
    candidates = [_dead(case)]
    if saturates(case.activation):
        candidates.append(_saturated(case))
    found = [broken for broken in candidates if broken is not None]
    return min(found, key=lambda broken: broken.layer or 0) if found else None


def _dead(case: Case) -> Broken | None:
    dead, bound = case.known("dead_fraction"), case.bounds.dead_max
    bad = np.flatnonzero(dead > bound)
    if not bad.size:
        return None
    layer = int(bad[0])
    value = float(dead[layer])
    text = (
        f"{value:.1%} of the units of layer {layer} are dead for all {case.batch} samples"
        f"{case.beside('dead_fraction', layer)}, more than {bound:.4g}"
    )
    return Broken(layer, value, bound, text)


def _saturated(case: Case) -> Broken | None:
    share = saturated_share(case.activation, case.prediction.pre_second_moment)
    bound = case.bounds.saturated_max
    bad = np.flatnonzero(share > bound)
    if not bad.size:
        return None
    layer = int(bad[0])
    value = float(share[layer])
    text = (
        f"{value:.1%} of the units of layer {layer} are saturated (theory: slope below"
        f" {SATURATED:.0%} of the steepest), more than {bound:.4g}"
    )
    return Broken(layer, value, bound, text)


RULES = (
    Rule(
        "SN401",
        "units-dead",
        "too many units are dead for the whole batch, or saturated",
        too_few_alive,
        None,
        (gains, without_biases, fewer_layers),
    ),
)
