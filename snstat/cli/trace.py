"""`snstat trace`: run a module and report what every call of its parts returned."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import click

from snstat.cli import version_option
from snstat.cli.formats import format_for
from snstat.cli.help import Explained
from snstat.cli.modules import Argument
from snstat.cli.options import (
    FORMATS,
    apply,
    columns_option,
    declared_options,
    keep_trials_option,
    output_options,
)
from snstat.cli.output import STDOUT, notice, results_only, text_output, wrote
from snstat.cli.parameters import Layers, Value
from snstat.cli.propagate import traced_pieces
from snstat.errors import InvalidValueError
from snstat.experiment.trace_settings import Target, TraceSettings
from snstat.report.layouts import parse_columns
from snstat.report.selection import MOST_CALLS, parse_layers
from snstat.report.words import count
from snstat.values.option import options_of

# How the names of network files end.
NETWORK_FILES = ".toml"
# What a trace has in common with a simulation; the others say what is traced.
SAMPLING = {"batch", "trials", "seed", "inputs", "backward", "dtype", "device"}
EXAMPLES = """\b
Examples:
  snstat trace models:resnet --input Bx3x32x32
  snstat trace models:resnet --set width=32 --input x=Bx3x32x32 --trials 16
  snstat trace models:gpt --input tokens:50257:Bx128 --columns position_cosine
  snstat trace models:resnet --input Bx3x32x32 --layers 'layer1.*' -o run.json
  snstat trace model.onnx --input Bx784
  snstat trace keras:models:mlp --input Bx784
  snstat trace models:mlp --input Bx128 --as-network mlp.toml"""


def set_arguments(function: Any) -> Any:
    """Add the option that sets arguments of the function."""
    option = click.option(
        "--set",
        "set",
        type=Argument(),
        multiple=True,
        metavar="NAME=VALUE",
        help="An argument of the function, as JSON or text; repeatable.",
    )
    return apply(function, [option], group="Module")


def network_option(function: Any) -> Any:
    """Add the option that writes the module as a network file."""
    option = click.option(
        "--as-network",
        type=click.Path(),
        metavar="FILE.toml",
        help="Write the network that the module is too; an error says what is no layer of one.",
    )
    return apply(function, [option], group="Output")


def calls_option(function: Any) -> Any:
    """Add the option that says which calls are shown."""
    option = click.option(
        "--layers",
        type=Layers(),
        metavar="WHICH",
        show_default=f"all, or log of more than {MOST_CALLS}",
        help="Rows of table and markdown: log, all, numbers and ranges such as 0,1,8-16,last, and"
        " paths or patterns such as layer1.*.relu or layer1.relu#2.",
    )
    return apply(function, [option], group="Output")


@click.command(cls=Explained, epilog=EXAMPLES)
@click.argument(
    "target",
    type=Value(Target()),
    metavar="package.module:name | FILE.onnx | timm:NAME | hf:CONFIG",
)
@set_arguments
@declared_options(TraceSettings, "Module", leave_out=SAMPLING)
@declared_options(TraceSettings, "Sampling", leave_out=options_of(TraceSettings).keys() - SAMPLING)
@output_options
@network_option
@calls_option
@columns_option
@keep_trials_option
@version_option
def command(
    *,
    target: str,
    set: Sequence[tuple[str, Any]],  # noqa: A002  # the name of the option
    form: str | None,
    output: str | None,
    as_network: str | None,
    layers: str | None,
    columns: str | None,
    keep_trials: bool,
    **options: Any,
) -> None:
    """Run a module on random inputs and report what every call of its parts returned.

    The name is that of a function that returns a module, which every trial calls anew, or of a
    module as it is. It is imported from the current folder or from what is installed, so this runs
    its code. timm:NAME and hf:CONFIG.json are models of timm and transformers, without their
    weights; keras:package.module:name is a Keras model, nnx:package.module:name a module of Flax
    NNX, and FILE.onnx a file, which is data.

    Each row is one call of a module: layer1.relu#2 is the second call of layer1.relu. Axes are
    samples (S), positions (P) and units (U). The record is that of snstat propagate: check, plot
    and --baseline read it.

    Theory stands beside what was measured, as far as the module consists of layers that snstat
    knows, with weights drawn by a named initialiser; below the table stands where it ends.
    """
    form = format_for(output, form, FORMATS) or "table"
    if keep_trials and form not in ("json", "csv"):
        remedy = "use it with --format json or csv"
        raise click.UsageError(f"--keep-trials cannot be used in a {form}; {remedy}")
    selection = None if layers is None else parse_layers(layers)
    chosen = () if columns is None else parse_columns(columns)
    from snstat.experiment.trace import TracePlan

    if as_network is not None and not as_network.endswith(NETWORK_FILES):
        raise InvalidValueError(
            "as_network", as_network, f"a file whose name ends in {NETWORK_FILES}"
        )
    if len(dict(set)) < len(set):
        raise click.UsageError("--set is given twice for one argument; leave one of them out")
    given = {name: value for name, value in options.items() if value is not None}
    plan = TracePlan(target, TraceSettings(**given, keep_trials=keep_trials), dict(set))
    with text_output(output) as write:
        began = time.perf_counter()
        with results_only():
            run, mapped = plan.traced(notice)
        notice(f"{target}: {count(run.depth, 'row')}, {time.perf_counter() - began:.2f} s", level=1)
        if as_network is not None and run.module is not None:
            from snstat.experiment.mapped import whole_network

            network = whole_network(mapped, run.module)
            network.save(as_network)
            wrote(as_network, count(network.depth, "layer"))
        whole = output not in (None, STDOUT)
        write(traced_pieces(run, form, selection, chosen, file=whole))
    wrote(output, count(1, "run"))
