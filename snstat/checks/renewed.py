"""Theory of a saved run, computed again from its description.

The numbers in a file come from the version that wrote it, or from an edit. Rules judge
the theory of this version; a note says where the theory in the file differs.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from snstat.activation import resolve
from snstat.checks.stack_case import StackCase
from snstat.network.stack import Stack
from snstat.results import GRADIENT, BoolArray, FloatArray, Run, Statistic
from snstat.theory.finite_width import FiniteWidth, finite_width
from snstat.theory.prediction import Prediction

# Rounding on another machine, relative to the number and to the size of the activations.
RELATIVE, OF_SCALE = 1e-6, 1e-9
COLUMNS = ("theory", "expected", "neglected")


def renewed(case: StackCase) -> tuple[StackCase, list[str]]:
    """Return the case with theory of its run computed again, and a note if the file's differs.

    Theory of a pair of functions stays as it is: the file does not hold them.
    """
    run, stack = case.run, case.stack
    if run is None or any(_unknown(name) for name in stack.activations):
        return case, []
    prediction, corrected = _theory(case, run, stack)
    scale = np.sqrt(np.nan_to_num(prediction.statistics["second_moment"], posinf=0.0))
    statistics, differing = {}, []
    for name, was in run.statistics.items():
        now = _statistic(name, was, prediction, corrected)
        size = scale if name == "mean" else np.ones_like(was.theory)
        for column in COLUMNS:
            bad = np.flatnonzero(_differ(getattr(was, column), getattr(now, column), size))
            if bad.size:
                differing.append((int(bad[0]), f"{name.replace('_', ' ')} ({column})"))
        statistics[name] = now
    case = replace(case, run=replace(run, statistics=MappingProxyType(statistics)))
    if not differing:
        return case, []
    layer, name = min(differing)
    words = f"theory in the file is another version's, first at layer {layer}: {name}"
    return case, [f"{words}; it was computed again"]


def _unknown(name: str) -> bool:
    activation = resolve(name)
    return activation.custom and activation.pair is None


def _theory(case: StackCase, run: Run, stack: Stack) -> tuple[Prediction, FiniteWidth]:
    """Return theory of the layers of the run, at infinite width and at this width."""
    theory = case.own_theory
    if GRADIENT not in run.statistics:
        return theory.prediction, theory.corrected
    corrected = finite_width(stack, case.batch, case.inputs, theory.prediction, backward=True)
    return theory.prediction, corrected


def _statistic(
    name: str, was: Statistic, prediction: Prediction, corrected: FiniteWidth
) -> Statistic:
    unknown = np.full(len(was.estimate), np.nan)
    if name == GRADIENT:
        with np.errstate(over="ignore"):
            theory, expected = np.exp(prediction.log_gradient), np.exp(corrected.log_gradient)
        neglected = corrected.log_gradient_residual
    else:
        theory = prediction.statistics.get(name, unknown)
        expected = corrected.expected.get(name, unknown)
        neglected = corrected.residual.get(name, unknown)
    return replace(was, theory=theory, expected=expected, neglected=neglected)


def _differ(was: FloatArray, now: FloatArray, size: FloatArray) -> BoolArray:
    """Return in which layers the file has another number. Missing ones are not compared: older
    files lack some."""
    with np.errstate(invalid="ignore"):
        allowed = RELATIVE * np.maximum(np.abs(was), np.abs(now)) + OF_SCALE * size
        far: BoolArray = np.isfinite(was) & ~(np.abs(was - now) <= allowed)
    return far
