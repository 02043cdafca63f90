"""Captions of figures: the network, the trials and the seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from snstat.activation import display_name
from snstat.report.differences import differences, labels
from snstat.report.grid import SEPARATOR
from snstat.report.words import simulation_words, stack_words

if TYPE_CHECKING:
    from snstat.results import Run


def run_caption(runs: Sequence[Run]) -> str:
    """Return the parts of the description that all `runs` share, then the initialisers
    and gains that differ and that the legend does not state."""
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
    for name, own in _own_initialisers(runs, [set(line) - set(shared) for line in lines]):
        members = groups.setdefault(own, [])
        if name not in members:
            members.append(name)
    if len(groups) > 1:
        shared += [f"{', '.join(members)}: {own}" for own, members in groups.items()]
    return SEPARATOR.join(shared)


def _own_initialisers(runs: Sequence[Run], parts: Sequence[set[str]]) -> Iterator[tuple[str, str]]:
    """Yield the name of each run and what the legend leaves out of its initialiser and gain.

    `parts` are those of its description that the runs do not share.
    """
    names = [display_name(run.stack.activation) for run in runs]
    several = len(set(names)) < len(names)
    shown = run_labels(runs)
    gains = all("gain " in label for label in shown)
    inits = all(run.stack.init in label for run, label in zip(runs, shown, strict=True))
    for run, name, own in zip(runs, names, parts, strict=True):
        whole = "".join(part for part in own if part.startswith(run.stack.init))
        init, _, gain = whole.removesuffix(")").partition(" (")
        if not several or not (gains or inits):
            yield name, whole
        elif not inits:
            yield name, init
        elif not gains:
            yield init, gain


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
