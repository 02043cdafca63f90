"""What `snstat check` is asked for: the bounds of the rules, and which options go together."""

from __future__ import annotations

from typing import Any

import click

from snstat.checks.bounds import NUMBER_FORMATS
from snstat.cli.options import apply

# Options that say which stack: beside them no configuration is looked at.
STACK = {
    "activations",
    "depth",
    "width",
    "init",
    "weight_gain",
    "bias_std",
    "batch",
    "inputs",
    "input_mean",
    "input_std",
    "dtype",
}
# Options that hold for a saved run too, beside the bounds.
OVERALL = {
    "saved",
    "config",
    "form",
    "output",
    "select",
    "ignore",
    "baseline",
    "write_baseline",
    "same_seed",
}


def bound_options(function: Any) -> Any:
    """Add the bounds of the rules."""
    number = {"type": float, "metavar": "X"}
    options: list[tuple[str, Any, str, str]] = [
        ("--depth-limit", {"type": int, "metavar": "N"}, "the depth",
         "Layers that the forward signal has to survive."),
        ("--second-moment-min", number, "0.005",
         "Least second moment, times the smaller of 1 and the input's."),
        ("--second-moment-max", number, "100",
         "Largest second moment, times the larger of 1 and the input's."),
        ("--target-mean", number, "0 for selu", "Mean to be reached."),
        ("--target-variance", number, "1 for selu", "Variance to be reached."),
        ("--target-tolerance", number, "0.1", "Distance allowed, in units of the target."),
        ("--target-layer", {"type": int, "metavar": "N"}, "the last",
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
            click.option(
                "--number-format",
                type=click.Choice(NUMBER_FORMATS),
                show_default="float32",
                help="Format whose range numbers must not leave.",
            ),
            *(
                click.option(name, show_default=default, help=text, **kind)
                for name, kind, default, text in options
            ),
        ],
    )
