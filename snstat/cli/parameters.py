"""What a command line may say: numbers, names, files, and several values of one option."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from snstat.values.kinds import Kind


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


class Value(Type):
    """A value of a kind that other rooms declare."""

    def __init__(self, kind: Kind) -> None:
        self.kind, self.name = kind, kind.name

    def read(self, name: str, text: str) -> Any:
        """Return the value. See Type."""
        return self.kind.read(name, text)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str | None:  # noqa: ARG002  # click's signature
        """Return "[float32|float64]" for a name of a table."""
        return f"[{'|'.join(self.kind.names())}]" if self.kind.names() else None

    def completions(self, incomplete: str) -> list[CompletionItem]:
        """Return the names that go on from what is typed."""
        return begins(self.kind.names(), incomplete)


class FileName(Type):
    """The name of a file; a shell completes it, after `words` that are none."""

    name = "file"

    def __init__(self, words: Collection[str] = ()) -> None:
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
        words = ("last",) if comma else ("log", "all", "top", "last", "0,")
        return [CompletionItem(before + comma + item.value) for item in begins(words, last)]


def begins(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
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
        if isinstance(self.type, FileName) and any(map(os.path.exists, _files(entry))):
            return [entry]
        return [piece.strip() for piece in entry.split(",")]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete what stands behind the last comma."""
        if not self.commas or isinstance(self.type, FileName):
            return super().shell_complete(ctx, incomplete)
        before, comma, last = incomplete.rpartition(",")
        found = super().shell_complete(ctx, last)
        return [CompletionItem(before + comma + item.value, type=item.type) for item in found]
