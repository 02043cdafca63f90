"""Help: -h names the options, --help explains them, both in groups and as wide as the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from textwrap import wrap
from typing import Any

import click

from snstat.cli.output import write_stdout

# Lines longer than this are hard to read, however wide the terminal is.
WIDEST = 110
OTHER = "Other"
# The groups of all commands, in the order in which they are listed.
ORDER = (
    "Sweep",
    "Picture",
    "Map",
    "Checks",
    "Network",
    "Module",
    "Sampling",
    "Bounds",
    "Output",
    OTHER,
)
# Text is wrapped with this in the place of hyphens, so that no line ends within --weight-gain.
_UNBROKEN = str.maketrans("-", "\u2011")
_HYPHENS = str.maketrans("\u2011", "-")
# What click makes of a default in words: brackets in brackets.
_WORDS = re.compile(r"\[default: \((.*?)\)\]$")


def _show(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Print the help that was asked for, and exit."""
    if value and not ctx.resilient_parsing:
        command = ctx.command
        text = command.get_help(ctx)
        if parameter.name == "h" and isinstance(command, Explained):
            text = command.get_short_help(ctx)
        write_stdout([f"{text}\n"])
        ctx.exit()


def _help_option(name: str, words: str) -> click.Option:
    return click.Option(
        [name], is_flag=True, is_eager=True, expose_value=False, callback=_show, help=words
    )


class _Formatter(click.HelpFormatter):
    """Wraps texts at spaces alone."""

    def write_text(self, text: str) -> None:
        super().write_text(text.translate(_UNBROKEN))

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        unbroken = [(term, text.translate(_UNBROKEN)) for term, text in rows]
        super().write_dl(unbroken, col_max, col_spacing)

    def getvalue(self) -> str:
        return super().getvalue().translate(_HYPHENS)


class _Context(click.Context):
    formatter_class = _Formatter


class Explained(click.Command):
    """A command with a short and a whole help."""

    context_class = _Context

    def __init__(self, *args: Any, **settings: Any) -> None:
        settings["add_help_option"] = False
        settings["context_settings"] = {"max_content_width": WIDEST}
        super().__init__(*args, **settings)
        self.help_options = [
            _help_option("-h", "Name the options and exit."),
            _help_option("--help", "Explain everything and exit."),
        ]

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return all parameters, those of help last."""
        return [*super().get_params(ctx), *self.help_options]

    def get_short_help(self, ctx: click.Context) -> str:
        """Return what -h prints."""
        formatter = ctx.make_formatter()
        self.format_usage(ctx, formatter)
        first, *_ = (self.help or "").split("\n\n")
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(" ".join(first.split()))
        self.format_names(ctx, formatter)
        self.format_epilog(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(self.more(ctx))
        return formatter.getvalue().rstrip("\n")

    def more(self, ctx: click.Context) -> str:
        """Return where a reader of the short help finds more."""
        return f"{ctx.command_path} --help explains every option."

    def format_names(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names of the options, group by group."""
        for group, options in self.groups(ctx):
            names = ", ".join("/".join(option.opts[:2]) for option in options)
            with formatter.section(group):
                indent = " " * formatter.current_indent
                width = formatter.width - formatter.current_indent
                for line in wrap(names, width, break_on_hyphens=False, break_long_words=False):
                    formatter.write(f"{indent}{line}\n")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the options mean, group by group."""
        for group, options in self.groups(ctx):
            with formatter.section(group):
                formatter.write_dl(meanings(ctx, options))

    def groups(self, ctx: click.Context) -> list[tuple[str, list[click.Option]]]:
        """Return the groups and their options, in the order in which they are listed."""
        groups: dict[str, list[click.Option]] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and not parameter.hidden:
                groups.setdefault(getattr(parameter, "group", OTHER), []).append(parameter)
        return sorted(groups.items(), key=lambda entry: ORDER.index(entry[0]))


def meanings(ctx: click.Context, options: Iterable[click.Option]) -> list[tuple[str, str]]:
    """Return the flags of options, and what they mean, with their defaults."""
    records = filter(None, (option.get_help_record(ctx) for option in options))
    return [(flags, _WORDS.sub(r"[default: \1]", text)) for flags, text in records]
