"""Which options a kind of picture has, and the figure that they ask for."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from snstat.cli.depth_scale import OF_SIMULATION
from snstat.cli.options import refuse_others
from snstat.cli.parameters import Type
from snstat.errors import InvalidValueError
from snstat.report.selection import parse_layers
from snstat.values import real

if TYPE_CHECKING:
    from snstat.cli.subject import Subject

KINDS = (
    *("trajectory", "difference", "gradient", "residual", "map", "histogram", "heatmap"),
    *("correlation", "phase"),
    *("depth-scale", "positions", "spectrum"),
)
# Those that are pictures of runs as they are, by `draw_` and their name.
OF_RUNS = ("trajectory", "difference", "gradient", "residual")
MAPS = ("unit", "ensemble")
# The format of the interactive page, and the kinds that it can show.
HTML, INTERACTIVE = "html", ("trajectory",)
# Options of every kind.
COMMON = {"saved", "set", "kind", "output", "form", "style", "size", "dpi", "caption"}
# What else a kind reads, beside the options that describe the network and its sampling.
OWN = {
    "trajectory": {"residuals", "band"},
    "gradient": {"band"},
    "residual": set(),
    "difference": set(),
    "histogram": {"layers"},
    "heatmap": {"layers"},
    "spectrum": {"layers"},
    "correlation": set(),
    "phase": {"contour", "axes", "dots"},
    "depth-scale": {"simulate"},
    "map": {"chosen_map", "weight_sum", "weight_square_sum"},
    "positions": {"layers"},
}
# The options of a network that a kind does not look at.
MAP_NETWORK = {"activation", "weight_gain", "bias_std"}
CORRELATION_NETWORK = MAP_NETWORK | {"init", "weight_std", "width"}
DRAWN_ANYWAY = {"sampler", "backward", "threads"}
NOT_IN_THEORY = {*DRAWN_ANYWAY, "trials", "seed", "dtype"}
# A spectrum draws all weights, and goes back from every unit.
ALL_DRAWN = {"sampler", "backward"}
LEAST_INCHES, MOST_INCHES = 1.0, 100.0
LEAST_DPI, MOST_DPI = 20.0, 2400.0
# A picture of more pixels is refused.
MOST_PIXELS = 4e8


class Size(Type):
    """Width and height of a page in inches: 6.8x4 or 6.8,4."""

    name = "size"

    def read(self, name: str, text: str) -> tuple[float, float]:
        """Return (width, height)."""
        parts = text.lower().replace(",", "x").split("x")
        try:
            width, height = (real(name, part.strip()) for part in parts)
        except ValueError:  # not two parts, or not numbers
            bound = "WIDTHxHEIGHT in inches"
            raise InvalidValueError(name, text, bound, "write for example 6.8x4") from None
        for inches in (width, height):
            if not LEAST_INCHES <= inches <= MOST_INCHES:
                bound = f"from {LEAST_INCHES:g} to {MOST_INCHES:g} inches each way"
                raise InvalidValueError(name, text, bound)
        return width, height


def require_options(ctx: click.Context, kind: str, chosen_map: str | None, *, saved: bool) -> None:
    """Raise UsageError for an option that this kind of picture, or a saved run, would ignore."""
    own = COMMON | OWN[kind]
    # What no picture of this kind has may be switched off.
    own |= set() if ctx.params["residuals"] else {"residuals"}
    if saved and kind == "phase":
        raise click.UsageError("--kind phase has saved runs as dots; write --runs before the file")
    if saved and kind == "depth-scale":
        raise click.UsageError("--kind depth-scale is of theory over a range of gains; give no run")
    if saved and kind == "spectrum":
        raise click.UsageError("--kind spectrum is of networks that are sampled now; give no run")
    if saved:
        # A saved run says what the network is; no kind is drawn of another one.
        refuse_others(ctx, own | set().union(*OWN.values()))
    network = {parameter.name or "" for parameter in ctx.command.params}
    network -= COMMON | set().union(*OWN.values())
    where = f"with --kind {kind}"
    if kind == "map":
        network &= MAP_NETWORK
        if chosen_map != "ensemble":
            network -= {"weight_gain", "bias_std"}
            where = (
                "with --kind map: the unit map has no network, only --weight-sum and"
                " --weight-square-sum"
            )
        else:
            own = own - {"weight_sum", "weight_square_sum"}
            where = "with --map ensemble, which takes --weight-gain and --bias-std"
    elif kind == "correlation":
        network &= CORRELATION_NETWORK
        where = "with --kind correlation, which simulates nothing"
    elif kind in ("phase", "depth-scale"):
        network &= MAP_NETWORK | (OF_SIMULATION if ctx.params["simulate"] else set())
        where = f"with --kind {kind}, which takes --weight-gain and --bias-std"
    elif kind == "positions":
        network -= NOT_IN_THEORY
        where = "with --kind positions, which is theory and simulates nothing"
    elif kind in ("histogram", "heatmap"):
        network -= DRAWN_ANYWAY
        where = f"with --kind {kind}, which draws all weights and goes forward only"
    elif kind == "spectrum":
        network -= ALL_DRAWN
        where = "with --kind spectrum, which draws all weights and goes back from every unit"
    refuse_others(ctx, own | network, where)


def require_interactive(ctx: click.Context, kind: str, *, table: bool) -> None:
    """Raise UsageError for what an interactive page cannot show, SnstatError without its
    library."""
    if table or kind not in INTERACTIVE:
        what = "the table of a sweep" if table else f"--kind {kind}"
        raise click.UsageError(
            f"html is for --kind {', '.join(INTERACTIVE)}; draw {what} as png, svg or pdf"
        )
    for name, why in (
        ("size", "an interactive page fits its window"),
        ("residuals", "an interactive page shows z of each point under the pointer"),
        ("dpi", "an interactive page has no dots"),
    ):
        if ctx.params[name] and ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{name} cannot be used with html: {why}; leave it out")
    from snstat.report.interactive import load_bokeh

    load_bokeh()


def require_pixels(size: tuple[float, float] | None, dpi: float) -> None:
    """Raise InvalidValueError for a picture too large to be drawn."""
    if not LEAST_DPI <= dpi <= MOST_DPI:
        raise InvalidValueError("dpi", dpi, f"from {LEAST_DPI:g} to {MOST_DPI:g}")
    width, height = size or (10.0, 10.0)
    if width * height * dpi * dpi > MOST_PIXELS:
        bound = f"at most {MOST_PIXELS:,.0f} pixels in all"
        raise InvalidValueError("dpi", dpi, bound, "use a smaller --dpi or --size")


def command_words(ctx: click.Context) -> str:
    """Return the command as typed, but for where the picture goes."""
    words = ["snstat", ctx.info_name or "plot"]
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if name in {"output", "form"} or not parameter.expose_value:
            continue
        if ctx.get_parameter_source(name) in {None, ParameterSource.DEFAULT}:
            continue
        value = ctx.params[name]
        if isinstance(parameter, click.Argument):
            words += [str(entry) for entry in value]
        elif getattr(parameter, "is_flag", False):
            words.append((parameter.opts if value else parameter.secondary_opts)[0])
        else:
            words += [max(parameter.opts, key=len), _as_typed(value, parameter)]
    return shlex.join(words)


def _as_typed(value: Any, parameter: click.Parameter) -> str:
    """Return the value of an option as text that it reads."""
    if isinstance(parameter.type, Size):
        return "x".join(f"{inches:g}" for inches in value)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)


def draw(
    subject: Subject,
    kind: str,
    *,
    style: str,
    layers: str,
    chosen_map: str,
    weight_sum: float | None,
    weight_square_sum: float | None,
    residuals: bool,
    band: str,
    caption: bool,
    size: tuple[float, float] | None,
    interactive: bool,
) -> Any:
    """Return the figure asked for, or an `interactive` page of it."""
    from snstat.report import figures

    figures.load_matplotlib()

    if kind in OF_RUNS:
        from snstat.plot import trajectory_options

        runs = subject.runs()
        options = trajectory_options(
            runs, band=band, residuals=residuals, caption=caption, size=size
        )
        if interactive:
            from snstat.report.interactive import draw_interactive

            return draw_interactive(runs, style, options)
        return getattr(figures, f"draw_{kind}")(runs, style, options)
    if kind == "correlation":
        return figures.draw_correlation(_curves(subject), style, caption=caption, size=size)
    if kind == "map":
        field = _field(subject, chosen_map, weight_sum, weight_square_sum)
        return figures.draw_map(field, style, caption=caption, size=size)
    if kind == "positions":
        shares = subject.positions(parse_layers(layers))
        return figures.draw_positions(shares, style, caption=caption, size=size)
    if kind == "spectrum":
        spectrum = subject.spectrum(parse_layers(layers))
        return figures.draw_spectrum(spectrum, style, caption=caption, size=size)
    densities = subject.densities(parse_layers(layers), kind)
    draw_densities = figures.draw_heatmap if kind == "heatmap" else figures.draw_histogram
    return draw_densities(densities, style, caption=caption, size=size)


def _curves(subject: Subject) -> Sequence[Any]:
    from snstat.theory.pictures import correlation_curve

    return [
        correlation_curve(stack.activation, weight_gain=stack.weight_gain, bias_std=stack.bias_std)
        for stack in subject.stacks()
    ]


def _field(
    subject: Subject, chosen_map: str, weight_sum: float | None, weight_square_sum: float | None
) -> Any:
    from snstat.theory.pictures import map_field

    stack = subject.stack("map")
    if chosen_map == "unit":
        return map_field(
            stack.activation,
            map="unit",
            weight_sum=weight_sum,
            weight_square_sum=weight_square_sum,
        )
    return map_field(
        stack.activation, map="ensemble", weight_gain=stack.weight_gain, bias_std=stack.bias_std
    )
