"""What `snstat check` is asked for: the bounds of the rules, and which options go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from snstat.checks.bounds import Bounds
from snstat.checks.settings import CheckSettings
from snstat.cli.check_formats import FORMATS
from snstat.cli.modules import MODULE_LISTS
from snstat.cli.options import (
    VERBOSITY_OPTIONS,
    Decorator,
    apply,
    declared_option,
    declared_options,
    format_option,
    output_option,
)
from snstat.cli.parameters import FileName, Type, begins
from snstat.errors import SnstatError
from snstat.network.run_settings import RunSettings
from snstat.values.option import options_of


class Code(Type):
    """Codes of rules, separated by commas."""

    name = "code"

    def completions(self, incomplete: str) -> list[CompletionItem]:
        """Return the codes that go on from what stands behind the last comma."""
        from snstat.checks.rules import catalogue

        before, comma, last = incomplete.rpartition(",")
        return [
            CompletionItem(before + comma + code, help=summary)
            for code, _, summary in catalogue()
            if code.startswith(last.upper())
        ]


class CheckName(Type):
    """The name of a check that a configuration declares."""

    name = "check"

    def completions(self, incomplete: str) -> list[CompletionItem]:
        """Return the names of this folder's configuration that go on from what is typed."""
        from snstat.checks.config import find_config, load_config

        try:
            path = find_config(Path())
            declared = [] if path is None else load_config(path)
        except SnstatError:
            return []
        return begins([check.name for check in declared], incomplete)


# Options that say which stack: beside them no configuration is looked at. The others say only how
# its networks are sampled.
STACK = set(options_of(RunSettings)) - {"trials", "seed", "sampler", "backward", "threads"}
# Options that hold for a saved run too, beside the bounds.
OVERALL = {
    "saved",
    "config",
    "form",
    "output",
    "only",
    "select",
    "ignore",
    "baseline",
    "write_baseline",
    "same_seed",
    "allow_code",
    "widths_flat",
}


# Options that take lists, which are no several runs.
LISTS = ("select", "ignore", *MODULE_LISTS)

_DECLARED = options_of(CheckSettings)
CHECK_OPTIONS: list[Decorator[Any]] = [
    declared_option("select", _DECLARED["select"], type=Code(), multiple=True),
    declared_option("ignore", _DECLARED["ignore"], type=Code(), multiple=True),
    click.option(
        "--only",
        type=CheckName(),
        multiple=True,
        metavar="NAME",
        help="Only the checks of these names.",
    ),
    declared_option("baseline", _DECLARED["baseline"]),
    click.option(
        "--write-baseline",
        type=FileName(),
        metavar="FILE",
        help="Save what was run, to compare with later.",
    ),
    declared_option("same_seed", _DECLARED["same_seed"]),
    click.option(
        "--config",
        type=FileName(),
        metavar="FILE",
        help="Run the checks of this pyproject.toml or snstat.toml.",
    ),
    click.option(
        "--allow-code",
        is_flag=True,
        help="Run the modules that a configuration names which was not named itself.",
    ),
    click.option(
        "--widths-flat",
        is_flag=True,
        help="Judge networks of several widths together: is the RMS of every layer the same?",
    ),
    click.option("--list-rules", is_flag=True, help="List the rules and exit."),
    click.option("--explain", type=Code(), metavar="CODE", help="Explain a rule and exit."),
]


def check_options(function: Any) -> Any:
    """Add the options that say what is checked, and against what."""
    return apply(function, CHECK_OPTIONS, group="Checks")


def check_output_options(function: Any) -> Any:
    """Add the options that say in what form the result goes where."""
    options = [format_option(FORMATS), output_option, *VERBOSITY_OPTIONS]
    return apply(function, options, group="Output")


def bound_options(function: Any) -> Any:
    """Add the bounds of the rules."""
    return declared_options(Bounds, "Bounds")(function)
