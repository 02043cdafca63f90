"""Has the stack changed since its baseline? SN701."""

from __future__ import annotations

from collections.abc import Iterator

from snstat.checks.baseline import compare, identical
from snstat.checks.case import Case
from snstat.checks.rule import Broken, Remedy, Rule
from snstat.errors import InvalidValueError
from snstat.results import Run

# What the networks that are drawn depend on, beside the stack.
DRAWS = ("seed", "trials", "batch", "dtype", "sampler")


def drifts(case: Case) -> Broken | None:
    """Return where the run of a case differs from its baseline."""
    run, baseline = case.run, case.baseline
    if run is None or baseline is None:
        return None
    if case.same_seed:
        _require_same_draws(run, baseline)
        return identical(run, baseline)
    return compare(run, baseline, case.bounds.min_effect)


def _require_same_draws(run: Run, baseline: Run) -> None:
    for key in DRAWS:
        if run.simulation[key] != baseline.simulation[key]:
            raise InvalidValueError(
                key,
                run.simulation[key],
                f"{baseline.simulation[key]}, as in the baseline",
                "only then are the networks the same",
            )


def _undo(case: Case, broken: Broken) -> Iterator[Remedy]:  # noqa: ARG001  # a Family's signature
    yield Remedy("undo the change, or accept it with --write-baseline", None)


RULES = (
    Rule(
        "SN701",
        "baseline-drift",
        "the stack differs from its baseline beyond chance and --min-effect",
        drifts,
        None,
        (_undo,),
    ),
)
DRIFT = RULES[0].code
