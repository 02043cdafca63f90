"""The options that several commands share, declared once."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Container, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from snstat.cli.formats import FROM_NAME
from snstat.cli.output import Verbosity
from snstat.cli.parameters import FileName, Layers, Several, Type, Value
from snstat.limits import MAX_INTEGER
from snstat.network.run_settings import RunSettings
from snstat.network.settings import NetworkSettings
from snstat.values.kinds import File, Flag, Kind, Name, Real, Texts, Whole
from snstat.values.option import Option, options_of

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]

WHOLE, REAL = Value(Whole(-MAX_INTEGER, MAX_INTEGER)), Value(Real(-math.inf, math.inf))
FORMATS = ("table", "json", "csv", "markdown")
# What the unit map takes instead of a network.
UNIT_OPTIONS: list[Decorator[Any]] = [
    click.option(
        "--weight-sum",
        type=REAL,
        metavar="OMEGA",
        show_default="0",
        help="Sum of the unit's weights (unit map).",
    ),
    click.option(
        "--weight-square-sum",
        type=REAL,
        metavar="TAU",
        show_default="1",
        help="Sum of their squares (unit map).",
    ),
]
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


def declared_option(name: str, declared: Option, default: Any = None, **own: Any) -> Decorator[Any]:
    """Return the click option of a declared one; `own` are arguments of click's.

    A list of texts is repeatable. An option of several values makes a run for each. Its value is a
    tuple, empty where it is not given and has no default; `default` is that of the dataclass.
    """
    flag = f"--{name.replace('_', '-')}"
    names = [f"-{declared.short}"] * bool(declared.short) + [flag]
    settings: dict[str, Any] = {"help": declared.help, **own}
    if isinstance(declared.kind, Flag):
        if declared.off:
            names = [f"{flag}/--{declared.off}"]
            return click.option(
                *names, **{"default": bool(default), "show_default": True, **settings}
            )
        return click.option(*names, is_flag=True, **settings)
    settings = {"type": typed(declared.kind), "metavar": declared.metavar or None, **settings}
    settings |= {"show_default": declared.shown or (None if default is None else _written(default))}
    if isinstance(declared.kind, Texts):
        settings |= {"multiple": True, "show_default": declared.shown or None}
    if not declared.several:
        return click.option(*names, **settings)
    if default is not None:
        settings["default"] = (default,)
    return click.option(*names, cls=Several, commas=declared.commas, **settings)


def declared_options(settings: type, group: str, leave_out: Container[str] = ()) -> Decorator[Any]:
    """Return what adds the options of a dataclass to a command, under `group` in help."""
    defaults = {entry.name: entry.default for entry in fields(settings)}
    options = [
        declared_option(name, declared, defaults[name])
        for name, declared in options_of(settings).items()
        if name not in leave_out
    ]
    return lambda function: apply(function, options, group)


def typed(kind: Kind) -> Type:
    """Return the click type of a kind of values."""
    return FileName(kind.names()) if isinstance(kind, File) else Value(kind)


def _written(default: Any) -> str:
    return f"{default:g}" if isinstance(default, float) else str(default)


activation_option = declared_option(
    "activation", options_of(NetworkSettings)["activation"], NetworkSettings().activation
)


def stack_options(function: Function) -> Function:
    """Add the options that say what the network is and how it is sampled."""
    network = options_of(NetworkSettings)
    sampled = declared_options(RunSettings, "Sampling", leave_out=network)(function)
    network_options: Decorator[Function] = declared_options(NetworkSettings, "Network")
    return network_options(sampled)


def format_option(forms: Sequence[str], default: str = FROM_NAME) -> Decorator[Any]:
    """Return the option that says in which of `forms` the result is written."""
    return click.option(
        "-f",
        "--format",
        "form",
        type=Value(Name(forms)),
        show_default=default,
        help="Form of the result.",
    )


output_option = click.option(
    "-o",
    "--output",
    type=FileName(),
    metavar="FILE",
    help="Write there instead of standard output ('-').",
)


def _verbosity(_ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Set the verbosity."""
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
    """Add the options that set the verbosity."""
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
        help="Rows of table and markdown: log, all, or numbers and ranges such as 0,1,8-16,last."
        " Of a network file also top (nothing within a residual), and names or patterns such as"
        " encoder.*.attention.",
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
        help="Write what every trial measured too, with --format json or csv.",
    )
    return apply(function, [option], group="Output")


def refuse_others(ctx: click.Context, own: Collection[str], where: str = BESIDE_SAVED) -> None:
    """Raise UsageError if an option other than `own` is given where it would be ignored."""
    for parameter in ctx.command.params:
        name = parameter.name or ""
        given = ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
        if given and parameter.expose_value and name not in own:
            option = max(parameter.opts, key=len)
            raise click.UsageError(f"{option} cannot be used {where}; leave it out")
