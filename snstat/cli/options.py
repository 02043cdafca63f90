"""The options that several commands share, declared once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from snstat.activation import ACTIVATIONS
from snstat.plan import DEFAULT_WIDTH, DTYPES, SAMPLERS
from snstat.stack import INITIALISERS

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]

ACTIVATION = click.Choice(list(ACTIVATIONS))
FORMATS = ("table", "json", "csv", "markdown")
DEFAULT_DEPTH = 64
BESIDE_SAVED = "beside a saved run: the file says what it was"


def apply(
    function: Function, options: Sequence[Decorator[Any]], group: str | None = None
) -> Function:
    """Return `function` with `options`, listed in help in the order given, under `group`."""
    for option in reversed(options):
        function = option(function)
        if group is not None:
            function.__click_params__[-1].group = group  # type: ignore[attr-defined]
    return function


activation_option = click.option(
    "-a",
    "--activation",
    "activations",
    type=ACTIVATION,
    multiple=True,
    default=("selu",),
    show_default="selu",
    metavar="NAME",
    help=f"Activation, repeatable, one run for each: {', '.join(ACTIVATIONS)}.",
)


# What the network is.
NETWORK_OPTIONS: list[Decorator[Any]] = [
    activation_option,
    click.option(
        "-d",
        "--depth",
        type=int,
        default=DEFAULT_DEPTH,
        show_default=True,
        metavar="N",
        help="Layers.",
    ),
    click.option(
        "-w",
        "--width",
        type=int,
        default=DEFAULT_WIDTH,
        show_default=True,
        metavar="N",
        help="Units in every layer, the input included.",
    ),
    click.option(
        "--init",
        type=click.Choice(list(INITIALISERS)),
        metavar="NAME",
        show_default="he_normal for relu and leaky_relu, else lecun_normal",
        help=f"Initialiser: {', '.join(INITIALISERS)}.",
    ),
    click.option(
        "--weight-gain",
        type=float,
        metavar="G",
        show_default="from --init",
        help="Weights have variance G²/fan_in whatever the scheme.",
    ),
    click.option(
        "--bias-std",
        type=float,
        metavar="S",
        show_default="0, or from --init torch_default",
        help="Biases are N(0, S²).",
    ),
]
# How it is simulated, and what it is fed with.
SAMPLING_OPTIONS: list[Decorator[Any]] = [
    click.option(
        "-b",
        "--batch",
        type=int,
        metavar="N",
        show_default="64, or all of fewer samples in a file",
        help="Samples per trial.",
    ),
    click.option(
        "-t",
        "--trials",
        type=int,
        default=8,
        show_default=True,
        metavar="N",
        help="Independent networks.",
    ),
    click.option(
        "-s",
        "--seed",
        type=int,
        default=0,
        show_default=True,
        metavar="N",
        help="Reproduces everything.",
    ),
    click.option(
        "--inputs",
        default="normal",
        show_default=True,
        metavar="KIND",
        help="normal, uniform, or a .npy/.npz file of shape (samples, width).",
    ),
    click.option(
        "--input-mean",
        type=float,
        metavar="M",
        show_default="0",
        help="Mean of the drawn inputs.",
    ),
    click.option(
        "--input-std",
        type=float,
        metavar="S",
        show_default="1",
        help="Standard deviation of the drawn inputs.",
    ),
    click.option(
        "--dtype",
        type=click.Choice(DTYPES),
        default="float32",
        show_default=True,
        help="Precision of the simulated network; statistics are always float64.",
    ),
    click.option(
        "--sampler",
        type=click.Choice(SAMPLERS),
        default="auto",
        show_default=True,
        help="Draw all weights, or simulate the same network without them; auto takes the"
        " cheaper one that is exact.",
    ),
    click.option(
        "--backward/--no-backward",
        default=False,
        show_default=True,
        help="Measure gradient too, in a second pass.",
    ),
    click.option(
        "--threads",
        type=int,
        metavar="N",
        show_default="the cores this process may use",
        help="Threads; results do not depend on them beyond rounding.",
    ),
]


def stack_options(function: Function) -> Function:
    """Add the options that say what the network is and how it is sampled."""
    return apply(apply(function, SAMPLING_OPTIONS, "Sampling"), NETWORK_OPTIONS, "Network")


def output_options(function: Function) -> Function:
    """Add the options that say in what form the result goes where."""
    return apply(
        function,
        [
            click.option(
                "-f",
                "--format",
                "form",
                type=click.Choice(FORMATS),
                default="table",
                show_default=True,
                help="Form of the result.",
            ),
            output_option,
        ],
    )


output_option = click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write there instead of standard output ('-').",
)
layers_option = click.option(
    "--layers",
    default="log",
    show_default=True,
    metavar="WHICH",
    help="Rows of table and markdown: log, all, or a list such as 0,1,8,64.",
)
columns_option = click.option(
    "--columns",
    metavar="NAMES",
    show_default="what fits",
    help="Statistics of table and markdown: all, or a list such as mean,cosine,kurtosis.",
)


def refuse_others(ctx: click.Context, own: Collection[str], where: str = BESIDE_SAVED) -> None:
    """Raise UsageError if an option other than `own` is given where it would be ignored."""
    for parameter in ctx.command.params:
        name = parameter.name or ""
        given = ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
        if given and name not in own:
            option = max(parameter.opts, key=len)
            raise click.UsageError(f"{option} has no place {where}; leave it out")
