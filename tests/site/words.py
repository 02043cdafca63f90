"""Pages of the site that are the code's own words: of commands, kinds of layers, and rules."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snstat.checks.rules import catalogue, explanation
from snstat.cli import COMMANDS, group
from snstat.cli.help import Explained, meanings
from snstat.layers.registry import KINDS
from snstat.layers.words import words_of
from snstat.report.kinds import kind_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CHECKOUT = Path(__file__).parents[2]
# Guides that are not called like their command.
GUIDES = {
    "layers": "networks.md",
    "plot": "pictures.md",
    "schema": "python.md",
    "show": "networks.md",
}
# What markdown would read as markup, in words that are not.
MARKUP = re.compile(r"([\\*_\[\]<>|])")
CODE = re.compile(r"(`[^`]*`)")
# The index of h_(t−1) is no emphasis.
FORMULA = re.compile(r"_\(")


def words_pages() -> Iterator[tuple[str, str]]:
    """Yield (path in the repository, markdown) of all pages."""
    commands = dict(COMMANDS)
    kinds = {name: words_of(name).summary for name in sorted(KINDS)}
    yield "docs/commands/index.md", _list("Commands", commands, "What --help prints of each.")
    yield "docs/layers/index.md", _list("Kinds of layers", kinds, "What `snstat layers` prints.")
    for name in commands:
        yield f"docs/commands/{name}.md", command_page(name)
    for name in kinds:
        yield f"docs/layers/{name}.md", FORMULA.sub(r"\\_(", kind_page(words_of(name)))
    yield "docs/rules.md", rules_list()
    for code, _, _ in catalogue():
        yield f"docs/rules/{code.lower()}.md", explanation(code)


def command_page(name: str) -> str:
    """Return the page of a command: what --help prints."""
    command = group.get_command(click.Context(group), name)
    assert isinstance(command, Explained)
    ctx = click.Context(command, info_name=name, parent=click.Context(group, info_name="snstat"))
    usage = command.get_usage(ctx).removeprefix("Usage: ")
    parts = [
        f"# snstat {name}",
        f"```text\n{' '.join(usage.split())}\n```",
        *(escaped(" ".join(part.split())) for part in (command.help or "").split("\n\n")),
    ]
    guide = GUIDES.get(name, f"{name}.md")
    if (CHECKOUT / "docs" / guide).exists():
        parts.append(f"The guide is [{guide.removesuffix('.md')}](../{guide}).")
    if command.epilog:
        _, _, examples = command.epilog.partition("Examples:\n")
        lines = (line.removeprefix("  ") for line in examples.splitlines())
        parts.append("## Examples\n\n```sh\n" + "\n".join(lines) + "\n```")
    for title, options in command.groups(ctx):
        parts.append(f"## {title}")
        parts += [f"`{flags}`\n:   {escaped(text)}" for flags, text in meanings(ctx, options)]
    return "\n\n".join(parts) + "\n"


def _list(title: str, entries: Mapping[str, str], text: str) -> str:
    """Return the page of a section: a table of its pages."""
    rows = [f"| [{name}]({name}.md) | {escaped(about)} |\n" for name, about in entries.items()]
    return f"# {title}\n\n{text}\n\n| name | what it is |\n|---|---|\n{''.join(rows)}"


def rules_list() -> str:
    """Return the list of rules. Each has a section, to which other pages link."""
    parts = ["# The rules of `snstat check`"]
    for code, name, summary in catalogue():
        link = f"[The page of {code}](rules/{code.lower()}.md)"
        parts.append(f"## {code} {name}\n\nThe rule is broken if {escaped(summary)}. {link}")
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Return words as markdown; what is in backticks stays."""
    return "".join(
        part if part.startswith("`") else MARKUP.sub(r"\\\1", part) for part in CODE.split(text)
    )
