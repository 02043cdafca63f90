"""Does the forward signal survive? SN101 and SN102."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from snstat.checks.case import Case
from snstat.checks.remedies import HOLDING, with_biases
from snstat.checks.rule import Broken, Rule
from snstat.checks.units import dying
from snstat.results import FloatArray


def vanishes(case: Case) -> Broken | None:
    """Return where the second moment falls below its bound."""
    second = case.known("second_moment")
    low, _ = case.bounds.second_moment_range(float(second[0]))
    if case.outlook.kind == "silent":
        return Broken(0, 0.0, None, "the inputs are zero and no bias adds to them")
    found = _outside(case, second, second < low, low, "signal vanishes", "below")
    if (
        found is None
        or not dying(case)
        or (~case.erased & (case.predicted("second_moment") < low)).any()
    ):
        return found
    # The mean over networks of which most are dead is small, though the signal of others is not.
    return replace(found, verdict="collapsed")


def explodes(case: Case) -> Broken | None:
    """Return where the second moment exceeds its bound."""
    second = case.known("second_moment")
    _, high = case.bounds.second_moment_range(float(second[0]))
    beyond = second > high
    if case.outlook.kind == "explodes":
        # Theory ends where squares overflow: the next layer is beyond any bound.
        missing = np.isnan(second)
        beyond |= missing & (np.cumsum(missing) == 1)
    return _outside(case, second, beyond, high, "signal explodes", "above")


def _outside(
    case: Case, second: FloatArray, bad: np.ndarray, bound: float, what: str, side: str
) -> Broken | None:
    if not bad.any():
        return None
    layer = int(np.flatnonzero(bad)[0])
    value = float(second[layer])
    shown = "beyond any float" if math.isnan(value) else f"{value:.3g}"
    later = f", past the {case.depth} layers of the stack" if layer > case.depth else ""
    text = (
        f"the {what}: second moment {shown} at layer {layer}{later}"
        f"{case.beside('second_moment', layer)}, {side} {bound:.3g}"
    )
    return Broken(layer, None if math.isnan(value) else value, bound, text)


RULES = (
    Rule(
        "SN101",
        "signal-vanishes",
        "the second moment falls below its bound, here or before --depth-limit",
        vanishes,
        "vanishing",
        (*HOLDING, with_biases),
    ),
    Rule(
        "SN102",
        "signal-explodes",
        "the second moment exceeds its bound, here or before --depth-limit",
        explodes,
        "exploding",
        HOLDING,
    ),
)
