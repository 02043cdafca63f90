"""Given weights on the command line: the file, and which of its tensors are meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from snstat.cli.options import apply, refuse_others
from snstat.cli.parameters import FileName, Value
from snstat.network.settings import NetworkSettings
from snstat.results.network import AUTO
from snstat.sources.weights.layouts import LAYOUT
from snstat.values.largest import HELP, MAX_BYTES, SHOWN
from snstat.values.option import options_of

if TYPE_CHECKING:
    from snstat.sources.weights.chain import Chain

Function = TypeVar("Function", bound=Callable[..., Any])
BESIDE_WEIGHTS = "beside --weights, which are the network"
# The options of a stack that say nothing of weights.
HELD = {"activation", "last"}


max_bytes_option = click.option(
    "--max-bytes", type=Value(MAX_BYTES), metavar="N", show_default=SHOWN, help=HELP
)


def weights_options(function: Function) -> Function:
    """Add the options that name a file of weights, and tensors of it."""
    options = [
        click.option(
            "--weights",
            type=FileName(),
            metavar="FILE",
            help="The matrices of this file are the network: what snstat weights reads.",
        ),
        click.option(
            "--only",
            multiple=True,
            metavar="GLOB",
            help="Tensors of --weights whose names match, in the order of these; repeatable.",
        ),
        click.option(
            "--layout",
            type=Value(LAYOUT),
            show_default="jax for what is called kernel, else torch",
            help="Of --weights: torch for shapes (out, in), jax or keras for (in, out).",
        ),
        max_bytes_option,
    ]
    return apply(function, options, group="Network")


def chain_of(
    ctx: click.Context,
    weights: str | None,
    only: Sequence[str],
    layout: str | None,
    max_bytes: int | None,
) -> Chain | None:
    """Return the network that a file of weights is, None without one.

    Raises UsageError for options that describe another network, and InputFileError for a file that
    is none.
    """
    if weights is None:
        about = ("--only", only), ("--layout", layout), ("--max-bytes", max_bytes)
        for name, value in about:
            if value:
                raise click.UsageError(f"{name} cannot be used without --weights; leave it out")
        return None
    stack = options_of(NetworkSettings).keys() - HELD
    own = {parameter.name or "" for parameter in ctx.command.params} - stack - {"file", "set"}
    refuse_others(ctx, own, BESIDE_WEIGHTS)
    from snstat.sources.weights.chain import read_chain

    return read_chain(weights, only, layout or AUTO, max_bytes)
