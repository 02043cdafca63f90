"""Are units alive? SN401."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from snstat.checks.case import Case
from snstat.checks.remedies import HOLDING
from snstat.checks.rule import Broken, rule
from snstat.results import FloatArray
from snstat.theory.saturation import SATURATED

# Of a share by theory; one half exactly is what ReLU leaves of a single sample.
ROUNDING = 1e-9


def dead_networks(case: Case) -> FloatArray:
    """Return the share of networks that give one output for every input from a layer on,
    (limit + 1,): by theory, and where more units are dead than theory says, by what was seen.

    In a dead network all units are dead, in others about as many as theory says. Where every
    network outputs 0 for all samples, all are dead, however few they are: theory of several samples
    is too low in narrow networks. That of one sample is exact.
    """
    units = case.predicted("dead_fraction")
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = (case.seen("dead_fraction") - units) / (1.0 - units)
    all_dead = (case.seen("zero_samples") == 1) & (case.silent > 0) & (case.batch > 1)
    seen = np.where(case.judges_seen("dead_fraction") | all_dead, beyond, math.nan)
    share: FloatArray = np.fmax(case.silent, seen)
    return share


def dying(case: Case) -> bool:
    """Return whether more networks die within the stack than there may be dead units."""
    return bool((dead_networks(case) > case.bounds.dead_max).any())


def off(case: Case) -> FloatArray:
    """Return the share of units at which the level part of their activation reaches to 0,
    (limit + 1,): half of those of ReLU6, and all of a dead network.

    Those are flat because they are off, as those of ReLU are. No size of the signal changes that,
    so they do not count as saturated.
    """
    resting = case.resting
    dead = np.where(case.judges_seen("saturated_fraction"), dead_networks(case), 0.0)
    share: FloatArray = np.where(resting > 0, resting + (1.0 - resting) * dead, resting)
    return share


def saturated(case: Case) -> Broken | None:
    """Return where the share of saturated units exceeds its bound, of those that are not off."""
    share, resting = case.known("saturated_fraction"), off(case)
    with np.errstate(divide="ignore", invalid="ignore"):
        driven = (share - resting) / (1.0 - resting)

    def what(layer: int) -> str:
        slope = f"saturated (slope below {SATURATED:.0%} of the steepest)"
        if not resting[layer]:
            return f"of the units of layer {layer} are {slope}{case.beside(name, layer)}"
        source = "seen" if case.judges_seen(name)[layer] else "theory"
        return (
            f"of the units of layer {layer} that are not off are {slope} ({source};"
            f" {share[layer]:.1%} of all)"
        )

    name = "saturated_fraction"
    return _beyond(driven, case.bounds.saturated_max, what)


def _samples(batch: int) -> str:
    return "the one sample" if batch == 1 else f"all {batch:,} samples"


@rule("SN401", "units-dead", families=HOLDING)
def too_few_alive(case: Case) -> Broken | None:
    """Too many units are dead for the whole batch or saturated, or whole networks are dead.

    **What it does.** It finds the first layer with more dead units than `--dead-max`: their
    derivative is exactly 0 for every sample of the batch. For activations that are flat at both
    ends, it also finds more than `--saturated-max` saturated units: their slope is below a
    hundredth of the steepest. Units that are flat because they are off, as half of the units of
    ReLU6 and of ReLU are, do not count: the share is that of the other units. The rule also fails
    if more than `--dead-max` of the networks are dead: all units of some layer are dead, and the
    output does not depend on the input. The verdict is then `collapsed`.

    **Why it matters.** No gradient passes a dead unit, so it does not recover. A saturated unit
    learns a hundred times more slowly.

    **What is compared.** The share that theory predicts for pre-activations N(0, q) and a batch of
    this size and cosine. The rule judges the simulation's estimate where theory has no value, and
    where the estimate leaves theory by more than its error allows (Student's t, and Hoeffding's
    bound for shares, at 1 in 10,000). Networks are dead with probability 1 − Π(1 − Dⁿ) over the
    layers, where D is the share of dead units and n the width. If more units are dead than theory
    predicts, the surplus gives the share of dead networks.

    **Example.**

    ```console
    $ snstat check -a relu --depth 8 --width 2 --select SN401
    FAILED default: collapsed
      ReLU · 8 layers of 2 · he_normal (gain 1.414…)
      8 trials × batch 64 · float32, dense, seed 0
      SN401 units-dead, layer 7: 87.5% of the units of layer 7 are dead for all 64
            samples (seen 0.875±0.08; theory 0.1111), more than 0.5; 85.9% of the
            networks give one output for every input from layer 7 on (by dead
            units seen), more than 0.5
            → width ≥ 43 (now 2)
    ```

    **How to fix it.** For ReLU, fix the collapse of inputs (SN301) that makes all samples switch
    off the same units, use wider layers if whole networks die, or use a leaky activation. For tanh,
    sigmoid and similar activations, use a smaller gain.

    **Options.** `--dead-max` (default 0.5), `--saturated-max` (default 0.5), `--depth-limit`
    (default: the depth).

    **Known problems.** The share of dead units depends on `--batch`: in a larger batch fewer units
    are dead, and fewer still in all of the training data. Of one sample, half of the units of ReLU
    look dead, so the share is judged only where theory has it. The rule does not apply to a linear
    read-out.

    **Source.** Glorot, Bengio, *Understanding the difficulty of training deep feedforward neural
    networks* (2010); Lu et al., *Dying ReLU and Initialization*, arXiv:1903.06733.
    """
    dead = case.known("dead_fraction")
    if case.batch == 1:  # of one sample, units that are off look dead: half of those of ReLU
        dead = np.where(np.isnan(case.predicted("dead_fraction")), math.nan, dead)
    bounds, networks = case.bounds, dead_networks(case)
    found = [
        _beyond(
            dead,
            bounds.dead_max,
            lambda layer: (
                f"of the units of layer {layer} are dead for {_samples(case.batch)}"
                f"{case.beside('dead_fraction', layer)}"
            ),
        ),
        saturated(case),
        _beyond(
            networks,
            bounds.dead_max,
            lambda layer: (
                f"of the networks give one output for every input from layer {layer} on"
                f" ({'theory' if case.silent[layer] == networks[layer] else 'by dead units seen'})"
            ),
        ),
    ]
    first = min(
        (broken for broken in found if broken is not None),
        key=lambda broken: broken.layer or 0,
        default=None,
    )
    if first is None or found[2] is None:
        return first
    if first is not found[2]:
        first = replace(first, text=f"{first.text}; {found[2].text}")
    return replace(first, verdict="collapsed")


def _beyond(share: FloatArray, bound: float, what: Callable[[int], str]) -> Broken | None:
    """Return the first layer at which a share (layers,) of `what` exceeds its bound."""
    bad = np.flatnonzero(share > bound + ROUNDING)
    if not bad.size:
        return None
    layer = int(bad[0])
    value = float(share[layer])
    text = f"{value:.1%} {what(layer)}, more than {bound:.4g}"
    return Broken(layer, value, bound, text)
