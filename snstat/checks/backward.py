"""Do gradients survive the way back? SN201 and SN202."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from snstat.checks.case import Case
from snstat.checks.obstacle import Obstacle
from snstat.checks.remedies import HOLDING, change
from snstat.checks.rule import Broken, Remedy, rule
from snstat.checks.stack_case import StackCase
from snstat.checks.units import dying
from snstat.results import BoolArray, FloatArray


def _allowed(case: Case) -> float:
    """Return the bound of |ln| of the change."""
    return case.bounds.gradient_decades * math.log(10.0)


def _unknown(case: Case) -> Obstacle | None:
    """Return why nothing is known of gradients."""
    return case.no_gradients


def partly(case: Case) -> str:
    """Return from which layer on gradients are known, and what measures those before."""
    if case.of_files is not None:  # rows of a module, which may have none
        return ""
    missing = np.flatnonzero(np.isnan(case.gradients) & np.isnan(case.seen_gradients))
    if not missing.size or (case.angles_from and missing[-1] == 0):  # tokens have none
        return ""
    first = int(missing[-1]) + 1
    return f"judged only from layer {first} on: {case.why_no_gradients}"


def _shorter(case: StackCase, broken: Broken) -> Iterator[Remedy]:  # noqa: ARG001  # a Rule's
    """Yield as many layers as the bound allows."""
    logs, allowed = case.gradients, _allowed(case)
    within = np.flatnonzero(np.abs(logs) <= allowed)
    # Layers from the end that are within the bound, and the input, which costs next to nothing; a
    # shorter stack begins elsewhere, so a few fewer may be what holds.
    longest = case.depth - int(within[0]) + 1 if within.size else 0
    for depth in dict.fromkeys((longest, longest - 1, longest - 2, int(0.9 * longest))):
        if 1 <= depth < case.depth:
            yield change(case, depth=depth)


@rule(
    "SN201",
    "gradient-vanishing",
    verdict="gradient-vanishing",
    families=(*HOLDING, _shorter),
    obstacle=_unknown,
    partly=partly,
)
def gradients_vanish(case: Case) -> Broken | None:
    """Squared gradients shrink by more than --gradient-decades over the stack.

    **What it does.** From the output of the last layer back to the input, it finds a layer at which
    the squared norm of the gradient has shrunk by more than 10^`--gradient-decades`.

    **Why it matters.** The steps of the first layers are smaller than those of the last by the same
    factor. The last layers then train on random features.

    **What is compared.** The bound with the product over the layers passed of the factor by which
    each multiplies the squared norm of the gradient:

        χ = G² E[φ'(√q z)²]

    With `--backward`, the rule judges the measured gradient where theory has no value, and where
    the measurement leaves theory by more than its error allows (Student's t at 1 in 10,000, at
    least six standard errors), because theory is for infinite width.

    **Example.**

    ```console
    $ snstat check -a tanh --bias-std 0.5 --width 256 --select SN201
    FAILED default: collapsed
      tanh · 64 layers of 256 · lecun_normal (gain 1, bias std 0.5)
      8 trials × batch 64 · float32, matrix-free, seed 0
      SN201 gradient-vanishing, layer 0: squared gradients shrink ×4.65e-16 from
            layer 64 back to layer 0 (theory), below 10^-6, crossed 26 layers from
            the end
            → use --weight-gain 1.379 (now 1)
    ```

    **How to fix it.** Use fewer layers, or a gain closer to the edge of chaos, where χ = 1. A
    forward signal of constant size does not show this problem.

    **Options.** `--gradient-decades` (default 6).

    **Known problems.** Without `--backward` only theory of infinite width is judged. The gradient
    is that of the activations; that of a weight also depends on the activation before it. One dead
    network makes the measured gradient exactly 0. That counts only where theory has no value, or if
    more networks are dead than `--dead-max` (default 0.5) allows. Gradients of 0 within a branch
    that is exactly 0 at first, by its scale or its last weights, are meant so and do not count, nor
    do those of layers that the output does not depend on, which a note names.

    **Source.** Schoenholz et al., *Deep Information Propagation*, arXiv:1611.01232.
    """
    logs = logarithms(case)
    # Branches that are exactly 0 at first are meant so: see SN402.
    begins_as_0 = np.isneginf(case.gradients) & case.aside[: len(logs)]
    # Where layers before have a gradient, it passes by: the output does not depend on this one.
    passed_by = np.isneginf(logs) & np.logical_or.accumulate(np.isfinite(logs))
    logs = np.where(begins_as_0 | passed_by, math.nan, logs)
    return _changed(case, logs, logs < -_allowed(case), "shrink", "below", -1)


@rule(
    "SN202",
    "gradient-exploding",
    verdict="gradient-exploding",
    families=(*HOLDING, _shorter),
    obstacle=_unknown,
    partly=partly,
)
def gradients_explode(case: Case) -> Broken | None:
    """Squared gradients grow by more than --gradient-decades over the stack.

    **What it does.** From the output of the last layer back to the input, it finds a layer at which
    the squared norm of the gradient has grown by more than 10^`--gradient-decades`.

    **Why it matters.** No learning rate suits all layers if their gradients differ by a factor of a
    million: with the rate that the last layers need, the first ones diverge.

    **What is compared.** The bound with the product over the layers passed of the factor by which
    each multiplies the squared norm of the gradient:

        χ = G² E[φ'(√q z)²]

    At SELU's fixed point χ = 1.0716: the forward signal is normalised perfectly, while squared
    gradients grow 83-fold over 64 layers and 10^15-fold over 512. With `--backward`, the rule
    judges the measured gradient where theory has no value, and where the measurement leaves theory
    by more than its error allows (Student's t at 1 in 10,000, at least six standard errors).

    **Example.**

    ```console
    $ snstat check --depth 256 --width 256 --select SN202
    FAILED default: gradient-exploding
      SELU · 256 layers of 256 · lecun_normal (gain 1)
      8 trials × batch 64 · float32, matrix-free, seed 0
      SN202 gradient-exploding, layer 0: squared gradients grow ×4.85e+07 from
            layer 256 back to layer 0 (theory), above 10^6, crossed 200 layers
            from the end
            → at most 199 layers (now 256)
    ```

    **How to fix it.** Use fewer layers, or a gain closer to the edge of chaos, where χ = 1. Deeper
    networks need normalisation layers or residual connections.

    **Options.** `--gradient-decades` (default 6).

    **Known problems.** Without `--backward` only theory of infinite width is judged. The gradient
    is that of the activations; that of a weight also depends on the activation before it.

    **Source.** Schoenholz et al., *Deep Information Propagation*, arXiv:1611.01232.
    """
    logs = logarithms(case)
    return _changed(case, logs, logs > _allowed(case), "grow", "above", 1)


def logarithms(case: Case) -> FloatArray:
    """Return ln of the squared gradients over the last, (depth + 1,): theory, or what was seen."""
    return np.where(_judges_seen(case), case.seen_gradients, case.expected_gradients)


def _judges_seen(case: Case) -> BoolArray:
    """Return the layers, (depth + 1,), of which the gradient measured is judged: exact zeros only
    where more networks die than may, because one dead network makes the geometric mean 0."""
    zero: BoolArray = np.isneginf(case.seen_gradients) & np.isfinite(case.gradients)
    return case.judges_seen_gradients & ~zero | (zero & dying(case))


def _changed(
    case: Case, logs: FloatArray, bad: np.ndarray, verb: str, side: str, sign: int
) -> Broken | None:
    if not bad.any():
        return None
    crossing = int(np.flatnonzero(bad)[-1])  # the nearest to the last layer
    # Where the input itself is within bounds again, the worst layer is what counts.
    layer = 0 if bad[0] else int(np.nanargmax(sign * logs))
    decades = case.bounds.gradient_decades
    value, bound = power(logs[layer]), 10.0 ** (sign * decades)
    away = case.depth - crossing
    change = "become 0" if logs[layer] == -math.inf else f"{verb} ×{scientific(logs[layer])}"
    text = (
        f"squared gradients {change} from layer {case.depth} back to"
        f" layer {layer}{_beside(case, layer)}, {side} 10^{sign * decades:g}, crossed"
        f" {away:,} {'layer' if away == 1 else 'layers'} from the end"
    )
    dead = sign < 0 and math.isinf(logs[layer]) and bool(_judges_seen(case)[layer])
    return Broken(layer, value, bound, text, "collapsed" if dead else None)


def _beside(case: Case, layer: int) -> str:
    """Return how a gradient came about, in brackets, what is judged first."""
    words, theory = [], float(case.expected_gradients[layer])
    seen, from_seen = float(case.seen_gradients[layer]), bool(_judges_seen(case)[layer])
    if not math.isnan(theory) and (case.theory_holds or not from_seen):
        words.append(f"theory ×{scientific(theory)}" if from_seen else "theory")
    if not math.isnan(seen):
        words.append("seen" if from_seen else f"seen ×{scientific(seen)}")
    if from_seen:
        words.reverse()
    return f" ({'; '.join(words)})" if words else ""


def power(logarithm: float) -> float | None:
    """Return e to the `logarithm`, None out of a float's range."""
    try:
        value = math.exp(logarithm)
    except OverflowError:
        return None
    return value if 0 < value < math.inf else None


def scientific(logarithm: float) -> str:
    """Return e to the `logarithm` as text, however large or small."""
    value = power(logarithm)
    if value is not None:
        return f"{value:.3g}"
    if math.isinf(logarithm):
        return "0" if logarithm < 0 else "infinity"
    return f"10^{logarithm / math.log(10.0):.0f}"
