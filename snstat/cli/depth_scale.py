"""Depth scales over a range of gains, by theory and simulated: `snstat plot --kind depth-scale`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from click.core import ParameterSource

from snstat.activation import resolve
from snstat.cli.phase import Range, one_range
from snstat.errors import InvalidValueError

if TYPE_CHECKING:
    import click

    from snstat.results import Run

# Simulations side by side over the range.
GAINS = 24
# Their options where they are not given: all of them together take seconds.
SMALL = {"depth": 64, "width": 128, "batch": 8, "trials": 4}
# What else describes them.
OF_SIMULATION = {*SMALL, "init", "seed", "dtype", "sampler", "threads"}


def simulated_options(ctx: click.Context, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a simulation in the middle of each of `GAINS` parts of the range.

    Raises InvalidValueError where an option has several values: shades are of one network.
    """
    low, high = one_range("weight_gain", options["weight_gain"])
    chosen = {name: options[name] for name in ("activation", "bias_std", *sorted(OF_SIMULATION))}
    for name, value in SMALL.items():
        if ctx.get_parameter_source(name) is ParameterSource.DEFAULT:
            chosen[name] = (value,)
    for name, values in chosen.items():
        if isinstance(values, tuple) and len(values) > 1:
            shown = ",".join(map(str, values))
            bound = "one value with --simulate"
            raise InvalidValueError(name, shown, bound, "draw them one by one")
    if chosen["batch"] == (1,):
        raise InvalidValueError("batch", 1, "at least 2 with --simulate, for cosines of two inputs")
    step = (high - low) / GAINS
    return chosen | {"weight_gain": tuple(low + (place + 0.5) * step for place in range(GAINS))}


def draw_depth_scales(
    options: Mapping[str, Any],
    runs: Sequence[Run],
    *,
    style: str,
    caption: bool,
    size: tuple[float, float] | None,
) -> Any:
    """Return the figure of depth scales over the gain of all activations and bias deviations, over
    the cosines of `runs`."""
    from snstat.report import figures
    from snstat.theory.pictures import depth_scale_curve

    names = [resolve(name).name for name in options["activation"]]
    gains, biases = one_range("weight_gain", options["weight_gain"]), options["bias_std"]
    figures.load_matplotlib()
    curves = [depth_scale_curve(name, gains, bias) for name in names for bias in biases or (0.0,)]
    return figures.draw_depth_scales(curves, style, runs=runs, caption=caption, size=size)


def require_numbers(biases: Sequence[float | Range]) -> None:
    """Raise InvalidValueError for a range of bias deviations."""
    for value in biases:
        if isinstance(value, Range):
            raise InvalidValueError("bias_std", str(value), "a number with --kind depth-scale")
