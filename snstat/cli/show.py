"""`snstat show`: the layers of a network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from snstat.cli import version_option
from snstat.cli.formats import format_for
from snstat.cli.help import Explained
from snstat.cli.networks import announce_theory, networks_of, parted, set_option
from snstat.cli.options import (
    FORMATS,
    declared_options,
    layers_option,
    output_options,
    refuse_others,
)
from snstat.cli.output import STDOUT, render, text_output, wrote
from snstat.cli.parameters import FileName
from snstat.cli.propagate import traced_pieces
from snstat.cli.variants import variants
from snstat.errors import InvalidValueError
from snstat.network.run_settings import AUTO, DEFAULT_BATCH, RunSettings
from snstat.network.settings import NetworkSettings
from snstat.report.selection import ALL, LayerSelection, parse_layers
from snstat.report.words import count
from snstat.results import GRADIENT, Run
from snstat.values.option import options_of

if TYPE_CHECKING:
    from snstat.experiment.plans import AnyPlan
    from snstat.network.network import Network
    from snstat.results.overview import Overview

# Options of a run that do not decide which weights are drawn.
NOT_SAMPLING = options_of(RunSettings).keys() - {"batch", "sampler", "backward"}
# Rows of one result.
MOST_ROWS = 10**6
EXAMPLES = """\b
Examples:
  snstat show model.toml
  snstat show model.toml --set width=256 --layers all
  snstat show conv.toml --positions
  snstat show --widths 784,512*3,10 --activation relu"""


@click.command(cls=Explained, epilog=EXAMPLES)
@click.argument("file", type=FileName(), required=False, metavar="[FILE.toml | RUN.json | -]")
@set_option
@declared_options(NetworkSettings, "Network")
@declared_options(RunSettings, "Sampling", leave_out=NOT_SAMPLING)
@output_options
@layers_option
@click.option(
    "--positions/--no-positions",
    default=False,
    show_default=True,
    help="The signal at every position of a grid, by theory, over its average.",
)
@click.option(
    "--theory/--no-theory",
    default=None,
    help="Where theory of the network ends, and why.  [default: where that takes little time]",
)
@version_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    file: str | None,
    set: tuple[tuple[str, Any], ...],  # noqa: A002  # the name of the option
    form: str | None,
    output: str | None,
    layers: str,
    batch: Sequence[int],
    sampler: Sequence[str],
    backward: bool,
    positions: bool,
    theory: bool | None,
    **options: Any,
) -> None:
    """Show the layers of a network: number, name, kind, shape, number of parameters, and sampler.

    The network is that of a file or of a saved run, or the uniform stack that options describe. A
    saved trace is printed again. Nothing is simulated. The shape is that of one sample after the
    layer: the grid, if there is one, then the channels. Weights and biases are counted. The sampler
    says whether a run of --batch samples draws the weights of the layer, or samples it without
    them. --positions shows where on a grid the signal is, such as the border that padding eats.
    Lines below the layers say where theory ends, and why.
    """
    form = format_for(output, form, FORMATS) or "table"
    selection = parse_layers(layers)
    path, saved = parted([] if file is None else [file])
    run: Run | None = None
    if saved:
        from snstat.files.saved import load

        run, own = load(saved[0]), {"file", "layers", "form", "output"}
        refuse_others(ctx, own if run.module is not None else own | {"positions", "theory"})
        if run.module is not None:
            usual = ctx.get_parameter_source("layers") is ParameterSource.DEFAULT
            whole = output not in (None, STDOUT)
            with text_output(output) as write:
                write(traced_pieces(run, form, None if usual else selection, (), file=whole))
            wrote(output, count(1, "run"))
            return
        network, how = _saved(run)
    else:
        networks = networks_of(ctx, path, set)
        if len(networks) > 1:
            bound, remedy = "1", "show them one by one"
            raise InvalidValueError("number of networks", len(networks), bound, remedy)
        network = networks[0] or _uniform(options)
        how = Sampled(_only(batch, DEFAULT_BATCH), _only(sampler, AUTO), backward=backward)
    selection.require_within(network.depth)
    numbers = _numbers(ALL if form in ("json", "csv") else selection, network)
    from snstat.experiment.positions import position_shares
    from snstat.experiment.theory_ends import theory_ends
    from snstat.network.overview import overview

    told = _is_told(run, network, theory)
    ends = run.theory_ends if run and told else None
    plan = None
    if positions or (told and not ends):
        plan = _plan(run, network, how.batch)
        announce_theory(network, plan.followed)
    with text_output(output) as write:
        shares = position_shares(plan, numbers).shares if plan and positions else None
        if plan and told and not ends:
            ends = theory_ends(plan)
        found = overview(network, numbers, how.layers(network, numbers), shares, ends)
        write(_pieces(found, form, file=output not in (None, STDOUT)))
    wrote(output, count(network.depth, "layer"))


def _is_told(run: Run | None, network: Network, theory: bool | None) -> bool:
    """Return whether to tell where theory ends: by default where it takes little time."""
    from snstat.experiment.theory_room import takes_time

    if theory is False or network.uniform() is not None:
        return False
    return bool(theory or (run and run.theory_ends)) or not takes_time(network)


def _plan(run: Run | None, network: Network, batch: int) -> AnyPlan:
    """Return the plan of a saved run, or of a network with the inputs that it declares."""
    from snstat.experiment.plans import plan_again
    from snstat.experiment.positions import declared

    return declared(network, batch) if run is None else plan_again(run)


def _numbers(selection: LayerSelection, network: Network) -> list[int]:
    """Return the numbers of the layers to show."""
    from snstat.network.description import network_summary

    size = selection.size(network.depth)
    if size > MOST_ROWS:
        remedy = "choose some of them with --layers, in a table"
        raise InvalidValueError("number of rows", size, f"at most {MOST_ROWS:,}", remedy)
    if selection.by_name:
        return selection.of(network_summary(network))
    return selection.rows(network.depth)


class Sampled(NamedTuple):
    """How a network is sampled: samples of a batch, the sampler asked for, whether gradients are,
    and whether layers have no sampler: weights are given, or a population stands for them."""

    batch: int
    sampler: str
    backward: bool
    none: bool = False

    def layers(self, network: Network, numbers: Sequence[int]) -> list[str | None]:
        """Return how the weights of the layers of these `numbers` are sampled, which ascend from
        0."""
        from snstat.engine.general.samplers import samplers
        from snstat.engine.strategies import choose

        if self.none:
            return [None] * len(numbers)
        rest, stack = [number for number in numbers if number], network.uniform()
        before: list[str | None] = [None] * (len(numbers) - len(rest))
        if stack is not None:
            name = choose(stack, self.batch, self.sampler, backward=self.backward).name
            return before + [name] * len(rest)
        found = samplers(network, self.batch, self.sampler, backward=self.backward, numbers=rest)
        return [*before, *found]


def _only(values: Sequence[Any], default: Any) -> Any:
    """Return the only value of an option, or its default."""
    if len(values) > 1:
        raise InvalidValueError("number of runs", len(values), "1", "show them one by one")
    return values[0] if values else default


def _saved(run: Run) -> tuple[Network, Sampled]:
    """Return the network of a saved run, and how it was sampled."""
    from snstat.network.description import stack_of
    from snstat.network.network import Network

    simulation = run.simulation
    how = Sampled(simulation.batch, simulation.sampler, backward=GRADIENT in run.statistics)
    if run.network is not None:
        none = run.given is not None or simulation.infinite_width is not None
        return Network.read(run.network.form), how._replace(none=none)
    assert run.stack is not None  # noqa: S101  # what is no network is a stack
    return Network.of(stack_of(run.stack)), how


def _uniform(options: dict[str, Any]) -> Network:
    """Return the network that options describe."""
    from snstat.network.network import Network
    from snstat.network.stack import Stack

    wanted = variants(options)
    if len(wanted) > 1:
        raise InvalidValueError("number of networks", len(wanted), "1", "show them one by one")
    return Network.of(Stack.build(**wanted[0].options))


def _pieces(found: Overview, form: str, *, file: bool) -> Iterable[str]:
    from snstat.report import network_table

    if form == "json":
        return [network_table.network_to_json(found)]
    if form == "csv":
        return network_table.network_to_csv(found)
    if form == "markdown":
        return [network_table.network_to_markdown(found)]
    return [render(lambda console: network_table.print_network(found, console), file=file)]
