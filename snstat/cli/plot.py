"""`snstat plot`: draw a saved run, or one made on the spot, to a picture file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click
from click.core import ParameterSource

from snstat.checks.settings import TRACED
from snstat.cli import version_option
from snstat.cli.depth_scale import draw_depth_scales, require_numbers, simulated_options
from snstat.cli.formats import PICTURES as FORMATS
from snstat.cli.formats import format_for
from snstat.cli.help import Explained
from snstat.cli.modules import (
    MODULE_LISTS,
    ModuleTarget,
    module_options,
    refuse_module_options,
    subjects_of,
)
from snstat.cli.networks import Setting, set_option
from snstat.cli.options import stack_options
from snstat.cli.output import STDOUT, file_output, write_stdout_binary, wrote
from snstat.cli.parameters import FileName
from snstat.cli.phase import (
    draw_phases,
    over_ranges,
    phase_options,
    refuse_phase_values,
)
from snstat.cli.picture import (
    HTML,
    OF_RUNS,
    command_words,
    draw,
    require_interactive,
    require_options,
    require_pixels,
)
from snstat.cli.picture_options import picture_options, picture_output_options
from snstat.cli.subject import Subject
from snstat.cli.sweep_picture import PARTS, is_table, refuse_parts, sweep_figure, sweep_parts
from snstat.errors import InvalidValueError
from snstat.experiment.spectrum_settings import SpectrumSettings

# The kinds of pictures of networks of any layers.
OF_NETWORKS = (*OF_RUNS, "histogram", "heatmap", "positions", "spectrum")
# Those of traced modules.
OF_MODULES = ("trajectory",)

EXAMPLES = """\b
Examples:
  snstat plot -o trajectory.png
  snstat plot model.toml --set width=512 --backward -o model.svg
  snstat plot -a selu,relu,tanh --backward -o run.html
  snstat plot models:resnet --input Bx3x32x32 -o resnet.svg
  snstat plot --kind phase --weight-gain 0.5:3 --bias-std 0:1 -o phase.pdf
  snstat plot --kind map --map ensemble -a tanh --weight-gain 1.5 -o tanh.svg
  snstat plot --kind spectrum -a tanh --width 256 -o spectrum.svg
  snstat plot widths.csv --x width --y gradient -o widths.png
  snstat propagate -f json | snstat plot - -o run.png
  snstat plot before.json after.json --kind difference -o difference.svg
  snstat plot run.json --kind histogram --style dark -o - -f png > run.png"""


@click.command(cls=Explained, epilog=EXAMPLES)
@click.argument(
    "saved",
    nargs=-1,
    type=FileName(),
    metavar="[FILE.toml | package.module:name | RUN.json ... | SWEEP.csv | -]",
)
@picture_options
@sweep_parts
@phase_options
@picture_output_options
@set_option
@over_ranges
@stack_options
@module_options
@version_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    saved: tuple[str, ...],
    set: Sequence[Setting],  # noqa: A002  # the name of the option
    kind: str,
    output: str | None,
    form: str | None,
    dpi: float,
    chosen_map: str,
    style: str,
    weight_sum: float | None,
    weight_square_sum: float | None,
    layers: str,
    residuals: bool,
    band: str,
    caption: bool,
    size: tuple[float, float] | None,
    simulate: bool,
    contour: str,
    dots: tuple[str, ...],
    **options: Any,
) -> None:
    """Draw saved results of `snstat propagate`, a table of `snstat sweep`, or a run made now.

    The network of a run is that of a file, a PyTorch module, or the uniform stack that options
    describe.

    trajectory: statistics over depth with theory and target. difference: the second of two runs
    less the first. gradient: the squared gradient, measured, with its factor per layer. residual: z
    by layer, and its quantiles beside a normal law. map: the unit or the ensemble map on the (mean,
    variance) plane. histogram: activation densities layer by layer beside their law. heatmap:
    measured densities of every layer as shades.
    correlation: the correlation map with its fixed points. phase: the ordered and the chaotic phase
    on the plane of gain and bias, each a range such as 0.5:3, for one or more activations.
    depth-scale: how many layers the difference of two inputs lasts, over a range of gains.
    positions: the second moment at every position of a grid. spectrum: the density of the singular
    values of the Jacobian of layers by the input, of tokens by their embedding, by default in
    float64.
    """
    form = picture_format(output, form)
    if form == HTML:
        require_interactive(ctx, kind, table=is_table(saved))
    if is_table(saved):
        _require_dots(ctx, form)
        require_pixels(size, dpi)
        _written(ctx, lambda: sweep_figure(ctx, saved), output, form, dpi, "sweep")
        return
    refuse_parts(ctx)
    options = {name: value for name, value in options.items() if name not in PARTS}
    networks, runs_of = subjects_of(ctx, saved, set)
    traced = isinstance(networks[0], ModuleTarget)
    if not traced:
        refuse_module_options(ctx, {"axes"} if kind == "phase" else ())
    if networks[0] is not None and kind not in (OF_MODULES if traced else OF_NETWORKS):
        of = "networks that are simulated" if kind in OF_NETWORKS else "uniform stacks"
        raise click.UsageError(f"--kind {kind} is for {of}; leave it out beside {saved[0]}")
    require_options(ctx, kind, chosen_map, saved=bool(runs_of))
    _require_dots(ctx, form)
    require_pixels(size, dpi)
    if kind == "spectrum" and ctx.get_parameter_source("dtype") is ParameterSource.DEFAULT:
        options["dtype"] = (SpectrumSettings().dtype,)
    of_ranges = kind in ("phase", "depth-scale")
    if not of_ranges:
        refuse_phase_values(options, kind)
    wanted = {} if of_ranges else _options_of(ctx, options, traced=traced)
    if kind == "depth-scale":
        require_numbers(options["bias_std"])
    if simulate:
        wanted = simulated_options(ctx, options)
    if kind == "heatmap" and ctx.get_parameter_source("layers") is ParameterSource.DEFAULT:
        layers = "all"
    if kind == "gradient" and ctx.get_parameter_source("backward") is ParameterSource.DEFAULT:
        wanted["backward"] = True
    if band == "quantile" and not of_ranges:
        wanted["keep_trials"] = True
    subject = Subject(runs_of, wanted, networks)

    def figure() -> Any:
        if kind == "depth-scale":
            runs = subject.runs() if simulate else ()
            return draw_depth_scales(options, runs, style=style, caption=caption, size=size)
        if kind == "phase":
            return draw_phases(
                options,
                contour=contour,
                dots=dots,
                style=style,
                caption=caption,
                size=size,
            )
        return draw(
            subject,
            kind,
            style=style,
            layers=layers,
            chosen_map=chosen_map,
            weight_sum=weight_sum,
            weight_square_sum=weight_square_sum,
            residuals=residuals,
            band=band,
            caption=caption,
            size=size,
            interactive=form == HTML,
        )

    _written(ctx, figure, output, form, dpi, kind, lambda: subject.told)
    if subject.partial:
        ctx.exit(130)


def _require_dots(ctx: click.Context, form: str) -> None:
    """Raise UsageError for dots per inch of a picture that has none."""
    if form != "png" and ctx.get_parameter_source("dpi") is not ParameterSource.DEFAULT:
        raise click.UsageError(f"--dpi cannot be used with {form}, which has no dots; leave it out")


def _written(
    ctx: click.Context,
    figure: Callable[[], Any],
    output: str | None,
    form: str,
    dpi: float,
    kind: str,
    told: Callable[[], str] = str,
) -> None:
    """Draw the figure and write it where -o says."""
    words = command_words(ctx)
    if output == STDOUT:
        drawn = figure()
        write_stdout_binary(lambda file: _save(drawn, file, form, dpi, words))
    elif output is not None:
        with file_output(output, binary=True) as picture:
            _save(figure(), picture, form, dpi, words)
        wrote(output, f"{kind}, {form}{told()}")


def _options_of(ctx: click.Context, options: dict[str, Any], *, traced: bool) -> dict[str, Any]:
    """Return the options of a run: those of a traced module that were given, or those of a network
    that is simulated."""
    if not traced:
        return {name: value for name, value in options.items() if name not in TRACED}
    return {
        name: (value,) if name in MODULE_LISTS else value
        for name, value in options.items()
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
    }


def picture_format(output: str | None, form: str | None) -> str:
    """Return the format of the picture, from --format or from the name of the file."""
    if output is None:
        raise click.UsageError(
            "nowhere to draw; add -o FILE.png (or .svg, .pdf, .html), or -o - --format png"
        )
    chosen = format_for(output, form, FORMATS)
    if chosen is None and output == STDOUT:
        raise click.UsageError("-o - needs --format png, svg, pdf or html")
    if chosen is None:
        raise InvalidValueError(
            "output", output, "named .png, .svg, .pdf or .html", "or add --format"
        )
    return chosen


def _save(figure: Any, file: Any, form: str, dpi: float, words: str) -> None:
    if form == HTML:
        figure.save(file, description=words)
        return
    from snstat.report.figures import save_figure

    save_figure(figure, file, form, dpi=dpi, description=words)
