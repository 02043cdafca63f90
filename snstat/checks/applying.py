"""Which rules say nothing of a case, in notes, and as what no remedy may lead to."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from snstat.checks.case import Case
from snstat.checks.obstacle import Obstacle
from snstat.checks.rules import RULES
from snstat.values.names import listed

# Rules about limits, which a network that keeps any signal as it is cannot break.
OF_LIMITS = ("SN104", "SN302")


def obstacle_of(case: Case, code: str) -> Obstacle | None:
    """Return why a rule says nothing of a case, None if it judges it. Equal cases are asked
    once."""
    return case.once(("obstacle", code), RULES[code].obstacle)


def not_applied(case: Case, codes: Collection[str], named: Collection[str]) -> list[str]:
    """Return a note on each reason why rules among `codes` say nothing of a case, or of some of its
    layers; plain ones only of those that are `named`."""
    notes: dict[str, list[str]] = {}
    for code in (code for code in RULES if code in codes):
        found = obstacle_of(case, code)
        if found is None:
            words = RULES[code].partly(case)
        else:
            words = f"not judged: {found.why}" if code in named or not found.plain else ""
        if words:
            notes.setdefault(words, []).append(code)
    return [f"{listed(those)} {words}" for words, those in notes.items()]


def lost(case: Case, changed: Case, among: Iterable[str] = RULES) -> bool:
    """Return whether theory judges a case by a rule `among` these that says nothing of a `changed`
    one: such a change hides what is broken."""
    thought = case.thought
    kept = OF_LIMITS if thought.outlook.kind == "neutral" else ()
    return any(
        code not in kept
        and obstacle_of(changed, code) is not None
        and obstacle_of(thought, code) is None
        for code in among
    )
