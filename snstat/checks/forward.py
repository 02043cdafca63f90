"""Does the forward signal survive? SN101 and SN102."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from snstat.checks.case import Case
from snstat.checks.remedies import HOLDING, with_biases
from snstat.checks.rule import Broken, rule
from snstat.checks.units import dying
from snstat.results import FloatArray
from snstat.values.digits import told_apart


@rule("SN101", "signal-vanishes", verdict="vanishing", families=(*HOLDING, with_biases))
def vanishes(case: Case) -> Broken | None:
    """The second moment falls below its bound, here or before --depth-limit.

    **What it does.** It finds the first layer of the stack, or before `--depth-limit`, where the
    second moment of the activations is below `--second-moment-min` times the smaller of 1 and the
    second moment of the input. Tokens have none; that of the layer that embeds them takes its
    place. The branches of residuals and of other sums are left out: what they lose, the sum still
    has, and SN402 finds residuals whose branches add next to nothing.

    **Why it matters.** The rest of the signal is lost in biases and rounding. The last layers then
    train on a constant.

    **What is compared.** The second moment of the activations of each layer, E[φ(√q z)²] with z
    standard normal, that the ensemble map predicts from that of the layer before:

        q = G² E[φ²] + b²

    The rule judges the simulation's estimate where theory has no value, and where the estimate
    leaves theory by more than its error allows, as in narrow networks.

    **Example.**

    ```console
    $ snstat check -a gelu --depth 12 --width 256 --select SN101
    FAILED default: vanishing
      GELU · 12 layers of 256 ·
      lecun_normal (gain 1, 1.468 would keep a second moment of 1)
      8 trials × batch 64 · float32, matrix-free, seed 0
      SN101 signal-vanishes, layer 5: the signal vanishes: second moment 0.00336
            at layer 5 (theory; seen 0.003508±0.0002), below 0.005
            → use --weight-gain 1.534 (now 1)
    ```

    **How to fix it.** Choose the gain G that keeps the second moment constant:

        G² = (q − b²)/E[φ(√q z)²]

    It is √2 for ReLU (He) and 1 for SELU (LeCun). PyTorch's default initialisation of `nn.Linear`
    has G = 0.577, with which nearly every stack vanishes.

    **Options.** `--second-moment-min` (default 0.005), `--depth-limit` (default: the depth).

    **Known problems.** A second moment says nothing about the difference between inputs: a signal
    that has become the same constant for every input passes, and SN301 reports it. If more networks
    are dead than `--dead-max` (default 0.5) allows, the mean over networks is small although the
    signal of the others is not; the verdict is then `collapsed`, and the report leaves this to
    SN401.

    **Source.** Poole et al., arXiv:1606.05340; He et al., arXiv:1502.01852.
    """
    second = case.known("second_moment")
    low, _ = case.bounds.second_moment_range(_start(case))
    if case.inputs.silent and case.outlook.kind == "silent":
        return Broken(0, 0.0, None, "the inputs are zero and no bias adds to them")
    found = _outside(case, second, (second < low) & ~case.aside, low, "signal vanishes", "below")
    small = (case.predicted("second_moment") < low) & ~case.erased & ~case.aside
    if found is None or not dying(case) or small.any():
        return found
    # The mean over networks of which most are dead is small, though the signal of others is not.
    return replace(found, verdict="collapsed")


@rule("SN102", "signal-explodes", verdict="exploding", families=HOLDING)
def explodes(case: Case) -> Broken | None:
    """The second moment exceeds its bound, here or before --depth-limit.

    **What it does.** It finds the first layer of the stack, or before `--depth-limit`, where the
    second moment of the activations exceeds `--second-moment-max` times the larger of 1 and the
    second moment of the input. Tokens have none; that of the layer that embeds them takes its
    place.

    **Why it matters.** Large activations cause large gradients, and the first training step
    destroys the network. With a few more layers, numbers overflow.

    **What is compared.** The second moment of the activations of each layer, E[φ(√q z)²] with z
    standard normal, that the ensemble map predicts from that of the layer before:

        q = G² E[φ²] + b²

    The rule judges the simulation's estimate where theory has no value, and where the estimate
    leaves theory by more than its error allows, as in narrow networks.

    **Example.**

    ```console
    $ snstat check --init he_normal --depth 32 --width 256 --select SN102
    FAILED default: exploding
      SELU · 32 layers of 256 · he_normal (gain 1.414…)
      8 trials × batch 64 · float32, matrix-free, seed 0
      SN102 signal-explodes, layer 24: the signal explodes: second moment 110 at
            layer 24 (theory; seen 108±1e+01), above 100
            → use --weight-gain 1 (now 1.414)
    ```

    **How to fix it.** Choose a smaller gain. The second moment stays constant with

        G² = (q − b²)/E[φ(√q z)²]

    He's gain of √2 is for ReLU. With SELU, it makes the signal explode.

    **Options.** `--second-moment-max` (default 100), `--depth-limit` (default: the depth).

    **Known problems.** The second moment is a mean over networks. Single narrow networks may exceed
    the bound although the mean does not; SN502 reports how much they differ.

    **Source.** Poole et al., arXiv:1606.05340; He et al., arXiv:1502.01852.
    """
    second = case.known("second_moment")
    _, high = case.bounds.second_moment_range(_start(case))
    beyond, missing = second > high, np.isnan(second)
    if missing.any() and case.outlook.kind == "explodes":
        # Theory ends where squares overflow: the next layer is beyond any bound.
        beyond |= missing & (np.cumsum(missing) == 1)
    return _outside(case, second, beyond, high, "signal explodes", "above")


def _start(case: Case) -> float:
    """Return the second moment that the signal starts with: that of the input, or as tokens have
    none, that of the first layer which has one, of a module whether it is judged or not."""
    second = case.known("second_moment")
    if np.isnan(second[0]) and case.run is not None and case.run.module is not None:
        second = case.run.statistics["second_moment"].estimate
    known = second[~np.isnan(second)]
    return float(known[0]) if known.size else 1.0


def _outside(
    case: Case, second: FloatArray, bad: np.ndarray, bound: float, what: str, side: str
) -> Broken | None:
    if not bad.any():
        return None
    layer = int(np.flatnonzero(bad)[0])
    value = float(second[layer])
    seen, limit = told_apart(value, bound, 3)
    shown = "beyond any float" if math.isnan(value) else seen
    later = f", past the {case.depth:,} layers of the stack" if layer > case.depth else ""
    text = (
        f"the {what}: second moment {shown} at layer {layer}{later}"
        f"{case.beside('second_moment', layer)}, {side} {limit}"
    )
    return Broken(layer, None if math.isnan(value) else value, bound, text)
