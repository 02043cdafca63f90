"""The options of `snstat plot` that say what is drawn, how, and where it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from snstat.cli.formats import PICTURES as FORMATS
from snstat.cli.options import REAL, UNIT_OPTIONS, VERBOSITY_OPTIONS, apply, output_option
from snstat.cli.parameters import Layers, Value
from snstat.cli.picture import KINDS, MAPS, Size
from snstat.results.statistic import BANDS
from snstat.values.kinds import Name

Function = TypeVar("Function", bound=Callable[..., Any])
STYLES = ("light", "dark")


def picture_options(function: Function) -> Function:
    """Add the options that say what is drawn, and how."""
    return apply(
        function,
        [
            click.option(
                "--kind",
                type=Value(Name(KINDS)),
                default="trajectory",
                show_default=True,
                metavar="KIND",
                help=f"What to draw: {', '.join(KINDS)}.",
            ),
            click.option(
                "--map",
                "chosen_map",
                type=Value(Name(MAPS)),
                default="unit",
                show_default=True,
                help="The map of --kind map: of one unit with given weights, or of random weights.",
            ),
            *UNIT_OPTIONS,
            click.option(
                "--layers",
                type=Layers(),
                default="log",
                show_default=True,
                metavar="WHICH",
                help="Ridges of a histogram, or layers whose positions or spectra are drawn: log,"
                " all, or numbers and ranges such as 0,1,8-16,last. Of a spectrum, log is 1, 8, 64,"
                " ... and the last; of positions, the layers that differ from the one before.",
            ),
            click.option(
                "--residuals/--no-residuals",
                default=False,
                show_default=True,
                help="A strip of z, (estimate - theory)/standard error, below each panel of a"
                " trajectory.",
            ),
            click.option(
                "--band",
                type=Value(Name(BANDS)),
                default=BANDS[0],
                show_default=True,
                help="Bands of a trajectory: one standard error to either side, or 5 to 95 % of the"
                " trials (all, of fewer than 20). A saved run needs its trials (--keep-trials).",
            ),
            click.option(
                "--caption/--no-caption",
                default=True,
                show_default=True,
                help="State network, trials and seed below the picture, or the parameters of theory"
                " alone.",
            ),
            click.option(
                "--style",
                type=Value(Name(STYLES)),
                default="light",
                show_default=True,
                help="Colours.",
            ),
            click.option(
                "--size",
                type=Size(),
                metavar="WxH",
                show_default="what the picture needs",
                help="Width and height in inches, such as 6.8x4.",
            ),
            click.option(
                "--dpi",
                type=REAL,
                default=200.0,
                show_default="200",
                metavar="N",
                help="Dots per inch of a PNG.",
            ),
        ],
        "Picture",
    )


def picture_output_options(function: Function) -> Function:
    """Add the options that say where the picture goes, in which format."""
    form = click.option(
        "-f",
        "--format",
        "form",
        type=Value(Name(FORMATS)),
        show_default="from the name of FILE",
        help="Format of the picture. html is an interactive page of a trajectory, with all that it"
        " needs in the file.",
    )
    return apply(function, [output_option, form, *VERBOSITY_OPTIONS], "Output")
