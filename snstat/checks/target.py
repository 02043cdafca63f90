"""Does the signal reach its target? SN103 and SN104."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from snstat.checks.case import Case
from snstat.checks.certainty import certain
from snstat.checks.obstacle import NO_LIMIT, NO_TARGET, Obstacle
from snstat.checks.remedies import (
    HOLDING,
    change,
    gains,
    standard,
    standard_inputs,
    widest,
    without_biases,
)
from snstat.checks.rule import Broken, Remedy, rule
from snstat.checks.stack_case import StackCase

# Deeper stacks are not tried out.
MOST_LAYERS = 2**20


def wide_enough(case: StackCase, broken: Broken) -> Iterator[Remedy]:  # noqa: ARG001  # a Family's
    """Yield widths at which theory to first order in 1/width is at the target, where that of
    infinite width is and what was seen is not."""
    target = case.target
    narrow = case.width
    if narrow is None or target is None or not case.theory_holds:
        return
    if misses_target(case.thought) is not None:
        return
    layer, goals = case.target_layer, _goals(case, target)

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


def more_layers(case: StackCase, broken: Broken) -> Iterator[Remedy]:  # noqa: ARG001  # a Family's
    """Yield the least more layers with which the target is reached, from standard inputs where
    these are not, else from these: it may only take time."""
    if case.width is None:
        return
    inputs = standard(case)
    if inputs is not None:
        yield from _least_layers(case, {"inputs": inputs})
    yield from _least_layers(case, {})


def _least_layers(case: StackCase, changes: dict[str, Any]) -> Iterator[Remedy]:
    def at_target(depth: int) -> bool:
        changed = case.changed(**changes, depth=depth)
        return misses_target(changed) is None and misses_target.obstacle(changed) is None

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


def _no_comparison(case: Case) -> Obstacle | None:
    """Return why there is nothing to compare with the target."""
    if case.target is None:
        return NO_TARGET
    layer = case.target_layer
    goals = _goals(case, case.target)
    if all([*_looks(case, name, layer, tolerance)] for name, _, tolerance in goals):
        return None
    once = case.run is not None and not math.isnan(case.seen("mean")[layer])
    more = ", and one trial has no error to tell chance by" if once else ""
    return Obstacle(f"theory does not know layer {layer}{more}")


@rule(
    "SN103",
    "target-missed",
    families=(standard_inputs, wide_enough, gains, without_biases, more_layers),
    obstacle=_no_comparison,
)
def misses_target(case: Case) -> Broken | None:
    """Mean or variance is off the target at the last layer (or --target-layer).

    **What it does.** At the last layer, or at `--target-layer`, it finds a mean or a variance of
    the activations that differs from the target by more than `--target-tolerance`. The target of
    SELU is mean 0 and variance 1. Other activations have a target only if `--target-mean` and
    `--target-variance` are given. With `--last`, SELU's own target applies to the last layer that
    has SELU.

    **Why it matters.** A stack that has not reached its target by then is not self-normalising at
    this depth.

    **What is compared.** The mean (in standard deviations of the target) and the variance (relative
    to the target) that theory predicts at that layer. The simulation's values are compared too if
    they exceed the tolerance by more than six standard errors (more for fewer than 12 trials, by
    Student's t). Where theory has no value, they alone are compared. If the stack converges to
    another point than the target, SN104 reports that in place of this rule, if it is selected.

    **Example.**

    ```console
    $ snstat check --depth 3 --width 256 --input-std 8 --select SN103
    FAILED default: stable, but breaks SN103
      SELU · 3 layers of 256 · lecun_normal (gain 1)
      8 trials × batch 64 · float32, matrix-free, seed 0 ·
      inputs normal (mean 0, std 8)
      SN103 target-missed, layer 3: not at the target (0, 1) by layer 3: mean
            1.209 (theory; seen 1.291±0.03), off by more than 0.1 of its scale
            → use --input-std 1 (now 8)
    ```

    **How to fix it.** If the stack converges to another point, use another gain. If it converges to
    the target and has not arrived yet, standardise the inputs or add layers: the distance shrinks
    in each layer by the rate that `snstat fixedpoint` shows (0.783 for SELU).

    **Options.** `--target-mean` (default: 0 for selu), `--target-variance` (default: 1 for selu),
    `--target-tolerance` (default 0.1), `--target-layer` (default: the last).

    **Known problems.** A narrow network may miss a target that an infinitely wide one reaches, and
    a single trial has no standard error to show it. Only one layer is compared: a signal that
    leaves the target on its way to that layer passes.

    **Source.** Klambauer et al., *Self-Normalizing Neural Networks*, arXiv:1706.02515.
    """
    target = case.target
    if target is None:
        return None
    layer = case.target_layer
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


def _goals(case: Case, target: tuple[float, float]) -> tuple[tuple[str, float, float], ...]:
    """Return what has to be where, and how near: name, value, tolerance."""
    mean, variance = target
    unit = variance if variance > 0 else 1.0
    tolerance = case.bounds.target_tolerance
    return ("mean", mean, tolerance * math.sqrt(unit)), ("variance", variance, tolerance * unit)


def _looks(
    case: Case, name: str, layer: int, tolerance: float
) -> Iterator[tuple[float, float, str]]:
    """Yield theory of a statistic, where it holds and is known, and what was seen: value, the
    distance from the target that it is allowed, and where it is from. NaN is what no float holds.
    """
    theory, seen = float(case.predicted(name)[layer]), float(case.seen(name)[layer])
    told = not math.isnan(theory) or _overflows(case, layer)
    if told and (case.theory_holds or math.isnan(seen)):
        yield theory, tolerance, case.beside(name, layer)
    if case.run is not None and not math.isnan(seen):
        error = float(case.run.statistics[name].stderr[layer])
        # One trial has no error to tell chance by.
        if not math.isnan(error):
            source = " (seen)" if told and case.theory_holds else case.beside(name, layer)
            yield seen, tolerance + certain(case.run.simulation.trials) * error, source


def _overflows(case: Case, layer: int) -> bool:
    """Return whether theory ends before a layer, or nothing was seen there, because values are
    beyond any float."""
    finite = case.run is None or bool(case.run.finite[layer])
    return case.outlook.kind == "explodes" or not finite


def _no_limit(case: Case) -> Obstacle | None:
    """Return why there is no limit to compare with the target."""
    if case.no_limit is not None or case.goal is None:
        return case.no_limit or NO_TARGET
    return NO_LIMIT if case.outlook.mean is None else None


@rule("SN104", "wrong-fixed-point", families=HOLDING, obstacle=_no_limit)
def converges_elsewhere(case: Case) -> Broken | None:
    """Mean and variance converge, but not to the target.

    **What it does.** It compares the limit of mean and variance, if the stack went on for ever,
    with the target of SN103. A limit is off the target by the same tolerance.

    **Why it matters.** Every layer pulls the signal away from the target. More depth makes this
    worse, and no normalisation of the inputs prevents it.

    **What is compared.** The target with mean E[φ(√q z)] and variance E[φ(√q z)²] − E[φ(√q z)]² at
    the fixed point of the ensemble map that the signal approaches:

        q = G² E[φ(√q z)²] + b²

    **Example.**

    ```console
    $ snstat check --weight-gain 1.1 --depth 32 --width 256 --select SN104
    FAILED default: stable, but breaks SN104
      SELU · 32 layers of 256 · lecun_normal (gain 1.1)
      8 trials × batch 64 · float32, matrix-free, seed 0
      SN104 wrong-fixed-point, layer 32: converges to mean 0.128, variance 2.002
            (theory), not to the target (0, 1)
            → use --weight-gain 1 (now 1.1)
    ```

    **How to fix it.** Each gain has its own fixed point. SELU's (0, 1) belongs to a gain of 1
    (`--init lecun_normal`) without biases. For another gain, `snstat fixedpoint --target-mean M
    --target-variance V` solves for the parameters of SELU.

    **Options.** `--target-mean` (default: 0 for selu), `--target-variance` (default: 1 for selu),
    `--target-tolerance` (default 0.1).

    **Known problems.** Of a network file, the last block that is repeated four times or more is
    judged, by the target that is asked for, else by SELU's if it has no other activation. No
    statistic measures a limit, so the rule uses theory of infinite width only. A signal that does
    not converge has no limit to compare: SN101 and SN102 report it.

    **Source.** Klambauer et al., *Self-Normalizing Neural Networks*, arXiv:1706.02515.
    """
    target = case.goal
    if target is None:
        return None
    mean, variance = case.outlook.mean, case.outlook.variance
    if mean is None or variance is None or case.outlook.kind == "neutral":
        return None
    limit = {"mean": mean, "variance": variance}
    if all(abs(limit[name] - value) <= within for name, value, within in _goals(case, target)):
        return None
    text = (
        f"converges to mean {mean:.4g}, variance {variance:.4g} (theory), not to the target"
        f" ({target[0]:g}, {target[1]:g})"
    )
    return Broken(min(case.depth, case.repeated[1]), variance, target[1], text)
