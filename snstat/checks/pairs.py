"""What becomes of the difference between inputs? SN301 and SN302."""

from __future__ import annotations

import math

import numpy as np

from snstat.checks.case import Case
from snstat.checks.obstacle import NO_LIMIT, Obstacle
from snstat.checks.remedies import HOLDING
from snstat.checks.rule import Broken, rule
from snstat.values.digits import told_apart

# Inputs are the same where 1 − cosine is rounding.
SAME = 1e-12
# From a hundredth to all: 1 − cosine is of the order of 1.
APART = 100.0


def zero_share(case: Case) -> float:
    """Return the share of samples that are all zeros."""
    return float(np.fmax(case.seen("zero_samples"), case.predicted("zero_samples"))[0])


def comparable(cosine: float) -> bool:
    """Return whether inputs with this `cosine` have a difference to lose, beyond rounding."""
    return 1.0 - cosine > SAME


def _alike(case: Case) -> Obstacle | None:
    """Return why inputs have no difference to lose."""
    cosine = float(case.known("cosine")[case.angles_from])
    if comparable(cosine):
        return None
    what = "there is one sample" if case.batch == 1 else "all inputs are alike"
    if math.isnan(cosine) and case.batch > 1:
        what = "the samples are too small for their squares"
        if case.run is not None and case.run.module is not None:
            what = "no layer has samples that can be compared"
        if zero_share(case) > 0:
            what = "fewer than two samples of a batch are not zero"
    return Obstacle(what)


@rule("SN301", "inputs-collapse", verdict="collapsed", families=HOLDING, obstacle=_alike)
def collapses(case: Case) -> Broken | None:
    """The cosine between different inputs reaches its bound.

    **What it does.** It finds the first layer at which different inputs have become alike: their
    cosine, averaged over pairs of samples, reaches `--cosine-max`. If the inputs are alike from the
    start, the rule judges how much of their difference, 1 − cosine, remains. The branches of
    residuals and of other sums are left out: the sum keeps what inputs differ by.

    **Why it matters.** The last layers see the same vector for every input. Pooled mean and
    variance do not show this: in a ReLU stack with He's initialisation the second moment is the
    same at every layer, and at layer 64 the cosine of any two inputs is 0.99.

    **What is compared.** The cosine that the correlation map predicts, starting at the cosine of
    the inputs:

        c' = (G² E[φ(√q z₁) φ(√q z₂)] + b²)/q'

    Here c is the correlation of the standard normal z₁ and z₂, and q' the next second moment of the
    pre-activations. If the inputs have a cosine c₀ above 0, the bound is on (1 − cosine)/(1 − c₀),
    the share of their difference that is left. The rule judges the simulation's estimate where
    theory has no value, and where the estimate leaves theory by more than its error allows.

    **Example.**

    ```console
    $ snstat check -a relu --width 256 --select SN301
    FAILED default: collapsed
      ReLU · 64 layers of 256 · he_normal (gain 1.414…)
      8 trials × batch 64 · float32, matrix-free, seed 0
      SN301 inputs-collapse, layer 38: inputs become alike: cosine 0.9808 at layer
            38 (theory; seen 0.9802±0.003), at least 0.98; 0 at the input
            → no gain keeps 64 ReLU layers of this width stable: at most 37 layers
              (now 64), or normalise between layers
    ```

    **How to fix it.** Use fewer layers; for smooth activations, a gain closer to the edge of chaos;
    leaky or centred activations in place of ReLU; batch normalisation; residual connections.

    **Options.** `--cosine-max` (default 0.98), `--depth-limit` (default: the depth).

    **Known problems.** The cosine includes the mean. Activations with a large mean, such as
    sigmoid, reach the bound within a few layers, although samples still differ by far more than
    rounding. With one sample (`--batch 1`) there is nothing to compare, and a note says so. Layers
    of one unit are left out, whose cosines are signs.

    **Source.** Poole et al., arXiv:1606.05340; Schoenholz et al., arXiv:1611.01232.
    """
    first = case.angles_from
    if not comparable(float(case.known("cosine")[first])):
        return None
    return become_alike(case, "cosine", "inputs", case.bounds.cosine_max, first)


def become_alike(case: Case, name: str, what: str, most: float, first: int) -> Broken | None:
    """Return where a cosine, called `name`, of `what` leaves less than 1 − `most` of the difference
    at layer `first`."""
    cosine = case.known(name)
    start = float(cosine[first])
    bound = 1.0 - (1.0 - most) * (1.0 - max(start, 0.0))
    # Of one unit a cosine is whether signs are the same.
    reached = (cosine >= bound) & ~case.aside
    reached[: len(case.units)] &= case.units > 1
    bad = np.flatnonzero(reached[first + 1 :])
    if not bad.size:
        return None
    layer = int(bad[0]) + first + 1
    value = float(cosine[layer])
    seen, least = told_apart(value, bound, 4)
    text = (
        f"{what} become alike: cosine {seen} at layer {layer}{case.beside(name, layer)},"
        f" at least {least}; {start + 0.0:.2g} at {f'layer {first}' if first else 'the input'}"
    )
    return Broken(layer, value, bound, text)


def _no_slope(case: Case) -> Obstacle | None:
    """Return why the slope at the limit is not known."""
    if case.no_limit is not None:
        return case.no_limit
    if case.outlook.kind not in ("converges", "neutral"):
        return NO_LIMIT
    if case.outlook.gradient_growth is not None:
        return None
    return Obstacle("dropout and batch norm themselves change how much inputs differ")


@rule("SN302", "inputs-separate", verdict="chaotic", families=HOLDING, obstacle=_no_slope)
def separates(case: Case) -> Broken | None:
    """Nearby inputs separate within the stack, by more than --separation-max per layer.

    **What it does.** It finds a stack in which each layer multiplies the distance 1 − cosine of
    nearly equal inputs by more than `--separation-max` (the chaotic phase), and a distance of 0.01
    grows to that of unrelated inputs by the last layer, or by `--depth-limit`.

    **Why it matters.** Two images of the same object become as unrelated as any two images. The
    network fits its training set but does not generalise, and its gradients explode (SN202).

    **What is compared.** The slope of the correlation map at c = 1, at the second moment that the
    signal approaches:

        χ = G² E[φ'(√q z)²]

    A slope above 1 is the chaotic phase. Inputs separate after ln 100/ln χ layers. SELU at its
    fixed point has χ = 1.0716, which the default bound allows; over many layers SN202 reports it.

    **Example.**

    ```console
    $ snstat check -a tanh --weight-gain 1.5 --width 256 --select SN302
    FAILED default: chaotic
      tanh · 64 layers of 256 · lecun_normal (gain 1.5)
      8 trials × batch 64 · float32, matrix-free, seed 0
      SN302 inputs-separate, layer 36: chaotic phase: each layer pulls nearby
            inputs ×1.139 apart (theory), above 1.1; a difference of 1% is total
            by layer 36
            → use --weight-gain 1.01 (now 1.5)
    ```

    **How to fix it.** Choose a smaller gain. At χ = 1, the edge of chaos, inputs keep their
    distances longest.

    **Options.** `--separation-max` (default 1.1), `--depth-limit` (default: the depth).

    **Known problems.** Of a network file, the last block that is repeated four times or more is
    judged, and χ is that of a repetition of n layers to the power of 1/n; it is not judged with
    dropout or batch norm. No statistic measures the slope, so the rule uses theory of infinite
    width only, and at the limit of the second moment: the first layers of a signal that is far from
    its limit have another slope. A second moment that does not converge is left to SN101 and SN102.

    **Source.** Poole et al., arXiv:1606.05340.
    """
    rate, bound = case.outlook.gradient_growth, case.bounds.separation_max
    if case.outlook.kind != "converges" or rate is None or not rate > bound:
        return None
    first, last = case.repeated
    layers = first + math.ceil(math.log(APART) / math.log(rate))
    if layers > last:
        return None
    text = (
        f"chaotic phase: each layer pulls nearby inputs ×{rate:.4g} apart (theory), above"
        f" {bound:.4g}; a difference of 1% is total by layer {layers}"
    )
    return Broken(layers, rate, bound, text)
