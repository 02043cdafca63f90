"""What a command line may say: numbers, names, files, and several values of one option."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from snstat.activation import resolve
from snstat.network.widths import parse_widths, write_widths
from snstat.values import known, real, whole


def keyword(parameter: click.Parameter | None) -> str:
    """Return what Python calls an option or an argument of a command: "weight_gain"."""
    if parameter is None:
        return "value"
    return max(parameter.opts, key=len).lstrip("-").replace("-", "_")


class Type(click.ParamType):  # type: ignore[type-arg]  # which only newer versions take
    """What a parameter is read as, and how a shell completes it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002  # click's signature
        """Return what the text of a parameter stands for."""
        return self.read(keyword(param), value) if isinstance(value, str) else value

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002  # click's signature
        param: click.Parameter,  # noqa: ARG002  # click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return what may follow what is typed."""
        return self.completions(incomplete)

    def read(self, name: str, text: str) -> Any:  # noqa: ARG002  # for others to use
        """Return what `text` stands for; errors call the parameter `name`."""
        return text

    def completions(self, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002  # as above
        """Return what may follow what is typed."""
        return []


class Whole(Type):
    """A whole number: 64, 1e3, 2**10."""

    name = "whole number"

    def read(self, name: str, text: str) -> int:
        """Return the number."""
        return whole(name, text)


class Real(Type):
    """A number: 1.5, 1e-3, 2/3, sqrt(2)."""

    name = "number"

    def read(self, name: str, text: str) -> float:
        """Return the number."""
        return real(name, text)


class Widths(Type):
    """Units of the input and of each layer: 784,512*3,10."""

    name = "widths"

    def read(self, name: str, text: str) -> str:  # noqa: ARG002  # a Type's signature
        """Return the same in the form in which it is shown."""
        return write_widths(*parse_widths(text))


class Name(Type):
    """A name of a table, whatever its case, or an alias of one."""

    name = "name"

    def __init__(self, names: Collection[str], aliases: Mapping[str, str] | None = None) -> None:
        self.names, self.aliases = tuple(names), aliases or {}

    def read(self, name: str, text: str) -> str:
        """Return the name as the table has it."""
        return known(name, text, self.names, self.aliases)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:  # noqa: ARG002  # click's signature
        """Return "[float32|float64]"."""
        return f"[{'|'.join(self.names)}]"

    def completions(self, incomplete: str) -> list[CompletionItem]:
        """Return the names that go on from what is typed."""
        return begins(self.names, incomplete)


class ActivationName(Name):
    """An activation: a name of the table, or an alias, with its parameter after a colon."""

    def read(self, name: str, text: str) -> str:
        """Return the name as it is shown."""
        return resolve(text, name).name


class File(Type):
    """The name of a file; a shell completes it, after `words` that are none."""

    name = "file"

    def __init__(self, words: Sequence[str] = ()) -> None:
        self.words = words

    def completions(self, incomplete: str) -> list[CompletionItem]:
        """Return the words that go on from what is typed, else let the shell look for files."""
        found = begins(self.words, incomplete) if incomplete else []
        return found or [CompletionItem(incomplete, type="file")]


class Layers(Type):
    """Which layers: words, numbers and ranges; a shell completes the last of them."""

    name = "layers"

    def completions(self, incomplete: str) -> list[CompletionItem]:
        """Return the words that go on from what is typed."""
        before, comma, last = incomplete.rpartition(",")
        words = ("last",) if comma else ("log", "all", "last", "0,")
        return [CompletionItem(before + comma + item.value) for item in begins(words, last)]


def begins(names: Sequence[str], incomplete: str) -> list[CompletionItem]:
    """Return the names that begin with what is typed, whatever its case."""
    return [CompletionItem(name) for name in names if name.startswith(incomplete.lower())]


def _files(entry: str) -> tuple[str, str]:
    """Return the files that `entry` may name, by itself or with the name of an array in it."""
    return entry, entry.rpartition(":")[0]


class Several(click.Option):
    """An option that takes several values, each for a run of its own: repeated, or with commas.

    The value is a tuple, empty where the option is not given and has no default. A comma in the
    name of a file that exists separates nothing; with `commas=False` none does.
    """

    def __init__(self, *args: Any, commas: bool = True, **options: Any) -> None:
        self.commas = commas
        super().__init__(*args, **(options | {"multiple": True}))

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Return the values, each once."""
        given = value if isinstance(value, tuple | list) else ()
        pieces = [piece for entry in given for piece in self._pieces(entry)]
        return tuple(dict.fromkeys(self.type(piece, param=self, ctx=ctx) for piece in pieces))

    def _pieces(self, entry: Any) -> list[Any]:
        if not self.commas or not isinstance(entry, str) or "," not in entry:
            return [entry]
        # FILE.npz:name as well; os.path.exists minds no odd name.
        if isinstance(self.type, File) and any(map(os.path.exists, _files(entry))):
            return [entry]
        return [piece.strip() for piece in entry.split(",")]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete what stands behind the last comma."""
        if not self.commas or isinstance(self.type, File):
            return super().shell_complete(ctx, incomplete)
        before, comma, last = incomplete.rpartition(",")
        found = super().shell_complete(ctx, last)
        return [CompletionItem(before + comma + item.value, type=item.type) for item in found]
