"""`snstat weights`: what the weights of a file are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from snstat.cli import version_option
from snstat.cli.formats import format_for
from snstat.cli.given import max_bytes_option
from snstat.cli.help import Explained
from snstat.cli.options import FORMATS, output_options
from snstat.cli.output import STDOUT, Bar, render, shows_progress, text_output, wrote
from snstat.cli.parameters import FileName, Value
from snstat.errors import InputFileError
from snstat.report.words import count
from snstat.results.network import AUTO
from snstat.sources.weights.layouts import LAYOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from snstat.results import Weights

EXAMPLES = """\b
Examples:
  snstat weights model.safetensors
  snstat weights model.safetensors.index.json --only '*.attention.*'
  snstat weights checkpoint.pt --format json
  snstat weights params.npz --layout jax"""


@click.command(cls=Explained, epilog=EXAMPLES)
@click.argument("file", type=FileName(), metavar="FILE")
@click.option(
    "--layout",
    type=Value(LAYOUT),
    default=AUTO,
    show_default="jax for what is called kernel, else torch",
    help="Where shapes have inputs and outputs: torch (out, in, ...), jax or keras (..., in, out).",
)
@click.option(
    "--only",
    multiple=True,
    metavar="GLOB",
    help="Only tensors whose names match, such as 'layers.*.weight'; repeatable.",
)
@max_bytes_option
@click.option(
    "--columns",
    metavar="NAMES",
    show_default="what fits",
    help="Columns of table and markdown: all, or a list such as fan_in,schemes,weight_sum.",
)
@output_options
@version_option
def command(
    file: str,
    layout: str,
    only: tuple[str, ...],
    max_bytes: int | None,
    columns: str | None,
    form: str | None,
    output: str | None,
) -> None:
    """Say what the weights of a file are: which initialiser drew each matrix, and how its rows are.

    FILE is .safetensors or its .index.json, .npz, .npy, a PyTorch state dict, .onnx, or one that
    Equinox writes. Nothing in it is run. Of each tensor with two or more axes, the table shows the
    fan-in; the gain G, where weights have mean square G²/fan_in; every named initialiser that fits,
    with the logarithm of the variance over that of the scheme in standard errors (z); sums and
    square sums of the rows (ω and τ of the SNN paper: median and range), and the share of rows in
    the domain of its theorem 1; the largest singular value; and rows that are 0, duplicates, or not
    finite.
    """
    form = format_for(output, form, FORMATS) or "table"
    from snstat.experiment.trace_settings import is_module
    from snstat.report.weights_table import parse_columns
    from snstat.sources.weights.read import weights

    if is_module(file) and not os.path.lexists(file):
        remedy = f"trace a module with: snstat trace {file}"
        raise InputFileError(file, "is the name of a module, and no file of weights", remedy)
    chosen = () if columns is None else parse_columns(columns)
    with text_output(output) as write:
        with _progress(file) as progress:
            found = weights(file, layout=layout, only=only, max_bytes=max_bytes, progress=progress)
        write(_pieces(found, form, chosen, file=output not in (None, STDOUT)))
    wrote(output, count(len(found.tensors) + len(found.skipped), "tensor"))


@contextmanager
def _progress(file: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function to call before each tensor."""
    bar = Bar(f"reading {file}", 1.0, "{task.percentage:.0f} %")

    def update(number: int, total: int) -> None:
        if shows_progress():
            bar.update(number / total)

    try:
        yield update
    finally:
        bar.stop()


def _pieces(found: Weights, form: str, columns: tuple[str, ...], *, file: bool) -> Iterable[str]:
    from snstat.report import weights_table

    if form == "json":
        from snstat.files.weights_form import weights_to_json

        return [weights_to_json(found)]
    if form == "csv":
        return weights_table.weights_to_csv(found)
    if form == "markdown":
        return [weights_table.weights_to_markdown(found, columns)]
    return [render(lambda console: weights_table.print_weights(found, console, columns), file=file)]
