"""`snstat propagate`: simulate random networks and report every layer beside its theory."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from snstat.cli import version_option
from snstat.cli.formats import format_for
from snstat.cli.given import chain_of, weights_options
from snstat.cli.help import Explained
from snstat.cli.networks import Setting, file_argument, networks_of, set_option
from snstat.cli.options import (
    FORMATS,
    columns_option,
    keep_trials_option,
    layers_option,
    output_options,
    stack_options,
)
from snstat.cli.output import (
    STDOUT,
    notice,
    progress_bar,
    reading_bar,
    render,
    results_only,
    text_output,
    wrote,
)
from snstat.cli.variants import Variant, variants
from snstat.report.layouts import parse_columns
from snstat.report.selection import LayerSelection, parse_layers, usual
from snstat.report.words import count

if TYPE_CHECKING:
    from snstat.experiment.plans import AnyPlan
    from snstat.experiment.trace import TracePlan
    from snstat.network.network import Network
    from snstat.results import Check, Run
    from snstat.sources.weights.chain import Chain


# The formats that show the verdict in words.
WORDS = ("table", "markdown")

EXAMPLES = """\b
Examples:
  snstat propagate --depth 64
  snstat propagate -a selu -a relu -a tanh --width 512
  snstat propagate --init torch_default --layers 0,1,2,4,8
  snstat propagate model.toml --set width=512 --backward
  snstat propagate --weights model.safetensors -a selu --last linear
  snstat propagate --inputs data.npy --format json -o run.json"""


@click.command(cls=Explained, epilog=EXAMPLES)
@file_argument
@weights_options
@set_option
@stack_options
@output_options
@layers_option
@columns_option
@keep_trials_option
@version_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    file: str | None,
    set: Sequence[Setting],  # noqa: A002  # the name of the option
    weights: str | None,
    only: Sequence[str],
    layout: str | None,
    max_bytes: int | None,
    form: str | None,
    output: str | None,
    layers: str,
    columns: str | None,
    **options: Any,
) -> None:
    """Push random inputs through random networks and report the statistics of every layer.

    The network is that of a file, the matrices of a file of weights, or the uniform stack that
    options describe.

    Each statistic is estimated over independent trials, with its standard error, next to its value
    by theory: to first order in 1/width where that is known, else at infinite width. An option
    with several values, repeated or with commas, makes a run for each: --weight-gain 1,1.5,2.
    """
    form = format_for(output, form, FORMATS) or "table"
    if options["keep_trials"] and form not in ("json", "csv"):
        remedy = "use it with --format json or csv"
        raise click.UsageError(f"--keep-trials cannot be used in a {form}; {remedy}")
    selection = parse_layers(layers)
    chosen = () if columns is None else parse_columns(columns)
    chain = chain_of(ctx, weights, only, layout, max_bytes)
    if chain is None:
        planned = plans(variants(options), networks_of(ctx, file, set))
    else:
        planned = plans(variants(options), chain=chain)
    for _, plan in planned:
        selection.require_within(plan.depth)
        if selection.by_name:
            selection.of(plan.subject)
    with text_output(output) as write:
        checks: list[Check | None] = []
        runs = simulate_all(planned, checks if form in WORDS else None)
        whole = output not in (None, STDOUT)
        write(pieces(runs, form, selection, chosen, checks, file=whole))
    wrote(output, contents(runs))
    if any(run.partial for run in runs):
        ctx.exit(130)


def plans(
    wanted: Sequence[Variant],
    networks: Sequence[Network | None] = (None,),
    chain: Chain | None = None,
) -> list[tuple[str, AnyPlan]]:
    """Return the plan of each run with the name to show beside its progress. All are validated
    before the first one runs. The weights of a `chain` are the only network."""
    from snstat.experiment.plans import plan_of
    from snstat.network.run_settings import RunSettings

    def made(options: Mapping[str, Any], network: Network | None) -> AnyPlan:
        if chain is None:
            return plan_of(RunSettings(**options), network)
        from snstat.experiment.given import given_plan

        return given_plan(chain, RunSettings(**options))

    with reading_bar():  # data are read to be standardized
        return [
            (_name(variant, network), made(variant.options, network))
            for network in networks
            for variant in wanted
        ]


def _name(variant: Variant, network: Network | None) -> str:
    if network is None:
        return variant.name or str(variant.options["activation"])
    return ", ".join(filter(None, (network.name, variant.name)))


def simulate_all(
    planned: Sequence[tuple[str, AnyPlan | TracePlan]], checks: list[Check | None] | None = None
) -> list[Run]:
    """Run each plan, with progress, up to the first interrupt.

    `checks` receives the verdict on each run.
    """
    runs: list[Run] = []
    for name, plan in planned:
        plan.warm(notice)
        began = time.perf_counter()
        with progress_bar(name, plan.steps) as progress, results_only():
            runs.append(plan.run(progress))
        took = time.perf_counter() - began
        notice(f"{name}: {plan.sampler} sampler, {took:.2f} s", level=1)
        if checks is not None:
            from snstat.checks.request import verdict_on

            checks.append(verdict_on(runs[-1], plan))
        if len(runs) == 1:
            warn_of_zeros(runs[0])
        if runs[-1].partial:
            break
    return runs


def contents(runs: Sequence[Run]) -> str:
    """Return what a file of `runs` holds: "2 runs", "layers 0 to 7 of 64, marked partial"."""
    if not runs[-1].partial:
        return count(len(runs), "run")
    *whole, last = runs
    before = f"{count(len(whole), 'run')} and " if whole else ""
    return f"{before}layers 0 to {len(last.finite) - 1} of {last.depth}, marked partial"


def warn_of_zeros(run: Run) -> None:
    """Print a notice if samples of zeros are left out of the cosine."""
    if "zero_samples" not in run.statistics:
        return
    share = float(run.statistics["zero_samples"].estimate[0])
    if run.simulation.batch > 1 and share > 0:
        notice(
            f"{share:.1%} of the samples are all zeros: they have no angle and are left out of"
            " the cosine"
        )


def traced_pieces(
    run: Run, form: str, selection: LayerSelection | None, columns: Sequence[str], *, file: bool
) -> Iterable[str]:
    """Return a traced module in the requested format, in pieces, with the verdict on it in formats
    of words; without a `selection` the rows that are usually shown."""
    shown = usual(run.subject) if selection is None else selection
    shown.require_within(run.depth)
    checks: list[Check | None] = [None]
    if form in WORDS:
        from snstat.checks.request import verdict_on

        checks = [verdict_on(run)]
    return pieces([run], form, shown, columns, checks, file=file)


def pieces(
    runs: Sequence[Run],
    form: str,
    selection: LayerSelection,
    columns: Sequence[str],
    checks: Sequence[Check | None],
    *,
    file: bool,
) -> Iterable[str]:
    """Return the result in the requested format, in pieces."""
    from snstat.files.saved import runs_to_json
    from snstat.report.table import print_runs
    from snstat.report.text import runs_to_csv, runs_to_markdown

    if form == "json":
        return runs_to_json(runs)
    if form == "csv":
        return runs_to_csv(runs)
    if form == "markdown":
        return [runs_to_markdown(runs, selection, columns, checks)]
    return [
        render(lambda console: print_runs(runs, console, selection, columns, checks), file=file)
    ]
