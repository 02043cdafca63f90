"""Network files on the command line, and the parameters that are set."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

import click

from snstat.cli.options import apply, refuse_others
from snstat.cli.output import notice
from snstat.cli.parameters import FileName, Type
from snstat.cli.variants import require_few
from snstat.errors import InputFileError, InvalidValueError
from snstat.experiment.trace_settings import is_module
from snstat.network.settings import NetworkSettings
from snstat.values import real, whole
from snstat.values.option import options_of

if TYPE_CHECKING:
    from snstat.network.network import Network
    from snstat.theory.start import Followed

Function = TypeVar("Function", bound=Callable[..., Any])
Setting = tuple[str, tuple[Any, ...]]
BESIDE_FILE = "beside a network file, whose parameters --set changes"
# How the name of a network file ends.
SUFFIX = ".toml"
# The values of a flag, as TOML writes them.
FLAGS = {"true": True, "false": False}


class SettingType(Type):
    """A parameter and its values: width=512, rate=1/3, activation=gelu,relu."""

    name = "setting"

    def read(self, name: str, text: str) -> Setting:
        """Return the name of the parameter and its values, which are separated by commas."""
        key, equals, values = (part.strip() for part in text.partition("="))
        found = [value.strip() for value in values.split(",")]
        if not (key and equals and all(found)):
            raise InvalidValueError(name, text, "NAME=VALUE, such as width=512")
        return key, tuple(dict.fromkeys(self._value(name, value) for value in found))

    def _value(self, name: str, text: str) -> bool | int | float | str:
        """Return true, false or a number where a value is one, else its text."""
        if text in FLAGS:
            return FLAGS[text]
        for number in (whole, real):
            try:
                return number(name, text)
            except InvalidValueError:
                continue
        return text


def file_argument(function: Function) -> Function:
    """Add the argument that names a network file."""
    return click.argument("file", type=FileName(), required=False, metavar="[FILE.toml]")(function)


def set_option(function: Function) -> Function:
    """Add the option that sets parameters of a network file."""
    option = click.option(
        "--set",
        "set",
        type=SettingType(),
        multiple=True,
        metavar="NAME=VALUE",
        help="Set a parameter of the network file; repeatable.",
    )
    return apply(function, [option], group="Network")


def parted(paths: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """Return the network file among the files of a command line, and the saved runs.

    Raises UsageError for both, and for several network files.
    """
    files = [path for path in paths if path.lower().endswith(SUFFIX)]
    if not files:
        return None, tuple(paths)
    if len(paths) > 1:
        raise click.UsageError(f"{files[0]} is a network file; give it alone")
    return files[0], ()


def networks_of(
    ctx: click.Context, file: str | None, settings: Sequence[Setting]
) -> list[Network | None]:
    """Return the networks that a command line names: one for each combination of the parameters'
    values, or None for the stack that options describe.

    Raises UsageError for options that describe a stack beside a file, and for parameters without a
    file; InputFileError for a file that describes no network.
    """
    changes = dict(settings)
    if len(changes) < len(settings):
        raise click.UsageError("--set is given twice for one parameter; leave one of them out")
    if file is None:
        if changes:
            words = "without a network file, whose parameters it sets"
            raise click.UsageError(f"--set cannot be used {words}")
        return [None]
    from snstat.network.network import Network

    if is_module(file) and not os.path.lexists(file):
        remedy = f"trace a module with: snstat trace {file}"
        raise InputFileError(file, "is the name of a module, and no network file", remedy)
    if file.lower().endswith(".json"):
        remedy = "judge a saved run with: snstat check RUN.json"
        raise InputFileError(file, "is JSON by its name, and network files are TOML", remedy)
    stack = options_of(NetworkSettings)
    own = {parameter.name or "" for parameter in ctx.command.params} - stack.keys()
    refuse_others(ctx, own, BESIDE_FILE)
    require_few(prod(map(len, changes.values())))
    found: list[Network | None] = []
    for values in product(*changes.values()):
        chosen = dict(zip(changes, values, strict=True))
        network = Network.load(file, set=chosen)
        several = [f"{key} {value}" for key, value in chosen.items() if len(changes[key]) > 1]
        if several:
            network = replace(network, name=", ".join([network.name, *several]))
        found.append(network)
    return found


def announce_theory(network: Network, of: Followed | None = None) -> None:
    """Say what theory of very many pairs of positions takes, or `of` samples of data.
    Raises InvalidValueError for more memory than there is."""
    from snstat.experiment.theory_room import theory_bytes, theory_takes
    from snstat.limits import require_memory

    require_memory(theory_bytes(network, of), "use a smaller grid")
    if words := theory_takes(network, of):
        notice(words)
