"""What a rule is: a page that explains it, a look at a case, and what to try where it is broken."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from snstat.checks.case import Case
from snstat.checks.obstacle import Obstacle
from snstat.checks.stack_case import StackCase


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
    case: StackCase | None
    tried: bool = False


# A family of remedies for a stack: what to try for a broken rule, best first.
Family = Callable[[StackCase, Broken], Iterable[Remedy]]
Look = Callable[[Case], Broken | None]
# Returns why a rule says nothing of a case, None if it judges it.
Asked = Callable[[Case], Obstacle | None]
# Returns which layers a rule judges, and why no others, in words that follow its code, such as
# "judged only from layer 3 on: …"; "" if it judges all that it is about.
Partly = Callable[[Case], str]


@dataclass(frozen=True, slots=True)
class Page:
    """What all rules have: a code, a name, and a page, the docstring of what looks at a case."""

    code: str
    name: str
    look: Callable[..., object]

    @property
    def text(self) -> str:
        """The page without its title, as markdown; empty where Python drops docstrings (-OO)."""
        return inspect.cleandoc(self.look.__doc__ or "")

    @property
    def summary(self) -> str:
        """The first sentence of the page, as an entry of a list."""
        words = self.text.partition("\n")[0].removesuffix(".")
        return words if words[1:2].isupper() else words[:1].lower() + words[1:]


def _none(case: Case) -> None:
    """Return that a rule judges every case."""


def _all(case: Case) -> str:  # noqa: ARG001  # a Partly's
    """Return that a rule judges every layer."""
    return ""


@dataclass(frozen=True, slots=True)
class Rule(Page):
    """One rule of networks, called with a case.

    `look` returns None where the rule holds or cannot be applied, and `obstacle` says why it
    cannot. Both have to work for a case that was never run, so that remedies can be tried out.
    `partly` says of which layers it says nothing, where it can be applied to others.
    `verdict` is the one that a broken rule leads to, if any, and `families` are the remedies to try
    for a stack, the mildest first.
    """

    look: Look
    verdict: str | None = None
    families: tuple[Family, ...] = ()
    obstacle: Asked = _none
    partly: Partly = _all

    def __call__(self, case: Case) -> Broken | None:
        """Return how a case breaks the rule, None if it does not."""
        return self.look(case)


def rule(
    code: str,
    name: str,
    *,
    verdict: str | None = None,
    families: tuple[Family, ...] = (),
    obstacle: Asked = _none,
    partly: Partly = _all,
) -> Callable[[Look], Rule]:
    """Make the rule `code` of the function below, which looks at a case, and of its docstring."""
    return lambda look: Rule(code, name, look, verdict, families, obstacle, partly)
