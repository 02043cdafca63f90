"""What a rule is: a look at a case, and what to try where it is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from snstat.checks.case import Case


@dataclass(frozen=True, slots=True)
class Broken:
    """How a rule is broken: at which `layer` first, the `value` there, the `bound`, in words.

    `verdict` is given where it depends on how the rule is broken.
    """

    layer: int | None
    value: float | None
    bound: float | None
    text: str
    verdict: str | None = None


@dataclass(frozen=True, slots=True)
class Remedy:
    """Something to try, in words, and the case that it leads to (None: it cannot be computed).

    `tried` is true if the remedy is already known to fix the rule, where evaluating the rule on
    a case without a run cannot show it.
    """

    words: str
    case: Case | None
    tried: bool = False


# A family of remedies: what to try for a broken rule, best first.
Family = Callable[[Case, Broken], Iterable[Remedy]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `verdict` is the one that it leads to, if any.

    `look` returns None where the rule holds or cannot be applied; it has to work for a case that
    was never run, so that remedies can be tried out; `families` of them, the mildest first.
    """

    code: str
    name: str
    summary: str
    look: Callable[[Case], Broken | None]
    verdict: str | None = None
    families: tuple[Family, ...] = ()
