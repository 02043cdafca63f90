"""What becomes of the difference between inputs? SN301 and SN302."""

from __future__ import annotations

import math

import numpy as np

from snstat.checks.case import Case
from snstat.checks.remedies import HOLDING
from snstat.checks.rule import Broken, Rule

# Inputs are the same where 1 − cosine is rounding.
SAME = 1e-12
# From a hundredth to all: 1 − cosine is of the order of 1.
APART = 100.0


def comparable(cosine: float) -> bool:
    """Return whether inputs with this `cosine` have a difference to lose, beyond rounding."""
    return 1.0 - cosine > SAME


def collapses(case: Case) -> Broken | None:
    """Return where different inputs have become alike.

    Inputs that are alike from the start have little to lose: what counts is the share of the
    difference 1 − cosine that is left.
    """
    cosine = case.known("cosine")
    if not comparable(float(cosine[0])):
        return None
    bound = 1.0 - (1.0 - case.bounds.cosine_max) * (1.0 - max(float(cosine[0]), 0.0))
    bad = np.flatnonzero(cosine[1:] >= bound)
    if not bad.size:
        return None
    layer = int(bad[0]) + 1
    value = float(cosine[layer])
    text = (
        f"inputs become alike: cosine {value:.4g} at layer {layer}{case.beside('cosine', layer)},"
        f" at least {bound:.4g}; {cosine[0] + 0.0:.2g} at the input"
    )
    return Broken(layer, value, bound, text)


def separates(case: Case) -> Broken | None:
    """Return after how many layers nearby inputs have separated, where they do so within the stack.

    Where the second moment settles, each layer multiplies the distance 1 − cosine of nearly equal
    inputs by χ = G² E[φ'²], the slope of the correlation map at 1.
    """
    rate, bound = case.outlook.gradient_growth, case.bounds.separation_max
    if case.outlook.kind != "converges" or rate is None or not rate > bound:
        return None
    layers = math.ceil(math.log(APART) / math.log(rate))
    if layers > case.limit:
        return None
    text = (
        f"chaotic phase: each layer pulls nearby inputs ×{rate:.4g} apart (theory), above"
        f" {bound:.4g}; a difference of 1% is total by layer {layers}"
    )
    return Broken(layers, rate, bound, text)


RULES = (
    Rule(
        "SN301",
        "inputs-collapse",
        "the cosine between different inputs reaches its bound",
        collapses,
        "collapsed",
        HOLDING,
    ),
    Rule(
        "SN302",
        "inputs-separate",
        "nearby inputs separate within the stack, by more than --separation-max per layer",
        separates,
        "chaotic",
        HOLDING,
    ),
)
