"""The verdict on a case and its findings, each with a remedy that was tried."""

from __future__ import annotations

from collections.abc import Collection
from types import MappingProxyType

from snstat.checks.case import Case
from snstat.checks.look import look
from snstat.checks.rule import Broken, Rule
from snstat.checks.rules import RULES
from snstat.checks.stack_case import StackCase
from snstat.layers.dense_layer import LINEAR
from snstat.results import VERDICTS, Finding

# A finding, and another that implies it: a stack whose limit is off the target is off it at its
# last layer too. The report omits the first if it holds the second; the verdict counts both.
SAID_BETTER = MappingProxyType({"SN103": "SN104"})
# What other rules find in dead networks, this one says better.
DEAD = "SN401"
# What the SNN paper promises: the limit is within this of mean 0 and variance 1.
NORMALIZED = 0.1


def judge(
    case: Case, codes: Collection[str], *, remedies: bool = True
) -> tuple[str, list[Finding]]:
    """Return the verdict on a case, and the findings of the rules `codes`, with or without what
    to try.

    The verdict is of all rules: ignored rules still count towards it.
    """
    broken = look(case)
    chosen = broken.keys() & set(codes)
    told = {
        code: how
        for code, how in broken.items()
        if code in chosen and _said_better(code, how) not in chosen
    }
    findings = [
        finding(RULES[code], case, how, set(broken), codes, remedies=remedies)
        for code, how in told.items()
    ]
    return verdict(case, broken), findings


def _said_better(code: str, how: Broken) -> str | None:
    """Return the rule that says better what a rule found, if any."""
    if how.verdict == "collapsed" and code != DEAD:
        return DEAD
    return SAID_BETTER.get(code)


def verdict(case: Case, broken: dict[str, Broken]) -> str:
    """Return the gravest verdict of the broken rules, or what a sound stack is."""
    named = {how.verdict or RULES[code].verdict for code, how in broken.items()}
    grave = [name for name in VERDICTS if name in named]
    if grave:
        return grave[0]
    outlook = case.outlook
    normal = (
        outlook.kind == "converges"
        and outlook.mean is not None
        and outlook.variance is not None
        and abs(outlook.mean) <= NORMALIZED
        and abs(outlook.variance - 1.0) <= NORMALIZED
        and not broken.keys() & {"SN103", "SN104"}
        and isinstance(case, StackCase)
        and _ends_normal(case)
    )
    return "self-normalizing" if normal else "stable"


def _ends_normal(case: StackCase) -> bool:
    """Return whether a last layer of another activation leaves mean 0 and variance 1 as they are. A
    linear read-out has a scale of its own, which is no matter of the stack."""
    read_out = case.stack.read_out
    if read_out is None or read_out.activation == LINEAR:
        return True
    mean, variance = (float(case.predicted(name)[case.depth]) for name in ("mean", "variance"))
    return abs(mean) <= NORMALIZED and abs(variance - 1.0) <= NORMALIZED


def finding(
    rule: Rule,
    case: Case,
    how: Broken,
    broken: set[str],
    codes: Collection[str],
    *,
    remedies: bool = True,
) -> Finding:
    """Return the finding of a broken rule; all that are `broken`, and the `codes` that were chosen,
    decide what is a remedy."""
    remedy, file = "", case.run is not None and case.run.network is not None
    # What looks for remedies is imported when a rule is broken.
    if remedies and isinstance(case, StackCase) and not file:
        from snstat.checks.stack_remedies import stack_remedy

        remedy = stack_remedy(rule, case, how, broken, codes)
    elif remedies:
        from snstat.checks.network_remedies import network_remedy

        remedy = network_remedy(rule, case, broken, codes)
    message = f"{how.text}; {remedy}" if remedy else how.text
    path = None
    if case.run is not None and case.run.module is not None and how.layer is not None:
        path = case.run.row(how.layer).name
    return Finding(rule.code, rule.name, how.layer, how.value, how.bound, message, remedy, path)
