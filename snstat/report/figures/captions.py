"""Captions of figures: the network, the trials and the seed, or that nothing was simulated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from snstat.activation import display_name
from snstat.report.differences import differences, labels
from snstat.report.network_words import (
    initialiser_words,
    network_name,
    network_words,
    sampling_words,
)
from snstat.report.words import SEPARATOR

if TYPE_CHECKING:
    from snstat.results import CorrelationCurve, MapField, Run

# What a picture of theory has instead of trials and a seed.
OF_WIDE, OF_THEORY = "theory at infinite width, no trials", "theory, no trials"


def run_caption(runs: Sequence[Run]) -> str:
    """Return the parts of the description that all `runs` share, then the initialisers
    and gains that differ and that the legend does not state."""
    lines = [
        [
            *network_words(run.subject).split(SEPARATOR),
            *sampling_words(run.subject, run.simulation).split(SEPARATOR),
        ]
        for run in runs
    ]
    if not lines:
        return ""
    shared = list(_shared(lines))
    groups: dict[str, list[str]] = {}
    for name, own in _own_initialisers(runs):
        members = groups.setdefault(own, [])
        if name not in members:
            members.append(name)
    if len(groups) > 1:
        shared += [f"{', '.join(members)}: {own}" for own, members in groups.items()]
    return SEPARATOR.join(shared)


def _shared(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the parts that all `lines` have, and of others the words between commas."""
    words = [{word for part in line for word in part.split(", ")} for line in lines]
    for part in lines[0]:
        if all(part in line for line in lines):
            yield part
        elif common := [word for word in part.split(", ") if all(word in own for own in words)]:
            yield ", ".join(common)


def _own_initialisers(runs: Sequence[Run]) -> Iterator[tuple[str, str]]:
    """Yield the name of each run and what the legend leaves out of its initialiser and gain."""
    names = [network_name(run.subject) for run in runs]
    drawn = [initialiser_words(run.subject) for run in runs]
    several = len(set(names)) < len(names)
    shown = run_labels(runs)
    gains = all("gain " in label for label in shown)
    inits = all(init in label for (init, _), label in zip(drawn, shown, strict=True))
    for name, (init, gain) in zip(names, drawn, strict=True):
        if not init:
            continue
        if not several or not (gains or inits):
            yield name, f"{init} ({gain})"
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
    return [
        name if name == network_name(run.subject) else f"{network_name(run.subject)}, {name}"
        for run, name in zip(runs, names, strict=True)
    ]


def curves_caption(curves: Sequence[CorrelationCurve]) -> str:
    """Return the activations, gains and biases of correlation maps, each in the order of the
    curves; one value where all are equal."""
    names = dict.fromkeys(display_name(curve.activation) for curve in curves)
    parts = [", ".join(names)]
    for called, values in (
        ("weight gain", [curve.weight_gain for curve in curves]),
        ("bias std", [curve.bias_std for curve in curves]),
    ):
        shown = [f"{value:.4g}" for value in (values if len(set(values)) > 1 else values[:1])]
        parts.append(f"{called} {', '.join(shown)}")
    return SEPARATOR.join([*parts, OF_WIDE])


def field_caption(field: MapField) -> str:
    """Return the activation, the map and its parameters."""
    parameters = ", ".join(
        f"{name.replace('_', ' ')} {value:.4g}" for name, value in field.parameters.items()
    )
    basis = OF_WIDE if field.map == "ensemble" else OF_THEORY
    return SEPARATOR.join([display_name(field.activation), f"{field.map} map: {parameters}", basis])
