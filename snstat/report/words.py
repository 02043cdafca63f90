"""Sentences about a run, and counts and lists in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from snstat.report.numbers import beside_one, factor, plain
from snstat.results import GRADIENT, nearly_neutral

if TYPE_CHECKING:
    from snstat.results import Run

# Between the parts of a title.
SEPARATOR = " · "
# Gradients within this factor of 1 over the whole stack have kept their size.
STEADY = 1.005


def count(number: int, noun: str) -> str:
    """Return "1 layer", "64 layers", "100,000 layers".

    Counts have commas. Numbers of layers, seeds and what is typed as an option are names.
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def interruption(run: Run) -> str:
    """Return what a partial run holds, or an empty string for a complete one."""
    if not run.partial:
        return ""
    last = len(run.finite) - 1
    if last < 0:
        return "Interrupted before all trials had completed a layer."
    whole = f"Interrupted: layers 0–{last} of {run.depth}, which every trial completed"
    return f"{whole}, without gradients." if last == run.depth else f"{whole}."


def broken_layers(run: Run) -> str:
    """Return which layers are not finite, or an empty string if all are."""
    first = run.first_nonfinite
    if first is None:
        return ""
    bad = int(np.count_nonzero(~run.finite))
    if bad == len(run.finite) - first:
        return f"Not finite from layer {first} on ({bad} of {len(run.finite)} layers)."
    return f"Not finite: {bad} of {len(run.finite)} layers, the first is layer {first}."


def limit_sentence(run: Run) -> str:
    """Return the limit of the forward signal by theory."""
    outlook = run.outlook
    if outlook is None:
        return ""
    rate = outlook.rate
    if outlook.kind == "converges" and outlook.mean is not None and outlook.variance is not None:
        speed = "" if rate is None else f" (rate {_rate(rate)} per layer)"
        return (
            f"Converges to mean {_limit(outlook.mean)}, variance {_limit(outlook.variance)}{speed}."
        )
    if outlook.kind in {"vanishes", "explodes"}:
        if rate is not None and nearly_neutral(run):
            total = f"×{beside_one(rate**run.depth, 4)}"
            over = f"over {count(run.depth, 'layer')}"
            return f"Nearly neutral: {factor(rate)} per layer, {total} {over} (theory)."
        # A signal of higher or lower order, such as that of x², has no rate.
        speed = f", {factor(rate)} per layer" if rate and rate < math.inf else ""
        return f"The signal {outlook.kind} in the limit of depth{speed} (theory)."
    if outlook.kind == "silent":
        return "Silent: the inputs and biases are zero."
    if outlook.kind == "neutral":
        return "Neutral: every second moment is preserved, so drifts are not corrected (theory)."
    return "Drifts: the signal reaches no fixed point (theory)."


def gradient_sentence(run: Run) -> str:
    """Return how squared gradients change from the last layer back to the input, by theory."""
    total = gradient_factor(run)
    if total is None:
        return ""
    over = f"over {count(run.depth, 'layer')} (theory)"
    if total == 0 or math.isinf(total):
        return f"Squared gradients {'overflow' if total else 'vanish'} {over}."
    if 1 / STEADY < total < STEADY:
        return f"Squared gradients keep their size {over}."
    return f"Squared gradients {'grow' if total > 1 else 'shrink'} {factor(total)} {over}."


def gradient_factor(run: Run) -> float | None:
    """Return by what squared gradients change from the last layer back to the input: what the table
    shows beside those that were measured, else theory of infinite width; None if not known."""
    if run.outlook is None:
        return None
    if GRADIENT in run.statistics:
        shown = float(run.statistics[GRADIENT].reference[0])
        if not math.isnan(shown):
            return shown
    return run.outlook.gradient_factor


def _rate(rate: float) -> str:
    """Return a rate with three decimals, or as many as distinguish it from 1."""
    return f"{rate:.3f}" if f"{rate:.3f}" != "1.000" else beside_one(rate, 4)


def _limit(value: float) -> str:
    """Return a limit with three decimals, or with an exponent if it is small or large."""
    return f"{value + 0.0:.3f}" if value == 0 or 0.01 <= abs(value) < 1e5 else plain(value, 4)
