"""Does the signal reach its target? SN103 and SN104."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from snstat.checks.case import Case
from snstat.checks.certainty import certain
from snstat.checks.remedies import (
    HOLDING,
    change,
    gains,
    standard,
    standard_inputs,
    widest,
    without_biases,
)
from snstat.checks.rule import Broken, Remedy, Rule

# Deeper stacks are not tried out.
MOST_LAYERS = 2**20


def misses_target(case: Case) -> Broken | None:
    """Return how the stack is off its target at the layer by which it is to be there."""
    target = case.bounds.target(case.stack.activation)
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
    if case.stack.last is not None and bounds.target_mean is None:
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
    target = case.bounds.target(case.stack.activation)
    if case.stack.runs or target is None or not case.theory_holds:
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

    narrow = case.stack.width
    wide = 2 * narrow
    most = widest(case)
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
    if case.stack.runs:
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
    target = case.bounds.target(case.stack.activation)
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


RULES = (
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
