"""Which rules a case breaks."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from snstat.checks.case import Case
from snstat.checks.rule import Broken
from snstat.checks.rules import RULES


# The findings of a case try out the same remedies.
@lru_cache(maxsize=64)
def look(case: Case) -> dict[str, Broken]:
    """Return how each rule is broken that is, by code."""
    found = {code: rule.look(case) for code, rule in RULES.items()}
    return {code: broken for code, broken in found.items() if broken is not None}


def sound(case: Case, ignored: Collection[str] = ()) -> bool:
    """Return whether no rule is broken but those `ignored`, which is told by the first that is."""
    return all(rule.look(case) is None for code, rule in RULES.items() if code not in ignored)
