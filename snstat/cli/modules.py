"""Modules of PyTorch on the command line: their Python names, their options, their arguments."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from snstat.checks.settings import TRACED
from snstat.cli.networks import Setting, networks_of, parted
from snstat.cli.options import Decorator, declared_options, refuse_others
from snstat.cli.parameters import Type
from snstat.cli.variants import require_few
from snstat.errors import InvalidValueError
from snstat.experiment.trace_settings import TraceSettings, is_module, is_onnx
from snstat.network.run_settings import RunSettings
from snstat.values.option import options_of

if TYPE_CHECKING:
    from snstat.network.network import Network

Function = TypeVar("Function", bound=Callable[..., Any])
BESIDE_MODULE = "beside a module: it is no part of a trace"
# `--only` of other commands chooses checks.
ONLY = "only"
# Options of a module that take lists, which are no several runs.
MODULE_LISTS = ("input", "axes")


@dataclass(frozen=True, slots=True)
class ModuleTarget:
    """A module that a command line names: its Python name, the arguments of its function, and what
    to call it."""

    target: str
    set: dict[str, Any]
    name: str


class Argument(Type):
    """An argument of a function: width=16, sizes=[2,3], activation=gelu."""

    name = "argument"

    def read(self, name: str, text: str) -> tuple[str, Any]:
        """Return the name and the value, JSON or else text."""
        key, equals, value = (part.strip() for part in text.partition("="))
        if not (key.isidentifier() and equals and value):
            raise InvalidValueError(name, text, "NAME=VALUE, such as width=16")
        try:
            return key, json.loads(value)
        except (ValueError, RecursionError):
            return key, value


def module_options(function: Function) -> Function:
    """Add the options that only traced modules have."""
    shared = options_of(TraceSettings).keys() - TRACED
    add: Decorator[Function] = declared_options(TraceSettings, "Module", leave_out={*shared, ONLY})
    return add(function)


def is_target(path: str) -> bool:
    """Return whether an argument names something to trace, a module or an ONNX file."""
    return is_onnx(path) or (is_module(path) and not os.path.lexists(path))


def subjects_of(
    ctx: click.Context, paths: Sequence[str], settings: Sequence[Setting]
) -> tuple[list[Network | ModuleTarget | None], tuple[str, ...]]:
    """Return the networks, modules or stacks that a command line names, and its saved runs.

    Raises UsageError for options that do not belong to the subject.
    """
    targets = [path for path in paths if is_target(path)]
    if not targets:
        file, saved = parted(paths)
        return [*networks_of(ctx, file, settings)], saved
    if len(paths) > 1:
        raise click.UsageError(f"{targets[0]} is a module; give it alone")
    stack = options_of(RunSettings).keys() - options_of(TraceSettings).keys()
    own = {parameter.name or "" for parameter in ctx.command.params} - stack
    refuse_others(ctx, own, BESIDE_MODULE)
    changes = dict(settings)
    if len(changes) < len(settings):
        raise click.UsageError("--set is given twice for one argument; leave one of them out")
    require_few(prod(map(len, changes.values())))
    found: list[Network | ModuleTarget | None] = []
    for values in product(*changes.values()):
        chosen = dict(zip(changes, values, strict=True))
        several = [f"{key} {value}" for key, value in chosen.items() if len(changes[key]) > 1]
        found.append(ModuleTarget(targets[0], chosen, ", ".join([targets[0], *several])))
    return found, ()


def refuse_module_options(ctx: click.Context, besides: Container[str] = ()) -> None:
    """Raise UsageError for an option that only a traced module has, and none of `besides`."""
    for parameter in ctx.command.params:
        given = ctx.get_parameter_source(parameter.name or "") is not ParameterSource.DEFAULT
        if given and parameter.name in TRACED - {ONLY} and parameter.name not in besides:
            option = max(parameter.opts, key=len)
            words = "is about a traced module; name one, package.module:name, or leave it out"
            raise click.UsageError(f"{option} {words}")
