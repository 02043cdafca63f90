"""What can go wrong, as values: each error carries what a caller needs to recover.

Every message names the value seen, the bound it broke and what to try.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SnstatError(Exception):
    """Base of every error that snstat raises on purpose."""


class InvalidValueError(SnstatError, ValueError):
    """An argument is outside its bounds.

    Attributes: `name` of the argument, the `value` seen, the `bound` in words and a `remedy`.
    """

    def __init__(self, name: str, value: object, bound: str, remedy: str = "") -> None:
        self.name, self.value, self.bound, self.remedy = name, value, bound, remedy
        advice = f"; {remedy}" if remedy else ""
        super().__init__(f"{name} is {value!r}, but must be {bound}{advice}")


class UnknownNameError(InvalidValueError):
    """A name that is not in a table, with the nearest ones that are (`suggestions`)."""

    def __init__(self, name: str, value: object, known: Iterable[str]) -> None:
        self.known = sorted(known)
        self.suggestions = get_close_matches(str(value), self.known, n=1, cutoff=0.5)
        hint = f"did you mean {self.suggestions[0]!r}?" if self.suggestions else ""
        super().__init__(name, value, "one of " + ", ".join(self.known), hint)


class InputFileError(SnstatError):
    """A file that cannot be used: `path`, the `reason` it cannot, and a `remedy`."""

    def __init__(self, path: object, reason: str, remedy: str = "") -> None:
        self.path, self.reason, self.remedy = path, reason, remedy
        advice = f"; {remedy}" if remedy else ""
        super().__init__(f"{path}: {reason}{advice}")


class OutputFileError(InputFileError):
    """A file that cannot be written."""


class NoSolutionError(SnstatError):
    """A problem that has no solution, such as SELU parameters for an impossible target."""


class NotConvergedError(SnstatError):
    """A numerical method stopped short of its tolerance."""
