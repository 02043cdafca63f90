"""Does the forward signal survive, and does it reach its target? SN101 to SN104, and SN601."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from snstat.checks.case import Case
from snstat.checks.certainty import certain
from snstat.checks.remedies import (
    HOLDING,
    change,
    gains,
    standard,
    standard_inputs,
    widest,
    with_biases,
    without_biases,
)
from snstat.checks.rule import Broken, Remedy, Rule
from snstat.checks.units import dying
from snstat.network.description import summary_of
from snstat.results import FloatArray

# Square sums of weights in the domain of the SNN paper's theorem 1, arXiv:1706.02515.
THEOREM_1 = (0.95, 1.1)
# Deeper stacks are not tried out.
MOST_LAYERS = 2**20


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


def misses_target(case: Case) -> Broken | None:
    """Return how the stack is off its target at the layer by which it is to be there."""
    target = case.target
    if target is None:
        return None
    layer = _target_layer(case)
    goal = f"the target ({target[0]:g}, {target[1]:g})"
    for name, wanted, tolerance in _goals(case, target):
        for value, allowed, source in _looks(case, name, layer, tolerance):
            if math.isnan(value) or abs(value - wanted) > allowed:
                shown = "beyond any float" if math.isnan(value) else f"{value:.4g}"
                text = (
                    f"not at {goal} by layer {layer}: {name} {shown}{source},"
                    f" off by more than {case.bounds.target_tolerance:g} of its scale"
                )
                return Broken(layer, None if math.isnan(value) else value, wanted, text)
    return None


def _target_layer(case: Case) -> int:
    """Return the layer by which the target is to be reached: that of the activation's own, the last
    that has this activation."""
    bounds, last = case.bounds, case.depth
    if case.stack.read_out is not None and bounds.target_mean is None:
        last -= 1
    return min(bounds.target_layer or last, case.depth)


def _goals(case: Case, target: tuple[float, float]) -> tuple[tuple[str, float, float], ...]:
    """Return what has to be where, and how near: name, value, tolerance."""
    mean, variance = target
    unit = variance if variance > 0 else 1.0
    tolerance = case.bounds.target_tolerance
    return ("mean", mean, tolerance * math.sqrt(unit)), ("variance", variance, tolerance * unit)


def _looks(
    case: Case, name: str, layer: int, tolerance: float
) -> Iterator[tuple[float, float, str]]:
    """Yield theory of a statistic, where it holds, and what was seen: value, the distance from the
    target that it is allowed, and where it is from."""
    seen = float(case.seen(name)[layer])
    if case.theory_holds or math.isnan(seen):
        yield float(case.predicted(name)[layer]), tolerance, case.beside(name, layer)
    if case.run is not None and not math.isnan(seen):
        error = float(case.run.statistics[name].stderr[layer])
        # One trial has no error to tell chance by.
        if not math.isnan(error):
            source = " (seen)" if case.theory_holds else case.beside(name, layer)
            yield seen, tolerance + certain(case.run.simulation.trials) * error, source


def wide_enough(case: Case, broken: Broken) -> Iterator[Remedy]:  # noqa: ARG001  # a Family's
    """Yield widths at which theory to first order in 1/width is at the target, where that of
    infinite width is and what was seen is not."""
    target = case.target
    narrow = case.width
    if narrow is None or target is None or not case.theory_holds:
        return
    if misses_target(case.thought) is not None:
        return
    layer, goals = _target_layer(case), _goals(case, target)

    def at_target(width: int) -> bool:
        expected = case.changed(width=width).expected
        return all(
            abs(float(expected[name][layer]) - wanted) <= tolerance
            for name, wanted, tolerance in goals
        )

    wide, most = 2 * narrow, widest(narrow)
    while wide <= most and not at_target(wide):
        narrow, wide = wide, 2 * wide
    if wide > most:
        return
    while wide - narrow > max(wide // 16, 1):
        middle = (narrow + wide) // 2
        narrow, wide = (narrow, middle) if at_target(middle) else (middle, wide)
    while wide <= most:
        yield replace(change(case, width=wide), tried=True)
        wide *= 2


def more_layers(case: Case, broken: Broken) -> Iterator[Remedy]:  # noqa: ARG001  # a Family's
    """Yield the least more layers with which the target is reached, from standard inputs where
    these are not, else from these: it may only take time."""
    if case.width is None:
        return
    inputs = standard(case)
    if inputs is not None:
        yield from _least_layers(case, {"inputs": inputs})
    yield from _least_layers(case, {})


def _least_layers(case: Case, changes: dict[str, Any]) -> Iterator[Remedy]:
    def at_target(depth: int) -> bool:
        return misses_target(case.changed(**changes, depth=depth)) is None

    few = case.depth
    for factor in (2, 4, 8, 16):
        many = factor * case.depth
        if many <= MOST_LAYERS and at_target(many):
            while many - few > 1:
                middle = (few + many) // 2
                few, many = (few, middle) if at_target(middle) else (middle, many)
            yield change(case, **changes, depth=many, at_least=True)
            return
        few = many


def converges_elsewhere(case: Case) -> Broken | None:
    """Return the limit of a stack that converges, but not to its target."""
    target = case.target
    mean, variance = case.outlook.mean, case.outlook.variance
    if target is None or mean is None or variance is None or case.outlook.kind == "neutral":
        return None
    limit = {"mean": mean, "variance": variance}
    if all(abs(limit[name] - value) <= within for name, value, within in _goals(case, target)):
        return None
    text = (
        f"converges to mean {mean:.4g}, variance {variance:.4g} (theory), not to the target"
        f" ({target[0]:g}, {target[1]:g})"
    )
    return Broken(case.depth, variance, target[1], text)


def leaves_theorems(case: Case) -> Broken | None:
    """Return the square sum of SELU's weights where theorem 1 does not cover it."""
    if case.layer.activation != "selu":
        return None
    low, high = THEOREM_1
    layers: list[tuple[int | None, float]] = [(None, case.layer.square_gain)]
    if case.width is None:  # each has weights of its own
        hidden = (part for part in case.stack.segments() if part[2].activation == "selu")
        layers = [(first, layer.square_gain) for first, _, layer in hidden]
    for number, square in layers:
        if not low <= square <= high:
            of = "" if number is None else f" of layer {number}"
            init = summary_of(case.stack).init
            text = (
                f"weights{of} have square sum {square:.4g} ({init}), outside the {low:g} to"
                f" {high:g} for which the SNN paper's theorem 1 is proven"
            )
            return Broken(number, square, low if square < low else high, text)
    return None


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
    Rule(
        "SN103",
        "target-missed",
        "mean or variance is off the target at the last layer (or --target-layer)",
        misses_target,
        None,
        (standard_inputs, wide_enough, gains, without_biases, more_layers),
    ),
    Rule(
        "SN104",
        "wrong-fixed-point",
        "mean and variance converge, but not to the target",
        converges_elsewhere,
        None,
        HOLDING,
    ),
)
DOMAIN_RULES = (
    Rule(
        "SN601",
        "outside-theorems",
        "SELU's weights leave the domain of the SNN paper's theorem 1",
        leaves_theorems,
        None,
        (gains,),
    ),
)
