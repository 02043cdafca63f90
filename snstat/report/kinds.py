"""The kinds of layers: their list, and the page of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from snstat.report.glyphs import Glyphs
from snstat.report.grid import print_labelled

if TYPE_CHECKING:
    from rich.console import Console

    from snstat.results.kinds import KeyWords, KindWords

GAP = 2
OF_EVERY_LAYER = (
    "Every layer may also have a `name`, and start from another layer than the one before:"
    ' `input = "NAME"`, or `inputs = ["NAME", "NAME"]` for a kind that takes several. With'
    " `when = 0` or `false` it is left out."
)


def print_kinds(kinds: Sequence[KindWords], console: Console) -> None:
    """Print name and summary of each kind; elsewhere than at a terminal each is one line."""
    glyphs = Glyphs.of(console)
    width = max(len(found.name) for found in kinds) + GAP
    for found in kinds:
        label, summary = found.name.ljust(width), Text(glyphs.text(found.summary))
        if console.is_terminal:
            print_labelled(label, summary, console, style="bold")
        else:
            console.print(Text(label) + summary, soft_wrap=True)


def kind_page(found: KindWords) -> str:
    """Return the page of a kind as markdown: what it is, and its keys."""
    keys = "".join(f"- `{key.name}`: {_takes(key)}. {key.meaning}\n" for key in found.keys)
    parts = [f"# {found.name}\n", f"{found.text}\n", keys, f"{OF_EVERY_LAYER}\n"]
    return "\n".join(filter(None, parts))


def _takes(key: KeyWords) -> str:
    """Return the values of a key and its default."""
    return f"{key.values}, {f'default {key.default}' if key.default else 'must be given'}"
