"""The options that several commands share, declared once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from snstat.activation import ACTIVATIONS, PARAMETERS
from snstat.cli.formats import FROM_NAME
from snstat.cli.output import Verbosity
from snstat.cli.parameters import ActivationName, File, Layers, Name, Real, Several, Whole, Widths
from snstat.experiment.plan import DTYPES, SAMPLERS
from snstat.network.initialisers import INITIALISERS
from snstat.network.stack import DEFAULT_DEPTH, DEFAULT_WIDTH
from snstat.values.names import ACTIVATION_ALIASES, INIT_ALIASES

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]

ACTIVATION = ActivationName(ACTIVATIONS, ACTIVATION_ALIASES)
WHOLE, REAL = Whole(), Real()
DRAWN_INPUTS = ("normal", "uniform")
FORMATS = ("table", "json", "csv", "markdown")
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


def several_option(*names: str, **settings: Any) -> Decorator[Any]:
    """Return an option that takes several values, each for a run of its own."""
    return click.option(*names, cls=Several, **settings)


activation_option = several_option(
    "-a",
    "--activation",
    type=ACTIVATION,
    default=("selu",),
    show_default="selu",
    metavar="NAME",
    help=f"Activation: {', '.join(ACTIVATIONS)}. A parameter follows a colon, as in "
    f"leaky_relu:0.2 or sine:30: of {', '.join(PARAMETERS)}.",
)


# What the network is.
NETWORK_OPTIONS: list[Decorator[Any]] = [
    activation_option,
    several_option(
        "-d",
        "--depth",
        type=WHOLE,
        show_default=str(DEFAULT_DEPTH),
        metavar="N",
        help="Layers.",
    ),
    several_option(
        "-w",
        "--width",
        type=WHOLE,
        show_default=str(DEFAULT_WIDTH),
        metavar="N",
        help="Units in every layer, the input included.",
    ),
    several_option(
        "--widths",
        type=Widths(),
        commas=False,
        metavar="N,N,…",
        show_default="depth and width",
        help="Units of the input and of each layer, instead of depth and width: 784,512*3,10, where"
        " 512*3 stands for three layers of 512.",
    ),
    several_option(
        "--last",
        type=ACTIVATION,
        metavar="NAME",
        show_default="as the other layers",
        help="Activation of the last layer: linear for a read-out without one.",
    ),
    several_option(
        "--init",
        type=Name(INITIALISERS, INIT_ALIASES),
        metavar="NAME",
        show_default="he_normal for relu and leaky_relu, else lecun_normal",
        help=f"Initialiser: {', '.join(INITIALISERS)}. None keeps the signal of gelu and silu."
        " --weight-gain 1.468 and 1.559 keep their second moment at 1, a fixed point that repels:"
        " narrow or deep networks leave it, so it is named in the heading and not the default.",
    ),
    several_option(
        "--weight-gain",
        type=REAL,
        metavar="G",
        show_default="from --init",
        help="Weights have variance G²/fan_in whatever the scheme; an orthogonal matrix is"
        " multiplied by G.",
    ),
    several_option(
        "--weight-std",
        type=REAL,
        metavar="S",
        help="Weights have standard deviation S, instead of a gain; truncated ones are cut at two"
        " of it and not rescaled, as Keras' TruncatedNormal(stddev=S).",
    ),
    several_option(
        "--bias-std",
        type=REAL,
        metavar="S",
        show_default="0, or from --init torch_default",
        help="Biases are N(0, S²).",
    ),
]
# How it is simulated, and what it is fed with.
SAMPLING_OPTIONS: list[Decorator[Any]] = [
    several_option(
        "-b",
        "--batch",
        type=WHOLE,
        metavar="N",
        show_default="64, or all of fewer samples in a file",
        help="Samples per trial.",
    ),
    several_option(
        "-t",
        "--trials",
        type=WHOLE,
        default=(8,),
        show_default="8",
        metavar="N",
        help="Independent networks.",
    ),
    several_option(
        "-s",
        "--seed",
        type=WHOLE,
        default=(0,),
        show_default="0",
        metavar="N",
        help="Reproduces everything.",
    ),
    several_option(
        "--inputs",
        type=File(DRAWN_INPUTS),
        default=("normal",),
        show_default="normal",
        metavar="KIND",
        help="normal, uniform, or a file of shape (samples, width): FILE.npy, FILE.npz or"
        " FILE.npz:name.",
    ),
    several_option(
        "--input-mean",
        type=REAL,
        metavar="M",
        show_default="0",
        help="Mean of the drawn inputs.",
    ),
    several_option(
        "--input-std",
        type=REAL,
        metavar="S",
        show_default="1",
        help="Standard deviation of the drawn inputs.",
    ),
    click.option(
        "--standardize",
        is_flag=True,
        help="Of data: subtract the mean and divide by the standard deviation of the whole file.",
    ),
    click.option(
        "--flatten",
        is_flag=True,
        help="Of data: make samples of more than one axis, such as images, vectors.",
    ),
    several_option(
        "--dtype",
        type=Name(DTYPES),
        default=("float32",),
        show_default="float32",
        help="Precision of the simulated network; statistics are always float64.",
    ),
    several_option(
        "--sampler",
        type=Name(SAMPLERS),
        default=("auto",),
        show_default="auto",
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
        type=WHOLE,
        metavar="N",
        show_default="the cores this process may use",
        help="Threads; results do not depend on them beyond rounding.",
    ),
]


def stack_options(function: Function) -> Function:
    """Add the options that say what the network is and how it is sampled."""
    return apply(apply(function, SAMPLING_OPTIONS, "Sampling"), NETWORK_OPTIONS, "Network")


def format_option(forms: Sequence[str], default: str = FROM_NAME) -> Decorator[Any]:
    """Return the option that says in which of `forms` the result is written."""
    return click.option(
        "-f",
        "--format",
        "form",
        type=Name(forms),
        show_default=default,
        help="Form of the result.",
    )


output_option = click.option(
    "-o",
    "--output",
    type=File(),
    metavar="FILE",
    help="Write there instead of standard output ('-').",
)


def _verbosity(_ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Set how much is said."""
    if not value:
        return
    level = -1 if parameter.name == "quiet" else 1
    if Verbosity.level == -level:
        raise click.UsageError("--quiet and --verbose exclude each other; leave one out")
    Verbosity.level = level


VERBOSITY_OPTIONS: list[Decorator[Any]] = [
    click.option(
        "-q",
        "--quiet",
        is_flag=True,
        expose_value=False,
        callback=_verbosity,
        help="Say less: no notices and no progress.",
    ),
    click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        callback=_verbosity,
        help="Say more, on standard error: what is run, and how long it takes.",
    ),
]


def verbosity_options(function: Function) -> Function:
    """Add the options that say how much is said."""
    return apply(function, VERBOSITY_OPTIONS, group="Output")


def output_options(function: Function) -> Function:
    """Add the options that say in what form the result goes where."""
    return apply(
        function, [format_option(FORMATS), output_option, *VERBOSITY_OPTIONS], group="Output"
    )


def layers_option(function: Function) -> Function:
    """Add the option that says which layers are shown."""
    option = click.option(
        "--layers",
        type=Layers(),
        default="log",
        show_default=True,
        metavar="WHICH",
        help="Rows of table and markdown: log, all, or numbers and ranges such as 0,1,8-16,last.",
    )
    return apply(function, [option], group="Output")


def columns_option(function: Function) -> Function:
    """Add the option that says which statistics are shown."""
    option = click.option(
        "--columns",
        metavar="NAMES",
        show_default="what fits",
        help="Statistics of table and markdown: all, or a list such as mean,cosine,kurtosis.",
    )
    return apply(function, [option], group="Output")


def keep_trials_option(function: Function) -> Function:
    """Add the option that keeps what every trial measured."""
    option = click.option(
        "--keep-trials",
        is_flag=True,
        help="Write what every trial measured too: with --format json only.",
    )
    return apply(function, [option], group="Output")


def refuse_others(ctx: click.Context, own: Collection[str], where: str = BESIDE_SAVED) -> None:
    """Raise UsageError if an option other than `own` is given where it would be ignored."""
    for parameter in ctx.command.params:
        name = parameter.name or ""
        given = ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
        if given and parameter.expose_value and name not in own:
            option = max(parameter.opts, key=len)
            raise click.UsageError(f"{option} has no place {where}; leave it out")
