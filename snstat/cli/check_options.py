"""What `snstat check` is asked for: the bounds of the rules, and which options go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from snstat.checks.bounds import NUMBER_FORMATS
from snstat.cli.check_formats import FORMATS
from snstat.cli.options import (
    REAL,
    VERBOSITY_OPTIONS,
    WHOLE,
    Decorator,
    apply,
    format_option,
    output_option,
    several_option,
)
from snstat.cli.parameters import File, Name, Type, begins
from snstat.errors import SnstatError


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


# Options that say which stack: beside them no configuration is looked at.
STACK = {
    "activation",
    "depth",
    "width",
    "widths",
    "last",
    "init",
    "weight_gain",
    "weight_std",
    "bias_std",
    "batch",
    "inputs",
    "input_mean",
    "input_std",
    "standardize",
    "flatten",
    "dtype",
}
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
}


# Options that take lists, which are no several runs.
LISTS = ("select", "ignore")

CHECK_OPTIONS: list[Decorator[Any]] = [
    click.option(
        "--select",
        type=Code(),
        multiple=True,
        metavar="CODE",
        help="Only these rules, or SN2 for all 2xx.",
    ),
    click.option(
        "--ignore", type=Code(), multiple=True, metavar="CODE", help="Without these rules."
    ),
    click.option(
        "--only",
        type=CheckName(),
        multiple=True,
        metavar="NAME",
        help="Only the checks of these names.",
    ),
    click.option(
        "--baseline",
        type=File(),
        metavar="FILE",
        help="Compare with this run, layer by layer.",
    ),
    click.option(
        "--write-baseline",
        type=File(),
        metavar="FILE",
        help="Save what was run, to compare with later.",
    ),
    click.option(
        "--same-seed", is_flag=True, help="The baseline's own networks, equal to the last bit."
    ),
    click.option(
        "--config",
        type=File(),
        metavar="FILE",
        help="Run the checks of this pyproject.toml or snstat.toml.",
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
    number = {"type": REAL, "metavar": "X"}
    options: list[tuple[str, Any, str, str]] = [
        ("--depth-limit", {"type": WHOLE, "metavar": "N"}, "the depth",
         "Layers that the forward signal has to survive."),
        ("--second-moment-min", number, "0.005",
         "Least second moment, times the smaller of 1 and the input's."),
        ("--second-moment-max", number, "100",
         "Largest second moment, times the larger of 1 and the input's."),
        ("--target-mean", number, "0 for selu", "Mean to be reached."),
        ("--target-variance", number, "1 for selu", "Variance to be reached."),
        ("--target-tolerance", number, "0.1", "Distance allowed, in units of the target."),
        ("--target-layer", {"type": WHOLE, "metavar": "N"}, "the last",
         "Layer by which the target is to be reached."),
        ("--gradient-decades", number, "6",
         "Powers of ten that squared gradients may grow or shrink by."),
        ("--cosine-max", number, "0.98", "Cosine at which inputs count as alike."),
        ("--separation-max", number, "1.1", "Factor per layer by which inputs may separate."),
        ("--dead-max", number, "0.5", "Share of units that may be dead."),
        ("--saturated-max", number, "0.5", "Share of units that may be saturated."),
        ("--fluctuation-max", number, "1",
         "Standard deviation between networks of the log second moment."),
        ("--min-effect", number, "0.01", "Smallest relative difference from a baseline."),
    ]  # fmt: skip
    return apply(
        function,
        [
            several_option(
                "--number-format",
                type=Name(NUMBER_FORMATS),
                show_default="float32",
                help="Format whose range numbers must not leave.",
            ),
            *(
                several_option(name, show_default=default, help=text, **kind)
                for name, kind, default, text in options
            ),
        ],
        group="Bounds",
    )
