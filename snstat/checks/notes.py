"""Notes on a verdict: what these trials and inputs cannot tell.

What theory does not cover is known by the case (see `Case.gaps`), and which rules do not apply by
the rules.
"""

from __future__ import annotations

from snstat.checks.case import Case
from snstat.checks.pairs import zero_share
from snstat.results import FEW_TRIALS, Run

# With fewer trials Student's t asks for tens of standard errors.
ENOUGH = 4


def few_trials(run: Run) -> list[str]:
    """Return a note on the limits of few trials."""
    trials = run.simulation.trials
    if not 1 < trials < ENOUGH:
        return []
    return [f"{trials} {FEW_TRIALS}: use --trials {ENOUGH} or more"]


def of_inputs(case: Case) -> list[str]:
    """Return notes on what these inputs cannot tell."""
    notes = []
    zeros = zero_share(case)
    if zeros > 0 and case.batch > 1:
        notes.append(f"{zeros:.2%} of the samples are all zeros; the cosine leaves them out")
    if not case.theory_holds:
        notes.append(
            "the norms of the samples are not known, so theory uses their average; measured values"
            " are judged where there are any"
        )
    return notes
