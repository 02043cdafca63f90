"""`assert_propagates`, for the tests of your own project."""

from __future__ import annotations

from typing import Any

from snstat.checks.check import check
from snstat.report.check_words import headline, rule_words
from snstat.results import Check

__all__ = ["assert_propagates"]


def assert_propagates(activation: Any = None, depth: int | None = None, **options: Any) -> Check:
    """Raise AssertionError, in the words of `snstat check`, unless a network passes its check.

    The arguments are those of `snstat.check`: an activation, a network, or a PyTorch module or the
    function that builds one; an invalid argument raises SnstatError. Returns
    the check that passed.
    """
    __tracebackhide__ = True
    result = check(activation, depth, **options)
    if not result.passed:
        lines = [headline(result)]
        lines += [f"{rule_words(found)}: {found.message}" for found in result.findings]
        raise AssertionError("\n".join(lines))
    return result


def __dir__() -> list[str]:
    return sorted(__all__)
