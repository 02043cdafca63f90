"""Which rules a case breaks."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from snstat.checks.case import Case
from snstat.checks.rule import Broken
from snstat.checks.rules import RULES

# Rules of any one layer, which stay broken whatever comes after it, and of the weights or of the
# limit: q moves one way, so that all beginnings have one limit.
# Those that need no pairs of samples come first: they are quickly told.
LASTING = ("SN601", "SN101", "SN102", "SN104", "SN502", "SN401", "SN301")
# Layers to look at before all.
BEGINNINGS = (16, 128)


# The findings of a case try out the same remedies.
@lru_cache(maxsize=64)
def look(case: Case) -> dict[str, Broken]:
    """Return how each rule is broken that is, by code."""
    found = {code: rule.look(case) for code, rule in RULES.items()}
    return {code: broken for code, broken in found.items() if broken is not None}


def soon_broken(case: Case) -> set[str]:
    """Return rules that the first layers break already, and so the whole stack does.

    Others may be broken too: this is to tell early what a look at all layers takes long for.
    """
    for depth in BEGINNINGS:
        if depth < case.limit:
            beginning = case.changed(depth=depth)
            found = {code for code in LASTING if RULES[code].look(beginning) is not None}
            if found:
                return found
    return set()


def sound(case: Case, ignored: Collection[str] = ()) -> bool:
    """Return whether no rule is broken but those `ignored`, which is told by the first that is."""
    if soon_broken(case).difference(ignored):
        return False
    return all(rule.look(case) is None for code, rule in RULES.items() if code not in ignored)
