"""How a run differs from its baseline, in words: the network, the layers, the sampling."""

from __future__ import annotations

from collections.abc import Iterator

from snstat.checks.matching import unmatched
from snstat.errors import escaped
from snstat.results import Record, Run, Simulation, StackSummary

# Fields that differ between any two runs, or that other notes describe.
NOT_TOLD = {"seed", "sampler", "drawn", "given", "inputs_digest"}
# Those of a module that follow from its calls.
NOT_TOLD |= {"rows", "theory_ends", "nonfinite", "not_called", "skipped", "notes", "input_shape"}


def unlike(run: Run, baseline: Run) -> list[str]:
    """Return in words how the network and the sampling differ from the baseline's."""
    notes = []
    mine, theirs = run.stack, baseline.stack
    if mine is not None and theirs is not None and mine != theirs:
        told = list(_fields(mine, theirs)) or list(_drawn_otherwise(mine, theirs))
        notes.append(f"the stack differs from the baseline: {'; '.join(told)}")
    elif run.module is not None and baseline.module is not None:
        told = list(_fields(run.module, baseline.module))
        if told:
            notes.append(f"the module differs from the baseline's: {escaped('; '.join(told))}")
    elif run.subject != baseline.subject:
        notes.append("the network differs from the baseline's")
    notes += unmatched(run, baseline)
    told = list(_fields(run.simulation, baseline.simulation))
    if _other_content(run.simulation, baseline.simulation):
        told.append(f"the content of {escaped(run.simulation.inputs)} has changed")
    if told:
        notes.append(f"the sampling differs from the baseline: {'; '.join(told)}")
    return notes


def _drawn_otherwise(mine: StackSummary, theirs: StackSummary) -> Iterator[str]:
    """Yield how the draws of two stacks with equal descriptions differ."""
    for now, was in zip(mine.drawn, theirs.drawn, strict=False):
        for key in ("weights", "weight_std", "biases", "bias_std"):
            if now[key] != was[key]:
                what = key.replace("_", " ")
                yield f"in layer {now.first} {what} is {now[key]}, was {was[key]}"


def _other_content(mine: Simulation, theirs: Simulation) -> bool:
    """Return whether data of the same name are known to differ."""
    digests = mine.inputs_digest, theirs.inputs_digest
    return mine.inputs == theirs.inputs and None not in digests and digests[0] != digests[1]


def _fields(mine: Record, theirs: Record) -> Iterator[str]:
    """Yield which fields of two records differ."""
    for key in mine.keys():  # noqa: SIM118  # a Record is no dict
        if mine[key] != theirs[key] and key not in NOT_TOLD:
            yield f"{key.replace('_', ' ')} is {mine[key]}, was {theirs[key]}"
