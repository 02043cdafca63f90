"""What a reader of a verdict should know beside it: what was out of reach, and what was unlike."""

from __future__ import annotations

import math

from snstat.checks.case import Case
from snstat.checks.pairs import comparable
from snstat.results import Run


def not_judged(case: Case) -> list[str]:
    """Return notes on what the inputs leave out of reach."""
    notes = []
    cosine = float(case.known("cosine")[0])
    if not comparable(cosine):
        what = "there is one sample" if case.batch == 1 else "all inputs are alike"
        what = "a sample is zero" if math.isnan(cosine) and case.batch > 1 else what
        notes.append(f"SN301 not judged: {what}")
    if not case.theory_holds:
        differ = "may differ" if math.isnan(case.inputs.length_variance) else "differ"
        notes.append(
            f"samples {differ} in length, and theory takes each as the average: where something was"
            " seen, that is judged instead"
        )
    return notes


def unlike(run: Run, baseline: Run) -> list[str]:
    """Return in words how the stack and the sampling differ from the baseline's."""
    notes = []
    for title, mine, theirs in (
        ("not the stack of the baseline", run.stack, baseline.stack),
        ("not sampled as the baseline was", run.simulation, baseline.simulation),
    ):
        told = [
            f"{key.replace('_', ' ')} is {mine[key]}, was {theirs[key]}"
            for key in mine.keys()  # noqa: SIM118  # a Record is no dict
            if mine[key] != theirs[key] and key not in {"seed", "sampler"}
        ]
        if told:
            notes.append(f"{title}: {'; '.join(told)}")
    return notes
