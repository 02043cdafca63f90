"""Which rules a case breaks."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from snstat.checks.case import Case
from snstat.checks.rule import Broken
from snstat.checks.rules import RULES
from snstat.checks.stack_case import StackCase
from snstat.results import FloatArray

# Rules of single layers, which stay broken in a deeper stack, and rules of the weights or of the
# limit: q is monotone over depth, so a shorter stack has the same limit.
LASTING = ("SN601", "SN101", "SN102", "SN104", "SN302", "SN502", "SN401", "SN301")
# These take longest: they need theory of pairs of samples, or of finite width.
SLOW = frozenset({"SN502", "SN401", "SN301", "SN501"})
# Standard deviations of the log second moment that other layers have to leave to the bounds, beside
# those of `_margin` for many layers.
MARGIN = 1.0
# A fluctuation of this share of the last layer's has settled.
SETTLED = 0.9
# `beginnings` of long stacks.
BEGINNINGS = (16, 128)
# All rules, the slow ones last.
ORDER = tuple(sorted(RULES, key=lambda code: (code in SLOW, code)))


def looked(case: Case, code: str) -> Broken | None:
    """Return how a rule is broken, None if it is not. Equal cases are looked at once."""

    def find(case: Case) -> Broken | None:
        case.tick()
        return RULES[code](case)

    return case.once(code, find)


def look(case: Case) -> dict[str, Broken]:
    """Return how each rule is broken that is, by code."""
    found = {code: looked(case, code) for code in RULES}
    return {code: broken for code, broken in found.items() if broken is not None}


def broken_within(case: StackCase, allowed: Collection[str] = ()) -> set[str] | None:
    """Return which rules are broken, or None as soon as one is that is not `allowed`."""
    if not sound(case, allowed):
        return None
    return {code for code in ORDER if code in allowed and looked(case, code) is not None}


def sound(case: StackCase, ignored: Collection[str] = ()) -> bool:
    """Return whether no rule is broken except those `ignored`. Stops at the first broken one.

    A rule that the first layers break is broken by the whole stack, so they are tried first.
    """
    return not any(_breaks(case, ignored, slow=slow) for slow in (False, True))


def _breaks(case: StackCase, ignored: Collection[str], *, slow: bool) -> bool:
    """Return whether a rule is broken that is one of the slow ones, or else of the fast ones."""
    tried = [(case.changed(depth=depth), LASTING) for depth in beginnings(case)]
    return any(
        code not in ignored and (code in SLOW) == slow and looked(stack, code) is not None
        for stack, codes in (*tried, (case, ORDER))
        for code in codes
    )


def beginnings(case: StackCase) -> list[int]:
    """Return the numbers of first layers to try before the whole stack."""
    return [depth for depth in BEGINNINGS if depth < case.limit]


def unsteady(case: StackCase) -> int | None:
    """Return the first layer where single networks leave the bounds of the second moment, although
    theory of infinite width does not: within some standard deviations between networks of what is
    expected at this width. A remedy that leaves no such margin would fail on the networks that are
    drawn."""
    fluctuation = case.fluctuation
    second, spread = case.likely_second_moment, np.exp(_margin(fluctuation) * fluctuation)
    low, high = case.bounds.second_moment_range(case.inputs.second_moment)
    gone = np.flatnonzero((second < low * spread) | (second * spread > high))
    return int(gone[0]) if gone.size else None


def _margin(fluctuation: FloatArray) -> float:
    """Return the standard deviations of margin that a network needs in all layers together.

    A fluctuation that settles is forgotten over as many layers as it takes to settle. The network
    then draws it anew, and the largest of n normal variates is about √(2 ln n).
    """
    last = len(fluctuation) - 1
    settled = int(np.argmax(fluctuation >= SETTLED * fluctuation[-1]))
    return MARGIN + math.sqrt(2.0 * math.log(max(last / max(settled, 1), 1.0)))
