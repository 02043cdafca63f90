"""What SN501 does not compare, in words."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from snstat.checks.case import Case
from snstat.checks.chance import compared, disagrees
from snstat.results import ALSO_MEASURED, GRADIENT
from snstat.values.names import listed

# More statistics than these are not listed.
FEW = 3


def unjudged(case: Case, codes: Collection[str]) -> str:
    """Return what SN501 leaves out of a run of several trials, nothing if it leaves out nothing or
    is not among the rules `codes`."""
    if case.run is None or case.run.simulation.trials < 2 or disagrees.code not in codes:
        return ""
    if not case.compares:
        return ""
    ends: dict[str, int] = {}
    parts = []
    for name, statistic in case.run.statistics.items():
        known = compared(statistic)
        missing = 1 + np.flatnonzero(~known & ~np.isnan(statistic.theory[1:]))
        if name in ALSO_MEASURED or not missing.size:
            continue
        if name == GRADIENT and known[-1]:  # theory of gradients begins at the last layer
            parts.append(("the gradient", f"only from layer {missing[-1] + 1} on"))
        else:
            ends[name.replace("_", " ")] = int(missing[0]) - 1
    partly = [name for name, end in ends.items() if end]
    never = [name for name, end in ends.items() if not end]
    if partly:
        last = min(ends[name] for name in partly)
        parts.insert(0, (_listed(partly, never), f"only up to layer {last}"))
    if never:
        parts.append((_listed(never, partly), "in no layer"))
    if not parts:
        return ""
    (first, where), *others = parts
    words = [f"SN501 compares {first} with theory {where}", *(" ".join(part) for part in others)]
    elsewhere = " elsewhere" if partly or not never else ""
    return f"{', '.join(words)}: how far theory may be off{elsewhere} is not known"


def notes_of(case: Case, codes: Collection[str]) -> list[str]:
    """Return a note on what SN501 leaves out, if it does."""
    if case.run is None or disagrees.code not in codes:
        return []
    if case.run.simulation.trials < 2:
        return ["SN501 not judged: chance cannot be told from fewer than 2 trials"]
    words = unjudged(case, codes)
    return [words] if words else []


def _listed(names: list[str], others: list[str]) -> str:
    """Return names in words: many as most statistics, unless there are as many `others`."""
    if len(names) > max(FEW, len(others)):
        return "most statistics"
    return listed(names)
