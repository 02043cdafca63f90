"""What a kind of layers is and takes, in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyWords:
    """One key: its name, the values that it takes, its default, empty for a key that must be given,
    and its meaning."""

    name: str
    values: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class KindWords:
    """A kind: its name, its text (what it computes and what theory knows of it, a summary first),
    and its keys."""

    name: str
    text: str
    keys: tuple[KeyWords, ...]

    @property
    def summary(self) -> str:
        """The first paragraph, on one line."""
        return " ".join(self.text.split("\n\n")[0].split())
