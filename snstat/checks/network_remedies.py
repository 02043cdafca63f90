"""What to try where a network of any layers breaks a rule: its inputs, and knobs of its layers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from snstat.checks.case import Case
from snstat.checks.look import looked
from snstat.checks.network_case import NetworkCase
from snstat.checks.rule import Rule
from snstat.checks.rules import RULES
from snstat.experiment.inputs import DrawnInputs


class Change(NamedTuple):
    """A network to try, and the change that leads to it, in the words of its file."""

    words: str
    case: NetworkCase


def network_remedy(rule: Rule, case: Case, codes: set[str]) -> str:
    """Return the first change after which no rule is broken, else the first after which this one
    holds and no other is newly broken, or nothing.

    Changes are tried out by theory, so that has to find the rule broken without them.
    """
    if not isinstance(case, NetworkCase) or looked(case.thought, rule.code) is None:
        return ""
    partial = ""
    for change in changes(case):
        left = {code for code in RULES if looked(change.case, code) is not None}
        if not left:
            return f"use {change.words}"
        if not partial and left <= codes - {rule.code}:
            partial = f"use {change.words}"
    return partial


def changes(case: NetworkCase) -> Iterator[Change]:
    """Yield what to try, the mildest first."""
    standard = standard_inputs(case)
    if standard is not None:
        yield standard


def standard_inputs(case: NetworkCase) -> Change | None:
    """Return the network with drawn inputs of mean 0 and variance 1, None where they are that."""
    old, law = case.inputs, case.network.law
    if not old.drawn or (old.mean, old.variance) == (0.0, 1.0):
        return None
    drawn = DrawnInputs(law.kind, case.network.input.units, case.batch, 0.0, 1.0)
    words = []
    if old.mean != 0:
        words.append(f"--input-mean 0 (now {old.mean:.4g})")
    if old.variance != 1:
        words.append(f"--input-std 1 (now {math.sqrt(old.variance):.4g})")
    return Change(" and ".join(words), case.changed(case.network, drawn.moments()))
