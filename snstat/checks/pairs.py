"""What becomes of the difference between inputs? SN301 and SN302."""

from __future__ import annotations

import math

import numpy as np

from snstat.checks.case import Case
from snstat.checks.remedies import fewer_layers, gains, without_biases
from snstat.checks.rule import Broken, Rule
from snstat.results import FloatArray


def collapses(case: Case) -> Broken | None:
    """Return where different inputs have become alike.

    Inputs that are alike from the start have little to lose: what counts is the share of the
    difference 1 − cosine that is left.
    """
    cosine = case.known("cosine")
    if math.isnan(cosine[0]) or cosine[0] >= 1.0:
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


def separation(case: Case) -> FloatArray:
    """Return the factor by which each layer multiplies 1 − cosine of nearly equal inputs,
    (limit + 1,), NaN where unknown: the slope of the correlation map at 1."""
    q = case.prediction.pre_second_moment
    following = case.layer.square_gain * case.predicted("second_moment") + case.layer.bias_std**2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(following > 0, case.prediction.growth * q / following, np.nan)


def separates(case: Case) -> Broken | None:
    """Return the layer from which on nearby inputs separate faster than the bound."""
    factors, bound = separation(case), case.bounds.separation_max
    known = np.flatnonzero(~np.isnan(factors))
    if not known.size or not factors[known[-1]] > bound:
        return None
    calm = known[factors[known] <= bound]
    layer = int(calm[-1]) + 1 if calm.size else int(known[0])
    value = float(factors[known[-1]])
    # 1 − cosine of a hundredth has become of the order of 1.
    layers = math.ceil(math.log(100.0) / math.log(value))
    text = (
        f"chaotic phase from layer {layer}: each layer pulls nearby inputs ×{value:.4g} apart"
        f" (theory), above {bound:.4g}; a difference of 1% is total after about"
        f" {layers} {'layer' if layers == 1 else 'layers'}"
    )
    return Broken(layer, value, bound, text)


RULES = (
    Rule(
        "SN301",
        "inputs-collapse",
        "the cosine between different inputs reaches its bound",
        collapses,
        "collapsed",
        (gains, without_biases, fewer_layers),
    ),
    Rule(
        "SN302",
        "inputs-separate",
        "nearby inputs separate faster than --separation-max per layer (chaotic phase)",
        separates,
        "chaotic",
        (gains,),
    ),
)
