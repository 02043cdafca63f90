"""`snstat propagate`: simulate random stacks and report every layer beside its theory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from snstat.cli import version_option
from snstat.cli.options import columns_option, layers_option, output_options, stack_options
from snstat.cli.output import STDOUT, notice, progress_bar, render, text_output
from snstat.report.layouts import parse_columns
from snstat.report.selection import LayerSelection, parse_layers
from snstat.stack import integer
from snstat.widths import MAX_DEPTH

if TYPE_CHECKING:
    from snstat.plan import Plan
    from snstat.results import Check, Run

# Samples whose second moments spread by more than this share are not of one length.
UNEQUAL = 0.1

# The forms that tell the verdict in words.
WORDS = ("table", "markdown")

EXAMPLES = """\b
Examples:
  snstat propagate --depth 64
  snstat propagate -a selu -a relu -a tanh --width 512
  snstat propagate --init torch_default --layers 0,1,2,4,8
  snstat propagate --inputs data.npy --format json -o run.json"""


@click.command(epilog=EXAMPLES)
@stack_options
@output_options
@layers_option
@columns_option
@version_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    activations: Sequence[str],
    form: str,
    output: str | None,
    layers: str,
    columns: str | None,
    **options: Any,
) -> None:
    """Push random inputs through random networks and report, layer by layer, what arrives.

    Each statistic is estimated over independent trials, with its standard error, and set beside
    the prediction of mean-field theory at infinite width.
    """
    selection = parse_layers(layers)
    chosen = () if columns is None else parse_columns(columns)
    selection.require_within(integer("depth", options["depth"], 1, MAX_DEPTH))
    with text_output(output) as write:
        checks: list[Check | None] = []
        runs = simulate_all(activations, options, checks if form in WORDS else None)
        file = output not in (None, STDOUT)
        write(pieces(runs, form, selection, chosen, checks, file=file))
    if any(run.partial for run in runs):
        ctx.exit(130)


def simulate_all(
    activations: Sequence[str], options: dict[str, Any], checks: list[Check | None] | None = None
) -> list[Run]:
    """Run each activation with the same options, with progress, up to the first interrupt.

    `checks` receives the verdict on each run.
    """
    from snstat.engine.warmup import compile_kernels
    from snstat.plan import Plan

    runs: list[Run] = []
    for activation in dict.fromkeys(activations):
        plan = Plan.build(activation, **options)
        if not runs:
            warn_of_unequal_lengths(plan)
        compile_kernels(
            plan.stack.init, plan.dtype, plan.sampler, backward=plan.backward, notice=notice
        )
        with progress_bar(activation, options["depth"] * options["trials"]) as progress:
            runs.append(plan.run(progress))
        if checks is not None:
            from snstat.checking import verdict_on

            checks.append(verdict_on(runs[-1], plan))
        if len(runs) == 1:
            warn_of_zeros(runs[0])
        if runs[-1].partial:
            break
    return runs


def warn_of_unequal_lengths(plan: Plan) -> None:
    """Say so where theory, which knows one length for all samples, cannot be right for the data."""
    spread = plan.inputs.unequal_lengths()
    if spread > UNEQUAL:
        notice(
            f"samples differ in length (their second moments by ±{spread:.0%}), but theory takes"
            " each as the average: z tells of that too"
        )


def warn_of_zeros(run: Run) -> None:
    """Say so where a sample of zeros leaves no cosine between inputs."""
    known = {name: float(run.statistics[name].theory[0]) for name in ("second_moment", "cosine")}
    if run.simulation.batch > 1 and known["second_moment"] > 0 and math.isnan(known["cosine"]):
        notice(
            "a sample is all zeros, and has no cosine with others: none is given while it stays so"
        )


def pieces(
    runs: Sequence[Run],
    form: str,
    selection: LayerSelection,
    columns: Sequence[str],
    checks: Sequence[Check | None],
    *,
    file: bool,
) -> Iterable[str]:
    """Return the result in the form asked for, in pieces."""
    from snstat.report.table import print_runs
    from snstat.report.text import runs_to_csv, runs_to_markdown
    from snstat.saved import runs_to_json

    if form == "json":
        return runs_to_json(runs)
    if form == "csv":
        return runs_to_csv(runs)
    if form == "markdown":
        return [runs_to_markdown(runs, selection, columns, checks)]
    return [
        render(lambda console: print_runs(runs, console, selection, columns, checks), file=file)
    ]
