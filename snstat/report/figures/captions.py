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
    """Return the parts of the description that all `runs` share, then what the initialisers of
    runs with different activations are."""
    lines = [
        [
            *stack_words(run.stack).split(SEPARATOR),
            *simulation_words(run.simulation).split(SEPARATOR),
        ]
        for run in runs
    ]
    if not lines:
        return ""
    shared = [part for part in lines[0] if all(part in line for line in lines)]
    groups: dict[str, list[str]] = {}
    for run, line in zip(runs, lines, strict=True):
        own = [part for part in line if part not in shared and part.startswith(run.stack.init)]
        groups.setdefault(SEPARATOR.join(own), []).append(display_name(run.stack.activation))
    names = [name for members in groups.values() for name in members]
    if len(groups) > 1 and len(set(names)) == len(names):
        shared += [f"{', '.join(members)}: {own}" for own, members in groups.items()]
    return SEPARATOR.join(shared)


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
