"""Pictures of the tables of sweeps, on the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any, TypeVar

import click

from snstat.cli.options import apply, refuse_others
from snstat.cli.parameters import Type, Value
from snstat.sweeps.stores import SUFFIXES
from snstat.sweeps.subject import OF_OTHERS
from snstat.values.kinds import Name

Function = TypeVar("Function", bound=Callable[..., Any])
PARTS = ("x", "y", "hue", "col")
# The options of a picture of a sweep.
OWN = {"saved", "output", "form", "style", "size", "dpi", "caption", *PARTS}


class Column(Type):
    """The name of an option or of a statistic, with - or _."""

    name = "name"

    def read(self, name: str, text: str) -> str:  # noqa: ARG002  # see Type
        """See Type."""
        return text.strip().replace("-", "_")


def sweep_parts(function: Function) -> Function:
    """Add the options that say what a picture of a sweep shows where."""
    helps = {
        "x": "Of a sweep's file: the option along the axis, or layer.",
        "y": "The statistic: of the last layer, or the gradient at the input.",
        "hue": "The option that colours show.",
        "col": "The option that panels show.",
    }
    shown = {"y": "second_moment"}
    options = [
        click.option(
            f"--{name}",
            type=Value(Name(OF_OTHERS)) if name == "y" else Column(),
            metavar="NAME",
            show_default=shown.get(name, "what the sweep is over"),
            help=text,
        )
        for name, text in helps.items()
    ]
    return apply(function, options, group="Picture")


def is_table(paths: Sequence[str]) -> bool:
    """Return whether the files of a command line are the table of a sweep."""
    return any(PurePath(path).suffix.lower() in SUFFIXES for path in paths)


def sweep_figure(ctx: click.Context, paths: Sequence[str]) -> Any:
    """Return the figure of the table of a sweep that a command line asks for."""
    from snstat.report import figures
    from snstat.sweeps.reading import load_sweep

    if len(paths) > 1:
        raise click.UsageError(f"{paths[0]} is the table of a sweep; give it alone")
    refuse_others(ctx, OWN, "beside the table of a sweep")
    given = {name: ctx.params[name] for name in PARTS if ctx.params[name] is not None}
    choice = figures.Choice(**given)
    # The second moment of a cell, which all have, tells theory alone from what is not finite.
    sweep = load_sweep(paths[0], statistics={choice.y, "second_moment"})
    figures.load_matplotlib()
    return figures.draw_sweep(
        sweep,
        choice,
        ctx.params["style"],
        caption=ctx.params["caption"],
        size=ctx.params["size"],
    )


def refuse_parts(ctx: click.Context) -> None:
    """Raise UsageError for the options of pictures of sweeps beside anything else."""
    for name in PARTS:
        if ctx.params[name] is not None:
            raise click.UsageError(f"--{name} is for the table of a sweep; give FILE.csv")
