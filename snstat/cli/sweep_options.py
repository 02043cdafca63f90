"""The options of `snstat sweep`."""

from __future__ import annotations

from typing import Any

import click

from snstat.cli.modules import Argument
from snstat.cli.options import (
    VERBOSITY_OPTIONS,
    apply,
    declared_options,
    format_option,
    output_option,
)
from snstat.cli.parameters import Type, Value
from snstat.errors import InvalidValueError
from snstat.network.run_settings import RunSettings
from snstat.network.settings import NetworkSettings
from snstat.sweeps.cell import ALL
from snstat.sweeps.values import ROWS, SEEDS, THREADS
from snstat.values.option import options_of

FORMATS = ("table", "csv", "markdown")


class Over(Type):
    """An axis: width=64,256,1024 or weight-gain=0.8:1.2:9."""

    name = "axis"

    def read(self, name: str, text: str) -> tuple[str, str]:
        """Return the name of what is swept, and the text of its values."""
        key, equals, values = (part.strip() for part in text.partition("="))
        if not (key and equals and values):
            bound = "NAME=VALUES, such as width=64,256,1024 or weight-gain=0.8:1.2:9"
            raise InvalidValueError(name, text, bound)
        return key, values


def sweep_options(function: Any) -> Any:
    """Add the options that say what the cells are."""
    options = [
        click.option(
            "--over",
            type=Over(),
            multiple=True,
            metavar="NAME=VALUES",
            help="Sweep over an option, a parameter of the network file or an argument of the"
            " function: values with commas, or FROM:TO:STEPS, with :log for equal ratios."
            " Repeatable; every combination is a cell.",
        ),
        click.option(
            "--zip",
            "zipped",
            multiple=True,
            metavar="NAME,NAME",
            help="These options change together instead of being combined; repeatable.",
        ),
        click.option(
            "--seeds",
            type=Value(SEEDS),
            metavar="N",
            help="So many seeds of every combination, from --seed on.",
        ),
        click.option(
            "--theory", is_flag=True, help="Predict only: nothing is drawn, and no seed matters."
        ),
        click.option(
            "--layers",
            type=Value(ROWS),
            show_default=ALL,
            help="Rows that are kept of each cell; log is 0, 1, 2, 4, ... and the last.",
        ),
        click.option(
            "--dask",
            metavar="ADDRESS",
            help="Run the cells on the workers of this Dask scheduler, such as tcp://host:8786.",
        ),
        click.option(
            "--dry-run",
            is_flag=True,
            help="Say how many cells there are, how long they take, how much memory; run none.",
        ),
    ]
    return apply(function, options, group="Sweep")


def run_options(function: Any) -> Any:
    """Add the options that all cells have."""
    network = options_of(NetworkSettings)
    sampled = declared_options(RunSettings, "Sampling", leave_out={*network, "threads"})(function)
    threads = click.option(
        "--threads",
        type=Value(THREADS),
        metavar="N",
        show_default="the cores this process may use",
        help="Cells that run at once, each on one thread.",
    )
    of_network = declared_options(NetworkSettings, "Network")
    return of_network(apply(sampled, [threads], "Sampling"))


def set_option(function: Any) -> Any:
    """Add the option that sets what all cells have."""
    option = click.option(
        "--set",
        "set",
        type=Argument(),
        multiple=True,
        metavar="NAME=VALUE",
        help="A parameter of the network file, or an argument of the function, in all cells;"
        " repeatable.",
    )
    return apply(function, [option], group="Network")


def result_options(function: Any) -> Any:
    """Add the options that say where the result goes, and in what form."""
    options = [format_option(FORMATS, "table"), output_option, *VERBOSITY_OPTIONS]
    return apply(function, options, group="Output")
