"""Do theory and simulation agree, and how much do networks differ? SN501 and SN502."""

from __future__ import annotations

import math

import numpy as np

from snstat.checks.between import between_networks, outputs_from
from snstat.checks.bounds import MAX_FLUCTUATION
from snstat.checks.case import Case
from snstat.checks.obstacle import Obstacle
from snstat.checks.remedies import wider
from snstat.checks.rule import Broken, Remedy, rule
from snstat.checks.stack_case import StackCase
from snstat.checks.unlikely import chance_of
from snstat.results import BoolArray, FloatArray, Run, Statistic
from snstat.values.digits import told_apart

# Probability that a sound stack breaks SN501 by chance.
FALSE_ALARM = 0.005


def _again(case: StackCase, broken: Broken) -> list[Remedy]:  # noqa: ARG001  # a Rule's signature
    if case.run is None:
        return []
    sampling = case.run.simulation
    if sampling.seed is None:  # nothing was drawn
        return []
    seed, trials = (sampling.seed + 1) % 2**64, 4 * sampling.trials
    words = f"run again with --seed {seed} --trials {trials} to tell chance from a fault"
    return [Remedy(words, None)]


def _no_theory(case: Case) -> Obstacle | None:
    """Return why there is no theory to compare with."""
    return case.of_files


@rule("SN501", "theory-mismatch", families=(_again,), obstacle=_no_theory)
def disagrees(case: Case) -> Broken | None:
    """Simulation and theory, to first order in 1/width, disagree beyond chance.

    **What it does.** It compares every statistic of every layer with its expectation, and finds the
    first layer at which the difference is larger than chance and the neglected terms explain.

    **Why it matters.** Theory and simulation are independent. If they differ, one of them does not
    describe the network, and neither can be relied on. A defect of snstat is one possible reason.

    **What is compared.** The difference with its standard error, by Student's t with trials − 1
    degrees of freedom:

        z = (estimate − expected)/stderr

    All comparisons of a check together have a false alarm in at most one of 200 checks
    (Bonferroni). Second moments and variances multiply from layer to layer, so the trials of narrow
    networks are skewed: a mean that is too low comes with a standard error that is too small. These
    statistics are compared by their logarithms, and the error of a value that is too low is at
    least what theory says to first order. What a variance lacks, the square of a mean, is skewed
    likewise, so its error too is at least what theory says. Cosines c of a batch of B are skewed
    too, and compared by ln((1 + (B − 1) c)/(1 − c)). The estimate of what first order neglects,
    `neglected` in the JSON, is added to what is allowed. Where the first order is too large to be
    trusted, as in deep layers of narrow networks and between samples of data, theory of infinite
    width is compared, and the size of the first order is allowed, so that only large faults are
    found there.

    **Example.** A saved run whose description was changed, but not its numbers:

    ```console
    $ snstat propagate --depth 4 --width 256 --format json --output run.json
    $ sed -i 's/"input_std": 1.0/"input_std": 1.1/' run.json
    $ snstat check run.json --select SN501
    FAILED default: self-normalizing, but breaks SN501
      SELU · 4 layers of 256 · lecun_normal (gain 1)
      8 trials × batch 64 · float32, matrix-free, seed 0 ·
      inputs normal (mean 0, std 1.1)
      SN501 theory-mismatch, layer 0: theory and simulation disagree at layer 0:
            second moment 1.006 ± 0.003, expected 1.21 (p = 2e-08 over 35
            comparisons)
            → run again with --seed 1 --trials 32 to tell chance from a fault
      note: theory in the file is another version's, first at layer 0: largest
            (expected); it was computed again
    ```

    **How to fix it.** Run again with another `--seed` and more `--trials`. A difference by chance
    disappears. Report one that remains, with the command.

    **Options.** `--trials` (default 8), `--seed` (default 0).

    **Known problems.** Layers in which networks differ by factors are not compared, nor differences
    between samples that have become alike: how far theory may be off there is not known, and a note
    says from which layer on. Nor are data compared of which a few
    large samples decide the second moment of a batch. One trial has no standard error, so nothing
    is compared.

    **Source.** docs/finite-width.md, which lists what is known to first order.
    """
    run = case.run
    if run is None or run.simulation.trials < 2:
        return None
    trials = run.simulation.trials
    unknown = np.zeros(case.depth + 1)
    chances, comparisons, bad = _unlikely(case, run, unknown)
    if bad:
        # Standard errors by theory take time to compute: only for a suspected mismatch.
        least = case.trial_fluctuation[: case.depth + 1] / math.sqrt(trials)
        chances, comparisons, bad = _unlikely(case, run, np.nan_to_num(least, posinf=0.0))
    if not bad:
        return None
    layer, name = min(bad)
    statistic = run.statistics[name]
    value, expected_value = float(statistic.estimate[layer]), float(statistic.reference[layer])
    seen, wanted = told_apart(value, expected_value, 4)
    text = (
        f"theory and simulation disagree at layer {layer}: {name.replace('_', ' ')} {seen} ±"
        f" {float(statistic.error[layer]):.1g}, expected {wanted}"
        f" (p = {min(1.0, float(chances[name][layer]) * comparisons):.1g} over {comparisons:,}"
        " comparisons)"
    )
    return Broken(layer, value, expected_value, text)


def _unlikely(
    case: Case, run: Run, least: FloatArray
) -> tuple[dict[str, FloatArray], int, list[tuple[int, str]]]:
    """Return the probability of each statistic, the number of comparisons, and the first layer of
    each statistic whose probability is too small; `least` (layers,) as in `chance_of`."""
    chances = {
        name: chance_of(case, name, run.statistics[name], run.simulation.trials, least)
        for name in _judged(case)
    }
    comparisons = sum(int(np.count_nonzero(~np.isnan(chance))) for chance in chances.values())
    level = FALSE_ALARM / max(comparisons, 1)
    bad = [
        (int(np.flatnonzero(chance < level)[0]), name)
        for name, chance in chances.items()
        if (chance < level).any()
    ]
    return chances, comparisons, bad


def _judged(case: Case) -> list[str]:
    """Return the statistics of the run of which theory says how far it may be off."""
    if case.run is None or not case.compares:
        return []
    return [name for name, statistic in case.run.statistics.items() if compared(statistic).any()]


def compared(statistic: Statistic) -> BoolArray:
    """Return the layers beyond the input for which theory and its neglected terms are known."""
    known: BoolArray = np.isfinite(statistic.reference[1:] + statistic.neglected[1:])
    return known


def _no_spread(case: Case) -> Obstacle | None:
    """Return why nothing is known of how much networks differ."""
    _, least = case.spread_between_trials
    if not (np.isnan(case.fluctuation) & np.isnan(least))[1:].all():
        return None
    plain = case.of_files is not None
    return Obstacle("neither theory nor trials tell how much networks differ", plain=plain)


@rule("SN502", "too-narrow", families=(wider,), obstacle=_no_spread)
def too_narrow(case: Case) -> Broken | None:
    """Networks drawn alike differ too much: the width is too small for the depth.

    **What it does.** It finds the first layer at which networks drawn from the same distribution
    differ too much: the standard deviation between networks of the logarithm of one sample's second
    moment exceeds `--fluctuation-max`.

    **Why it matters.** Theory describes the average network, and yours is one draw. With a standard
    deviation of 1, the second moment of one network in three is off by more than a factor of e
    before training begins.

    **What is compared.** The variance of the logarithm of the second moment. Each layer of n units
    adds κ/n to it, and multiplies that of the layer before by the square of the map's slope:

        κ = E[φ⁴]/E[φ²]² − 1

    With a slope below 1 (SELU) the variance converges. With a slope of 1 (ReLU) it grows in every
    layer, in proportion to depth over width.

    **Example.**

    ```console
    $ snstat check -a relu --width 64 --select SN502
    FAILED default: collapsed
      ReLU · 64 layers of 64 · he_normal (gain 1.414…)
      8 trials × batch 64 · float32, dense, seed 0
      SN502 too-narrow, layer 13: networks differ: the log second moment of one
            sample varies with standard deviation more than 2 at layer 52
            (theory), above 1 from layer 13 on
            → no gain keeps 64 ReLU layers of this width stable: at most 12 layers
              (now 64), or normalise between layers
    ```

    **How to fix it.** Use wider layers, or fewer.

    **Options.** `--fluctuation-max` (default 1), `--depth-limit` (default: the depth).

    **Known problems.** The outputs are left out, where the last matrix has fewer units than what it
    reads: the second moment of one or two units varies by itself, in networks of any width. So are
    the lengths of inputs of few units. First-order theory is not valid for standard deviations
    above 2. The bound is therefore at most 2, and the message states larger values as "more than
    2". No statistic measures the spread of single samples, so the rule uses theory only, except in
    layers of a network file for which there is none. There it judges how much the second moments of
    batches differ between trials, if chance (1 in 10,000, by chi-square) does not explain it. That
    takes 16 trials or more for deviations of 2 to 3.

    **Source.** Hanin, Nica, *Products of Many Large Random Matrices and Gradients in Deep Neural
    Networks*, arXiv:1812.05994; docs/finite-width.md.
    """
    fluctuation, bound = between_networks(case), case.bounds.fluctuation_max
    bad = np.flatnonzero(fluctuation > bound)
    if not bad.size:
        return _differ_as_seen(case)
    layer, most = int(bad[0]), int(np.nanargmax(fluctuation))
    value = float(fluctuation[most])
    shown = f"{value:.3g}"
    if math.isinf(value):
        value, shown = MAX_FLUCTUATION, f"more than {MAX_FLUCTUATION:g}"
    text = (
        f"networks differ: the log second moment of one sample varies with standard deviation"
        f" {shown} at layer {most} (theory), above {bound:.3g} from layer {layer} on"
    )
    return Broken(layer, value, bound, text)


def _differ_as_seen(case: Case) -> Broken | None:
    """Return where trials differ too much in what was measured, beyond chance."""
    (seen, least), bound = case.spread_between_trials, case.bounds.fluctuation_max
    bad = np.flatnonzero((least > bound)[: outputs_from(case)])
    if not bad.size or case.run is None:
        return None
    layer, most = int(bad[0]), int(np.nanargmax(least))
    text = (
        f"networks differ: the log second moment of a batch varies with standard deviation"
        f" {seen[most]:.3g} at layer {most} (seen; certainly {least[most]:.3g} or more), above"
        f" {bound:.3g} from layer {layer} on"
    )
    return Broken(layer, float(seen[most]), bound, text)
