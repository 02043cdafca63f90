"""`snstat plot`: draw a saved run, or one made on the spot, to a picture file."""

from __future__ import annotations

from typing import Any

import click

from snstat.atomic import whole_file
from snstat.cli import version_option
from snstat.cli.formats import PICTURES as FORMATS
from snstat.cli.formats import format_for
from snstat.cli.options import (
    REAL,
    output_option,
    refuse_others,
    stack_options,
    verbosity_options,
)
from snstat.cli.output import STDOUT, write_stdout_binary, wrote
from snstat.cli.parameters import File, Layers, Name
from snstat.cli.subject import Subject
from snstat.errors import InvalidValueError
from snstat.report.selection import parse_layers

KINDS = ("trajectory", "map", "histogram", "correlation")
STYLES = ("light", "dark")
# Options that do not say what the network is.
OWN_OPTIONS = {
    "saved",
    "kind",
    "output",
    "form",
    "style",
    "weight_sum",
    "weight_square_sum",
    "layers",
}
MAP_ALONE = (
    "with --kind map: the unit map has no network, only --weight-sum and --weight-square-sum"
)

EXAMPLES = """\b
Examples:
  snstat plot -o trajectory.png
  snstat plot -a selu -a relu -a tanh --kind trajectory -o compare.svg
  snstat plot --kind map -o map.pdf
  snstat propagate -f json | snstat plot - -o run.png
  snstat plot run.json --kind histogram --style dark -o - --format png > run.png"""


@click.command(epilog=EXAMPLES)
@click.argument("saved", nargs=-1, type=File(), metavar="[RUN.json ... | -]")
@click.option(
    "--kind",
    type=Name(KINDS),
    default="trajectory",
    show_default=True,
    help="What to draw.",
)
@output_option
@click.option(
    "--format",
    "form",
    type=Name(FORMATS),
    show_default="from the name of FILE",
    help="Format of the picture.",
)
@click.option("--style", type=Name(STYLES), default="light", show_default=True, help="Colours.")
@click.option(
    "--weight-sum",
    type=REAL,
    metavar="OMEGA",
    show_default="0",
    help="Sum of a unit's weights (map only).",
)
@click.option(
    "--weight-square-sum",
    type=REAL,
    metavar="TAU",
    show_default="1",
    help="Sum of their squares (map only).",
)
@click.option(
    "--layers",
    type=Layers(),
    default="log",
    show_default=True,
    metavar="WHICH",
    help="Ridges of a histogram: log, all, or numbers and ranges such as 0,1,8-16,last.",
)
@stack_options
@verbosity_options
@version_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    saved: tuple[str, ...],
    kind: str,
    output: str | None,
    form: str | None,
    style: str,
    weight_sum: float | None,
    weight_square_sum: float | None,
    layers: str,
    **options: Any,
) -> None:
    """Draw a saved result of `snstat propagate`, or a run with the same options made now.

    trajectory: mean and variance over depth with theory and target. map: the unit map on the
    (mean, variance) plane. histogram: activation densities layer by layer. correlation: the
    correlation map with its fixed points.
    """
    form = picture_format(output, form)
    if kind != "map":
        for name, value in (
            ("--weight-sum", weight_sum),
            ("--weight-square-sum", weight_square_sum),
        ):
            if value is not None:
                raise InvalidValueError(name, value, "left out", "it belongs to --kind map")
    if saved:
        refuse_others(ctx, OWN_OPTIONS)
    elif kind == "map":
        refuse_others(ctx, OWN_OPTIONS | {"activation"}, MAP_ALONE)
    subject = Subject(saved, options)
    if output == STDOUT:
        figure = draw(subject, kind, style, layers, weight_sum, weight_square_sum)
        write_stdout_binary(lambda file: _save(figure, file, form))
    elif output is not None:
        with whole_file(output, binary=True) as file:
            figure = draw(subject, kind, style, layers, weight_sum, weight_square_sum)
            _save(figure, file, form)
        wrote(output, f"{kind}, {form}" + (", of a partial run" if subject.partial else ""))
    if subject.partial:
        ctx.exit(130)


def picture_format(output: str | None, form: str | None) -> str:
    """Return the format of the picture, from --format or from the name of the file."""
    if output is None:
        raise click.UsageError(
            "nowhere to draw; add -o FILE.png (or .svg, .pdf), or -o - --format png"
        )
    chosen = format_for(output, form, FORMATS)
    if chosen is None and output == STDOUT:
        raise click.UsageError("-o - needs --format png, svg or pdf")
    if chosen is None:
        raise InvalidValueError("output", output, "named .png, .svg or .pdf", "or add --format")
    return chosen


def draw(
    subject: Subject,
    kind: str,
    style: str,
    layers: str,
    weight_sum: float | None,
    weight_square_sum: float | None,
) -> Any:
    """Return the figure asked for."""
    from snstat.report import figures

    if kind == "trajectory":
        from snstat.display import trajectory_options

        runs = subject.runs()
        return figures.draw_trajectory(runs, style, trajectory_options(runs))
    if kind == "correlation":
        from snstat.theory.pictures import correlation_curve

        curves = [
            correlation_curve(
                stack.activation, weight_gain=stack.weight_gain, bias_std=stack.bias_std
            )
            for stack in subject.stacks()
        ]
        return figures.draw_correlation(curves, style)
    stack = subject.stack(kind)
    if kind == "map":
        from snstat.theory.pictures import map_field

        field = map_field(
            stack.activation,
            weight_sum=0.0 if weight_sum is None else weight_sum,
            weight_square_sum=1.0 if weight_square_sum is None else weight_square_sum,
        )
        return figures.draw_map(field, style)
    return figures.draw_histogram(subject.densities(parse_layers(layers)), style)


def _save(figure: Any, file: Any, form: str) -> None:
    from snstat.report.figures import save_figure

    save_figure(figure, file, form)
