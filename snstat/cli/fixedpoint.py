"""`snstat fixedpoint`: the fixed points of mean and variance, and their properties."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from snstat.cli import version_option
from snstat.cli.formats import format_for
from snstat.cli.help import Explained
from snstat.cli.options import (
    FORMATS,
    REAL,
    UNIT_OPTIONS,
    WHOLE,
    Function,
    activation_option,
    apply,
    layers_option,
    output_options,
    refuse_others,
)
from snstat.cli.output import STDOUT, render, text_output, wrote
from snstat.cli.parameters import Several, Value
from snstat.cli.variants import variants
from snstat.limits import MAX_DEPTH
from snstat.network.settings import DEFAULT_DEPTH
from snstat.report.selection import LayerSelection, parse_layers
from snstat.results import FixedPointReport, TheoremResult
from snstat.values import integer
from snstat.values.kinds import Name

EXAMPLES = """\b
Examples:
  snstat fixedpoint
  snstat fixedpoint -a tanh --weight-gain 1.5 --bias-std 0.05
  snstat fixedpoint --map unit --weight-sum 0.05 --weight-square-sum 1.05
  snstat fixedpoint --target-mean 0 --target-variance 2
  snstat fixedpoint --from 0.5 3 --depth 32
  snstat fixedpoint --theorems"""

OPTIONS = [
    activation_option,
    click.option(
        "--map",
        "map_name",
        type=Value(Name(("ensemble", "unit"))),
        show_default="unit with --weight-sum, --weight-square-sum or a target, else ensemble",
        help="Random weights (mean field), or one unit with given weights (the SNN paper).",
    ),
    click.option(
        "--weight-gain",
        cls=Several,
        type=REAL,
        metavar="G",
        show_default="1.414 for relu and leaky_relu, else 1",
        help="Weights have variance G²/fan_in (ensemble map).",
    ),
    click.option(
        "--bias-std",
        cls=Several,
        type=REAL,
        metavar="S",
        show_default="0",
        help="Biases are N(0, S²) (ensemble map).",
    ),
    *UNIT_OPTIONS,
    click.option(
        "--target-mean",
        type=REAL,
        metavar="M",
        help="Solve SELU's alpha and lambda for the fixed point (M, V) of the unit map; one of the"
        " two alone leaves the other at 0 or 1.",
    ),
    click.option("--target-variance", type=REAL, metavar="V", help="See --target-mean."),
    click.option(
        "--from",
        "start",
        type=REAL,
        nargs=2,
        metavar="MEAN VARIANCE",
        help="Also list the trajectory of the map from this point.",
    ),
    click.option(
        "-d",
        "--depth",
        type=WHOLE,
        default=DEFAULT_DEPTH,
        show_default=True,
        metavar="N",
        help="Steps of the trajectory, and layers over which gradient growth is given.",
    ),
    click.option(
        "--theorems",
        is_flag=True,
        help="Verify the theorem domains of the SNN paper instead.",
    ),
]


BESIDE_THEOREMS = "beside --theorems: the theorems fix the map and its domains"


def fixedpoint_options(function: Function) -> Function:
    """Add the options of this command alone."""
    return apply(function, OPTIONS, group="Map")


@click.command(cls=Explained, epilog=EXAMPLES)
@fixedpoint_options
@output_options
@layers_option
@version_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    activation: Sequence[str],
    map_name: str | None,
    weight_gain: tuple[float, ...],
    bias_std: tuple[float, ...],
    weight_sum: float | None,
    weight_square_sum: float | None,
    target_mean: float | None,
    target_variance: float | None,
    start: tuple[float, float] | None,
    depth: int,
    theorems: bool,
    form: str | None,
    output: str | None,
    layers: str,
) -> None:
    """Find the fixed points of the mean and variance maps, with stability, gradient growth,
    correlations and depth scales; solve SELU for a target; verify the SNN paper's theorems.

    Several activations, gains and biases, repeated or with commas, make a report for each.
    """
    from snstat.theory.fixed_points import MAX_STEPS, analyse
    from snstat.theory.theorems import verify_theorems

    form = format_for(output, form, FORMATS) or "table"
    selection = parse_layers(layers) if _given(ctx, "layers") else None
    depth = integer("depth", depth, 1, MAX_DEPTH if start is None else MAX_STEPS)
    if selection is not None:
        selection.require_within(depth)
    if theorems:
        refuse_others(ctx, {"theorems", "form", "output"}, BESIDE_THEOREMS)
    elif selection is not None and start is None:
        raise click.UsageError("--layers chooses rows of a trajectory; add --from MEAN VARIANCE")
    with text_output(output) as write:
        if theorems:
            results = verify_theorems()
            write(theorem_pieces(results, form, file=output not in (None, STDOUT)))
        else:
            several = {"activation": activation, "weight_gain": weight_gain, "bias_std": bias_std}
            reports = [
                analyse(
                    **run.options,
                    map=map_name,
                    weight_sum=weight_sum,
                    weight_square_sum=weight_square_sum,
                    target_mean=target_mean,
                    target_variance=target_variance,
                    start=start,
                    depth=depth,
                )
                for run in variants(several)
            ]
            write(report_pieces(reports, form, selection, depth, file=output not in (None, STDOUT)))
    wrote(output, f"{'theorems' if theorems else 'fixed points'} as {form}")


def _given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT


def report_pieces(
    reports: Sequence[FixedPointReport],
    form: str,
    selection: LayerSelection | None,
    depth: int,
    *,
    file: bool,
) -> Iterable[str]:
    """Return the fixed points in the requested format, in pieces."""
    from snstat.files.fixedpoint_form import reports_to_json
    from snstat.report.fixedpoint import print_fixed_points
    from snstat.report.fixedpoint_text import fixed_points_to_csv, fixed_points_to_markdown

    if form == "json":
        return [reports_to_json(reports)]
    if form == "csv":
        return fixed_points_to_csv(reports)
    if form == "markdown":
        return [fixed_points_to_markdown(reports, selection, depth)]
    return [
        render(lambda console: print_fixed_points(reports, console, selection, depth), file=file)
    ]


def theorem_pieces(results: Sequence[TheoremResult], form: str, *, file: bool) -> Iterable[str]:
    """Return the verified theorems in the requested format, in pieces."""
    from snstat.files.fixedpoint_form import reports_to_json
    from snstat.report.fixedpoint import print_theorems
    from snstat.report.fixedpoint_text import theorems_to_csv, theorems_to_markdown

    if form == "json":
        return [reports_to_json([], results)]
    if form == "csv":
        return theorems_to_csv(results)
    if form == "markdown":
        return [theorems_to_markdown(results)]
    return [render(lambda console: print_theorems(results, console), file=file)]
