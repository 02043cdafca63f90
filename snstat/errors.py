"""Errors that carry what a caller needs to recover.

Every message names the value seen, the bound it violates and what to try.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from reprlib import Repr

# Most characters of a value, of a name in a file, of a path and of another program's message in our
# messages.
MOST_QUOTED = 100
MOST_OF_A_NAME = 60
MOST_OF_A_PATH = 200
MOST_OF_A_FAILURE = 300
MOST_OF_A_REASON = 500
# Letters that tell which name they are a part of.
LEAST_PART = 3

# Reads only a few elements, however large the value is.
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = MOST_QUOTED


def printable(text: str, most: int) -> str:
    """Return `text` as one line of at most `most` characters without control characters.

    White space becomes single spaces and control characters become escapes. The middle of a longer
    text is left out.
    """
    if len(text) > most:
        text = f"{text[: most * 2 // 3]}...{text[-(most // 3) + 3 :]}"
    text = " ".join(text.split())
    return text if text.isprintable() else printable(escaped(text), most)


def escaped(text: str) -> str:
    """Return `text` with escapes for all characters that are not printable."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def name_words(name: str) -> str:
    """Return a name that a file gives, which may hold anything, on one line."""
    return printable(escaped(name), MOST_OF_A_NAME) or "(no name)"


def quoted(value: object) -> str:
    """Return `value` as a message quotes it: its repr, printable and short."""
    try:
        text = _SHORT.repr(value)
    except ValueError:  # an int with more digits than Python prints
        text = "a value of thousands of digits"
    return printable(text, MOST_QUOTED)


# Writes the name of an argument (`weight_gain` in Python) for the reader of the message.
Spelling = Callable[[str], str]
# Names of arguments in a sentence: flags, or words with an underscore.
_ARGUMENT = re.compile(r"(?<![\w-])--([a-z][a-z-]*)|(?<![\w./-])([a-z]+(?:_[a-z]+)+)(?![\w./-])")


def python_spelling(name: str) -> str:
    """Return the name of an argument as Python spells it. --eval turns `train` off."""
    return "train=False" if name == "eval" else name


def spelled(text: str, spell: Spelling) -> str:
    """Return `text` with the names of arguments spelled by `spell`."""
    return _ARGUMENT.sub(lambda found: spell((found[1] or found[2]).replace("-", "_")), text)


class SnstatError(Exception):
    """Base class of every error that snstat raises on purpose.

    The message names arguments as Python does: `weight_gain`.
    """

    def told(self, spell: Spelling) -> str:  # noqa: ARG002  # subclasses use it
        """Return the message with arguments spelled by `spell`, for example `--weight-gain`."""
        return str(self)


class InvalidValueError(SnstatError, ValueError):
    """An argument is outside its bounds.

    Attributes: `name` of the argument, the `value` seen, the `bound` in words and a `remedy`.
    """

    def __init__(self, name: str, value: object, bound: str, remedy: str = "") -> None:
        self.name, self.value, self.bound, self.remedy = name, value, bound, remedy
        super().__init__(self.told(python_spelling))

    def told(self, spell: Spelling) -> str:
        """Return the message with names of arguments spelled by `spell`."""
        name = spell(self.name) if self.name.isidentifier() else spelled(self.name, spell)
        advice = f"; {self._words(self.remedy, spell)}" if self.remedy else ""
        bound = self._words(self.bound, spell)
        return f"{name} is {quoted(self.value)}, but must be {bound}{advice}"

    def _words(self, text: str, spell: Spelling) -> str:
        return spelled(text, spell)


def nearest(word: str, names: Iterable[str]) -> list[str]:
    """Return the one of `names` that `word` may be a slip for, if any: one that begins with it or
    has it as a part, else one with nearly its letters, and no other number."""
    names = list(names)
    if len(word) >= LEAST_PART:
        for fits in (str.startswith, str.__contains__):
            found = [name for name in names if fits(name, word)]
            if len(found) == 1:
                return found
    alike = get_close_matches(word, names, n=3, cutoff=0.5)
    return [name for name in alike if not _other_number(name, word)][:1]


def _other_number(name: str, word: str) -> bool:
    """Return whether two words have as many digits but others: float16 is no slip for float64."""
    digits, others = (sorted(re.sub(r"\D", "", text)) for text in (name, word))
    return len(digits) == len(others) and digits != others


class UnknownNameError(InvalidValueError):
    """A name that is not in a table, with the nearest ones that are (`suggestions`)."""

    def __init__(
        self, name: str, value: object, known: Iterable[str], aliases: Iterable[str] = ()
    ) -> None:
        self.known = sorted(known)
        # A long value is not a typing error, and comparing it is slow.
        word = value if isinstance(value, str) and len(value) <= MOST_QUOTED else ""
        names = {entry.lower(): entry for entry in (*aliases, *self.known)}
        near = nearest(word.lower(), names)
        self.suggestions = [names[entry] for entry in near]
        hint = f"did you mean {self.suggestions[0]!r}?" if self.suggestions else ""
        super().__init__(name, value, "one of " + ", ".join(self.known), hint)

    def _words(self, text: str, spell: Spelling) -> str:  # noqa: ARG002  # as in the parent
        return text  # the names in it are values


class LayerError(SnstatError):
    """A layer of a network that cannot be as it is. Attributes: its `path`, the names of the
    containers and of the layer itself, and `reason`, an error."""

    def __init__(self, path: tuple[str, ...], reason: SnstatError) -> None:
        self.path, self.reason = path, reason
        super().__init__(self.told(python_spelling))

    @classmethod
    def of(cls, path: tuple[str, ...], error: Exception) -> LayerError:
        """Return the error of the layer at `path` for whatever it raised."""
        if isinstance(error, LayerError):
            return cls((*path, *error.path), error.reason)
        if isinstance(error, SnstatError):
            return cls(path, error)
        words = f"fails with {type(error).__name__}: {error}"
        return cls(path, SnstatError(printable(words, MOST_OF_A_FAILURE)))

    def told(self, spell: Spelling) -> str:
        """Return the message with names of arguments spelled by `spell`."""
        return f"layer {printable('.'.join(self.path), MOST_OF_A_PATH)}: {self.reason.told(spell)}"


class NetworkFormError(SnstatError):
    """Plain data that describe no network. Attributes: the `path` in them, such as
    "layers.3.residual.layers.0", and the `reason`."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{printable(path, MOST_OF_A_PATH)}: {reason}" if path else reason)


class InputFileError(SnstatError):
    """A file that cannot be used. Attributes: `path`, `reason` and `remedy`."""

    def __init__(self, path: object, reason: str, remedy: str = "") -> None:
        self.path, self.reason, self.remedy = path, reason, remedy
        super().__init__(self.told(python_spelling))

    def told(self, spell: Spelling) -> str:
        """Return the message with names of arguments in the remedy spelled by `spell`."""
        advice = f"; {spelled(self.remedy, spell)}" if self.remedy else ""
        where = printable(escaped(str(self.path)), MOST_OF_A_PATH)
        return f"{where}: {printable(self.reason, MOST_OF_A_REASON)}{advice}"


class OutputFileError(InputFileError):
    """A file that cannot be written."""


class NoSolutionError(SnstatError):
    """A problem that has no solution, such as SELU parameters for an impossible target."""


class NotConvergedError(SnstatError):
    """A numerical method did not reach its tolerance."""


class UserCodeError(SnstatError):
    """The user's own code failed. Attributes: the `name` it goes by, `reason` in words, and the
    `place`, "line 12 of models.py" or empty. The exception itself is the cause."""

    def __init__(self, name: str, reason: str, place: str) -> None:
        self.name, self.reason, self.place = name, reason, place
        super().__init__(f"{name} {reason}" + (f" ({place})" if place else ""))
