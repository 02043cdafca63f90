"""The layers of a baseline beside those of a run: networks of any layers are matched by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from snstat.results import FloatArray, Run, Statistic
from snstat.results.base import IntArray

# Names that a note lists.
MOST_NAMED = 3


def matched(run: Run, baseline: Run) -> Run:
    """Return the baseline with the layers of `run` in their order: those of one name and kind.

    Layers that the baseline lacks have the estimates of `run` without an error, so that they are
    equal and cannot be compared. Stacks are matched by number, and stay as they are.
    """
    places = _places(run, baseline)
    if places is None:
        return baseline
    there = places >= 0

    def column(values: FloatArray, own: FloatArray | float = math.nan) -> FloatArray:
        return np.where(there, values[places], own)

    statistics = {
        name: Statistic(
            column(found.estimate, run.statistics[name].estimate),
            column(found.stderr),
            column(found.theory),
            column(found.expected),
            column(found.neglected),
            logarithmic=found.logarithmic,
        )
        for name, found in baseline.statistics.items()
        if name in run.statistics
    }
    finite = np.where(there, baseline.finite[places], run.finite)
    return replace(baseline, statistics=MappingProxyType(statistics), finite=finite)


def unmatched(run: Run, baseline: Run) -> list[str]:
    """Return a note on the layers that one of two networks has and the other has not."""
    if run.network is None and baseline.network is None:
        return []
    mine, theirs = _names(run), _names(baseline)
    parts = []
    for own, other, where in (
        (mine, theirs, "not in the baseline"),
        (theirs, mine, "only in the baseline"),
    ):
        names = [name for name, kind in own if (name, kind) not in other]
        if names:
            more = len(names) - MOST_NAMED
            listed = ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
            parts.append(f"{listed} {where}")
    return [f"layers are matched by name and kind: {'; '.join(parts)}"] if parts else []


def _places(run: Run, baseline: Run) -> IntArray | None:
    """Return for each layer of the run that of the baseline, −1 for none; None to match numbers."""
    if run.network is None and baseline.network is None:
        return None
    theirs = _names(baseline)
    return np.array([theirs.get(key, -1) for key in _names(run)])


def _names(run: Run) -> Mapping[tuple[str, str], int]:
    """Return the number of each layer by its name and kind."""
    rows = (run.row(layer) for layer in range(len(run.finite)))
    return {(row.name, row.kind): layer for layer, row in enumerate(rows)}
