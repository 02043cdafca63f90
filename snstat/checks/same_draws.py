"""Two runs of one seed whose networks differ in their layers.

Every layer draws from the counters of its number. So the layers before the first one that an
inserted or removed layer gives another number have the draws of the baseline, and are compared one
by one; those from there on have other draws, and are compared as independent ones are. They share
inputs and the layers before, which can only make them more alike than independent draws.

A uniform stack has a sampler of its own, whose sums round otherwise. The error of one layer is that
of float sums of n products of random signs, about √n u of their root mean square with the unit
roundoff u (Higham, Mary, *A New Approach to Probabilistic Rounding Error Analysis*, 2019). It grows
from layer j to layer l as small differences do: relative to the signal, by (g_j q_j)/(g_l q_l) in
its square, with second moments q and squared gradients g.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from snstat.checks.baseline import compare, identical, require_trials
from snstat.checks.case import Case
from snstat.checks.matching import left_out, matched, places
from snstat.checks.rule import Broken
from snstat.results import GRADIENT, SHARES, BoolArray, FloatArray, Run

# A relative error of values is at most four times as large in the statistic of highest order, the
# kurtosis.
HIGHEST_ORDER = 4


class Draws(NamedTuple):
    """Which layers of a run have the draws of its baseline.

    Those before layer `first`, all if that is None. `rounded` says that another sampler computed
    them, and `gradients` that gradients, which depend on all layers, have the same draws too.
    """

    first: int | None
    rounded: bool
    gradients: bool


def draws_of(run: Run, baseline: Run) -> Draws:
    """Return which layers of two runs of one seed have the same draws.

    Stacks that no file describes and traced modules are compared layer by layer as they are.
    """
    theirs = places(run, baseline)
    if theirs is None or run.module is not None:
        return Draws(None, rounded=False, gradients=True)
    moved = (theirs >= 0) & (theirs != np.arange(len(theirs)))
    if run.simulation.sampler != baseline.simulation.sampler:
        same = np.flatnonzero(theirs == np.arange(len(theirs)))
        moved[same] = [_otherwise(run, baseline, int(layer)) for layer in same]
    first = int(np.flatnonzero(moved)[0]) if moved.any() else None
    rounded = (run.stack is None) != (baseline.stack is None)
    whole = first is None and run.depth == baseline.depth and not rounded
    return Draws(first, rounded, whole)


def _otherwise(run: Run, baseline: Run, layer: int) -> bool:
    """Return whether a matrix is drawn in one of two runs only."""
    mine, theirs = _sampler(run, layer), _sampler(baseline, layer)
    return None not in (mine, theirs) and mine != theirs


def _sampler(run: Run, layer: int) -> str | None:
    return run.row(layer).sampler if run.stack is None else run.simulation.sampler


def drifts_from(case: Case, run: Run, baseline: Run) -> Broken | None:
    """Return the first layer at which `run` and `baseline`, of the same seed, differ: where draws
    are the same, to the last bit or by more than rounding, else beyond chance."""
    draws, beside = draws_of(run, baseline), matched(run, baseline)
    if draws.first is None and draws.gradients:
        return identical(run, beside)
    layers = np.arange(len(run.finite))
    other: BoolArray = layers >= (len(layers) if draws.first is None else draws.first)
    allowed: FloatArray | float = 0.0
    if draws.rounded:
        allowed = HIGHEST_ORDER * rounding(case, run)
        # What rounding has changed by as much as matters is no more the same than another draw is.
        other = other | ~(allowed < case.bounds.min_effect)
    # Rounding moves single units and samples across a bound, which counts as one of few.
    apart = {GRADIENT, *(SHARES if draws.rounded else ())} & beside.statistics.keys()
    every = np.ones_like(other)
    same = left_out(run, beside, other, dict.fromkeys(apart, every))
    found = identical(run, same, allowed)
    if found is not None or not (apart or other.any()):
        return found
    require_trials("trials of the baseline", baseline.simulation.trials)
    rest = left_out(run, beside, ~other, dict.fromkeys(apart, ~every))
    return compare(run, rest, case.bounds.min_effect)


def rounding(case: Case, run: Run) -> FloatArray:
    """Return the relative error that rounding leaves in the values of each layer, (layers,), NaN
    where theory does not know how it grows."""
    unit = float(np.finfo(run.simulation.dtype).eps) / 2.0
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        size = case.gradients + np.log(case.predicted("second_moment")[: case.depth + 1])
        widest = np.maximum.accumulate(case.units)
        # Sums over the layers so far of n g q, over g q: logarithms, because gradients overflow.
        total = np.logaddexp.accumulate(np.log(widest) + size)
        error: FloatArray = unit * np.exp(0.5 * (total - size))
    return error


def draws_told(run: Run, baseline: Run) -> list[str]:
    """Return a note on the layers that have other draws than those of a baseline of one seed."""
    draws, parts = draws_of(run, baseline), []
    if draws.first is not None:
        where = f"layer {draws.first} ({run.row(draws.first).name})"
        parts.append(
            f"from {where} on, layers have other numbers or samplers than in the baseline, and so"
            " other draws: they are compared as independent ones"
        )
    elif GRADIENT in run.statistics and not draws.gradients:
        parts.append("gradients depend on all layers, and are compared as independent draws")
    if draws.rounded:
        parts.append(
            "a uniform stack has a sampler of its own: layers with equal draws are compared up to"
            " rounding"
        )
    return ["; ".join(parts)] if parts else []
