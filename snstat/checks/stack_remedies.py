"""The remedy of a broken rule of a stack: the first change that helps, tried out by theory."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import chain

from snstat.checks.applying import lost
from snstat.checks.chance import too_narrow
from snstat.checks.look import broken_within, looked, unsteady
from snstat.checks.remedies import change, wider
from snstat.checks.rule import Broken, Remedy, Rule
from snstat.checks.several import TOO_NARROW, last_resorts
from snstat.checks.stack_case import StackCase
from snstat.checks.target import misses_target

# Rules of single layers. If a measured value breaks one, the layers before are sound.
PREFIXED = frozenset({"SN101", "SN102", "SN301", "SN401"})


def stack_remedy(
    rule: Rule, case: StackCase, how: Broken, broken: Collection[str], chosen: Collection[str]
) -> str:
    """Return the first remedy after which no rule of those `chosen` is broken and no other is newly
    broken, else the first after which this one holds and no other is newly broken, or nothing.
    `broken` are the rules that the stack breaks.

    Remedies are tried out by theory, so that has to find the rule broken without them (unless the
    remedy has been tried in another way), and what is left may not be that networks differ too much
    for theory to say anything of one of them.
    """
    partial, others = "", {*broken} - {rule.code, TOO_NARROW}
    unchosen = others - {*chosen}
    foreseen = looked(case.thought, rule.code) is not None
    families = [*rule.families, _steadier]
    if foreseen:
        families.append(last_resorts)
    elif rule.code in PREFIXED:
        families.append(_before)
    for remedy in chain.from_iterable(family(case, how) for family in families):
        if remedy.case is None:
            return remedy.words
        if not (foreseen or remedy.tried):
            continue
        if remedy.case.layer != case.layer and unsteady(remedy.case) is not None:
            continue
        left = broken_within(remedy.case, unchosen if partial else others)
        # A change may leave SN302 without a limit to judge, but not the target without theory.
        if left is not None and lost(case, remedy.case, (misses_target.code,)):
            continue
        if left is not None and left <= unchosen:
            return remedy.words
        if left is not None:
            partial = remedy.words
    return partial


def _steadier(case: StackCase, broken: Broken) -> Iterator[Remedy]:  # noqa: ARG001  # a Family's
    """Yield widths at which networks differ so little that all stay where theory is valid."""
    narrow = too_narrow(case)
    if narrow is not None:
        for remedy in wider(case, narrow):
            yield replace(remedy, tried=True)


def _before(case: StackCase, broken: Broken) -> Iterator[Remedy]:
    """Yield the stack that ends before the layer whose measured value broke a rule. Its layers were
    measured too."""
    layer = broken.layer
    if layer is not None and 1 < layer <= case.depth:
        yield replace(change(case, depth=layer - 1), tried=True)
