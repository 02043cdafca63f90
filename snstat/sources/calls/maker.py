"""The model of each trial: built by the user's function, or the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snstat.errors import SnstatError
from snstat.sources.calls.target import load_target, require_arguments, user_code


def type_words(value: object) -> str:
    """Return what a message calls a value of another type than is wanted."""
    return "None" if value is None else f"a value of type {type(value).__name__}"


@dataclass
class Maker:
    """Makes the model of each trial, which is of class `wanted`, and `words` say what that is."""

    name: str
    target: Any
    settings: Mapping[str, Any]
    wanted: type
    words: str

    def __post_init__(self) -> None:
        if not self.builds and self.settings:
            raise SnstatError(
                f"{self.name} is a model, which takes no arguments; name its function"
            )
        if self.builds and not callable(self.target):
            self._refuse("is", self.target)

    @classmethod
    def of(cls, target: Any, settings: Mapping[str, Any], wanted: type, words: str) -> Maker:
        """Return what makes the models of a target, an object or "keras:package.module:name"."""
        if isinstance(target, str):
            found = load_target(target.partition(":")[2])
            return cls(target, found, settings, wanted, words)
        return cls(type(target).__name__, target, settings, wanted, words)

    @property
    def builds(self) -> bool:
        """Whether every trial has a model of its own."""
        return not isinstance(self.target, self.wanted)

    def make(self, **others: Any) -> Any:
        """Return a new model."""
        require_arguments(self.name, self.target, {**self.settings, **others})
        with user_code(self.name):
            made = self.target(**self.settings, **others)
        if not isinstance(made, self.wanted):
            self._refuse("returned", made)
        return made

    def _refuse(self, verb: str, value: Any) -> None:
        must = "be a function that returns" if verb == "is" else "return"
        raise SnstatError(f"{self.name} {verb} {type_words(value)}, but must {must} {self.words}")
