"""Notes on a verdict: what these trials and inputs cannot tell.

What theory does not cover is known by the case: see `Case.gaps`.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.checks.case import Case
from snstat.checks.pairs import comparable
from snstat.results import Run

# With fewer trials Student's t asks for tens of standard errors.
ENOUGH = 4


def few_trials(run: Run) -> list[str]:
    """Return a note on the limits of few trials."""
    trials = run.simulation.trials
    if not 1 < trials < ENOUGH:
        return []
    return [f"{trials} trials detect only large differences: use --trials {ENOUGH} or more"]


def not_judged(case: Case) -> list[str]:
    """Return notes on what cannot be judged with these inputs."""
    notes = []
    cosine = float(case.known("cosine")[case.angles_from])
    zeros = float(np.fmax(case.seen("zero_samples"), case.predicted("zero_samples"))[0])
    if zeros > 0 and case.batch > 1:
        notes.append(f"{zeros:.2%} of the samples are all zeros; the cosine leaves them out")
    if not comparable(cosine):
        what = "there is one sample" if case.batch == 1 else "all inputs are alike"
        if math.isnan(cosine) and case.batch > 1:
            what = "the samples are too small for their squares"
            if case.run is not None and case.run.module is not None:
                what = "no layer has samples that can be compared"
            if zeros > 0:
                what = "fewer than two samples of a batch are not zero"
        notes.append(f"SN301 not judged: {what}")
    if not case.theory_holds:
        notes.append(
            "the norms of the samples are not known, so theory uses their average; measured values"
            " are judged where there are any"
        )
    return notes
