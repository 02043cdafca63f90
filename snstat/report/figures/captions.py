"""What stands at the foot of a figure: the network, the trials and the seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from snstat.report.grid import SEPARATOR
from snstat.report.words import display_name, simulation_words, stack_words

if TYPE_CHECKING:
    from snstat.results import Run


def run_caption(runs: Sequence[Run]) -> str:
    """Return what all of `runs` share of their network and their sampling."""
    lines = [
        [
            *stack_words(run.stack).split(SEPARATOR),
            *simulation_words(run.simulation).split(SEPARATOR),
        ]
        for run in runs
    ]
    if not lines:
        return ""
    return SEPARATOR.join(part for part in lines[0] if all(part in line for line in lines))


def run_labels(runs: Sequence[Run]) -> list[str]:
    """Return a name for each run that tells it from the others: its activation, and as much of
    the rest of its description as differs."""
    names = [display_name(run.stack.activation) for run in runs]
    if len(set(names)) == len(names):
        return names
    common = set(run_caption(runs).split(SEPARATOR))
    labels = []
    for name, run in zip(names, runs, strict=True):
        parts = [*stack_words(run.stack).split(SEPARATOR)[1:]]
        parts += simulation_words(run.simulation).split(SEPARATOR)
        labels.append(", ".join([name, *(part for part in parts if part not in common)]))
    return labels
