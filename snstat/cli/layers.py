"""`snstat layers`: the kinds of layers, and what each of them takes."""

from __future__ import annotations

import click

from snstat.cli import version_option
from snstat.cli.formats import format_for
from snstat.cli.help import Explained
from snstat.cli.options import output_option
from snstat.cli.output import STDOUT, render, text_output, wrote
from snstat.cli.parameters import Value
from snstat.layers.registry import KINDS
from snstat.report.words import count
from snstat.values.kinds import Name

EXAMPLES = """\b
Examples:
  snstat layers
  snstat layers dense"""


@click.command(cls=Explained, epilog=EXAMPLES)
@click.argument("kind", type=Value(Name(KINDS)), required=False, metavar="[KIND]")
@output_option
@version_option
def command(kind: str | None, output: str | None) -> None:
    """List the kinds of layers of network files, or explain one of them.

    The page of a KIND says what it computes, what theory knows of it, and its keys with their
    values, bounds and defaults.
    """
    format_for(output, None, ("markdown",))
    with text_output(output) as write:
        file = output not in (None, STDOUT)
        write([_list(file=file) if kind is None else _page(kind, file=file)])
    wrote(output, count(len(KINDS), "kind") if kind is None else f"page of {kind}")


def _list(*, file: bool) -> str:
    from snstat.layers.words import words_of
    from snstat.report.kinds import print_kinds

    kinds = [words_of(name) for name in KINDS]
    return render(lambda console: print_kinds(kinds, console), file=file)


def _page(kind: str, *, file: bool) -> str:
    from snstat.layers.words import words_of
    from snstat.report.kinds import kind_page
    from snstat.report.rules import print_page

    page = kind_page(words_of(kind))
    return render(lambda console: print_page(page, console), file=file)
