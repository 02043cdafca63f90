"""Captions of figures: the network, the trials and the seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from snstat.report.differences import differences, labels
from snstat.report.grid import SEPARATOR
from snstat.report.words import simulation_words, stack_words
from snstat.values.names import display_name

if TYPE_CHECKING:
    from snstat.results import Run


def run_caption(runs: Sequence[Run]) -> str:
    """Return the parts of the description that all `runs` share."""
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
    """Return a label for each run: its activation, and what else distinguishes it from the
    others."""
    names = labels(runs)
    if "activation" in differences(runs):
        return names
    activations = [display_name(run.stack.activation) for run in runs]
    return [
        activation if name == activation else f"{activation}, {name}"
        for activation, name in zip(activations, names, strict=True)
    ]
