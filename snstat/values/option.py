"""Options as fields of a dataclass, declared once.

The fields give the keywords of Python, the options of the command line, the keys of TOML and JSON
files, and the JSON schema.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, ParamSpec, TypeVar

from snstat.values.kinds import Kind

_KEY = "option"
P = ParamSpec("P")
S = TypeVar("S")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Option:
    """How an option is read and explained.

    `kind` is the kind of its value, `help` its explanation, and `shown` its default as help shows
    it. `short` is its flag of one letter, and `metavar` the name of its value in help. An option
    with `several` accepts several values on the command line and makes a run for each; they are
    separated by commas if `commas`. `off` is the name of the flag that switches one off.
    """

    kind: Kind
    help: str
    shown: str = ""
    short: str = ""
    metavar: str = ""
    several: bool = True
    commas: bool = True
    off: str = ""


def option(kind: Kind, help: str, *, default: Any = None, **others: Any) -> Any:  # noqa: A002
    """Return a field of a dataclass that is an option; `others` are fields of `Option`."""
    return field(default=default, metadata={_KEY: Option(kind, help, **others)})


def single(kind: Kind, help: str, **others: Any) -> Any:  # noqa: A002
    """Return the field of an option that takes one value; `others` are as those of `option`."""
    return option(kind, help, several=False, **others)


def again(settings: type, name: str) -> Any:
    """Return a field that is the same option as the field `name` of other settings."""
    entry = next(entry for entry in fields(settings) if entry.name == name)
    return field(default=entry.default, metadata=entry.metadata)


def options_of(settings: type) -> dict[str, Option]:
    """Return the options among the fields of a dataclass, by name, in order."""
    found = fields(settings)
    return {entry.name: entry.metadata[_KEY] for entry in found if _KEY in entry.metadata}


class Settings:
    """A dataclass of options, all validated. None is accepted if it is the default."""

    __slots__ = ()

    def __post_init__(self) -> None:
        """Validate every value."""
        for entry in fields(self):  # type: ignore[arg-type]  # children are dataclasses
            value, declared = getattr(self, entry.name), entry.metadata.get(_KEY)
            if declared is not None and not (value is None and entry.default is None):
                object.__setattr__(self, entry.name, declared.kind.check(entry.name, value))


def taking(settings: Callable[P, S]) -> Callable[[Callable[[S], R]], Callable[P, R]]:
    """Turn a function of `settings` into a function of their fields, which become keywords."""

    def decorator(function: Callable[[S], R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return function(settings(*args, **kwargs))

        own = inspect.signature(function)
        taken = inspect.signature(settings).replace(return_annotation=own.return_annotation)
        call.__signature__ = taken  # type: ignore[attr-defined]
        return call

    return decorator
