"""`snstat spectrum`: singular values of the Jacobian of a network."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from snstat.cli import version_option
from snstat.cli.formats import format_for
from snstat.cli.help import Explained
from snstat.cli.networks import Setting, file_argument, networks_of, set_option
from snstat.cli.options import FORMATS, apply, declared_options, output_options
from snstat.cli.output import (
    STDOUT,
    Bar,
    notice,
    reading_bar,
    render,
    shows_progress,
    text_output,
    wrote,
)
from snstat.cli.parameters import Layers
from snstat.cli.sweep_progress import duration
from snstat.cli.variants import Variant, variants
from snstat.errors import InvalidValueError
from snstat.experiment.spectrum_settings import SpectrumSettings
from snstat.network.settings import NetworkSettings
from snstat.report.selection import LayerSelection, parse_layers
from snstat.report.words import count
from snstat.values.option import options_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from snstat.experiment.plans import AnyPlan
    from snstat.experiment.spectrum_plan import SpectrumPlan
    from snstat.network.network import Network
    from snstat.results import Spectrum

EXAMPLES = """\b
Examples:
  snstat spectrum -a tanh --init orthogonal --width 256
  snstat spectrum -a relu --depth 64 --width 256 --layers 1,8,64
  snstat spectrum model.toml --layers last --trials 4
  snstat spectrum model.toml --from-layer body.2
  snstat spectrum -w 128 --format csv -o values.csv"""

# Seconds after which a notice says how long it takes, if it is so many more.
SOON, LONG = 5.0, 20.0
LESS = "fewer --trials, --layers last or --method lanczos take less"

Planned = list[tuple[str, "SpectrumPlan"]]


def spectrum_options(function: Any) -> Any:
    """Add the options that say what is sampled, and at which layers."""
    layers = click.option(
        "--layers",
        type=Layers(),
        metavar="WHICH",
        show_default="1, 8, 64, ... and last",
        help="Layers whose Jacobian by the input is taken: numbers, ranges and last, of a network"
        " file also names.",
    )
    network = options_of(NetworkSettings)
    sampled = declared_options(SpectrumSettings, "Sampling", leave_out=network)
    of_network = declared_options(NetworkSettings, "Network")
    return of_network(apply(sampled(function), [layers], "Sampling"))


@click.command(cls=Explained, epilog=EXAMPLES)
@file_argument
@set_option
@spectrum_options
@output_options
@version_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    file: str | None,
    set: Sequence[Setting],  # noqa: A002  # the name of the option
    form: str | None,
    output: str | None,
    layers: str | None,
    **options: Any,
) -> None:
    """Say which singular values the Jacobian of a network has at a random input.

    The network is that of a file, or the uniform stack that options describe. Each trial draws a
    network and an input. The Jacobian of a layer by the input is exact: unit read-outs are pulled
    back through all layers. Beyond 4,096 units the Lanczos method finds the largest singular value,
    and estimates averages.

    The table shows the mean of the squared singular values, the largest, the share near zero, and
    the variance of the squares over their squared mean; for stacks beside free probability at
    infinite width. With batch norm in train mode, samples depend on each other: the Jacobian is
    that of the first of --batch samples by its own input, the others fixed. Tokens have no small
    changes: the Jacobian is that by their embedding.
    """
    form = format_for(output, form, FORMATS) or "table"
    selection = None if layers is None else parse_layers(layers)
    planned = plans(variants(options), networks_of(ctx, file, set), selection)
    with text_output(output) as write:
        found = sample_all(planned)
        write(pieces(found, form, file=output not in (None, STDOUT)))
    wrote(output, count(len(found), "run"))


def plans(
    wanted: Sequence[Variant],
    networks: Sequence[Network | None],
    selection: LayerSelection | None,
) -> Planned:
    """Return the plan of each run with the name to show beside its progress; all are validated
    before the first one runs."""
    from snstat.experiment.spectrum_plan import SpectrumPlan, require_use_of

    chosen = None if selection is None else partial(_layers, selection)
    with reading_bar():  # data are read to be standardized
        found: Planned = []
        for network in networks:
            for variant in wanted:
                settings = SpectrumSettings(**variant.options)
                plan = SpectrumPlan.of_settings(settings, network, chosen)
                name = variant.name or plan.subject.called
                if network is not None:
                    name = ", ".join(filter(None, (network.name, variant.name)))
                found.append((name, plan))
    for variant in wanted:
        require_use_of(variant.options["batch"], [plan for _, plan in found])
    return found


def _layers(selection: LayerSelection, plan: AnyPlan) -> list[int]:
    """Return the layers of a plan that are chosen. Raises InvalidValueError for the input, whose
    Jacobian by itself is the identity, unless words choose it with others."""
    from snstat.experiment.spectrum_settings import Depths

    selection.require_within(plan.depth)
    if selection.kind == "list" and any(first == 0 for first, _ in selection.spans):
        bound = "layers from 1: the Jacobian of the input by itself is the identity"
        raise InvalidValueError("layers", 0, bound)
    rows = [layer for layer in selection.of(plan.subject) if layer > 0]
    return list(Depths().check("layers", rows))


def sample_all(planned: Planned) -> list[Spectrum]:
    """Sample each plan, with progress."""
    found = []
    for name, plan in planned:
        plan.warm(notice)
        began = time.perf_counter()
        with _progress(name, plan.steps) as progress:
            found.append(plan.run(progress))
        notice(f"{name}: {time.perf_counter() - began:.2f} s", level=1)
    return found


@contextmanager
def _progress(name: str, trials: int) -> Iterator[Callable[[float], None]]:
    """Yield a function to call with the trials done: for a bar, or without a terminal for a notice
    of what takes long."""
    if not shows_progress():
        yield _Announced(name, trials)
        return
    bar = Bar(name, trials, "{task.completed:.1f}/{task.total:.0f} trials")
    try:
        yield bar.update
    finally:
        bar.stop()


class _Announced:
    """Says once how long trials take, if that is long."""

    def __init__(self, name: str, trials: int) -> None:
        self._name, self._trials, self._began, self._said = name, trials, time.monotonic(), False

    def __call__(self, done: float) -> None:
        """See so many trials done."""
        passed = time.monotonic() - self._began
        if self._said or passed < SOON or done <= 0:
            return
        self._said = True
        left = passed * (self._trials - done) / done
        if left > LONG:
            notice(f"{self._name}: about {duration(left)} left; {LESS}")


def pieces(found: Sequence[Spectrum], form: str, *, file: bool) -> Iterable[str]:
    """Return the result in the requested format, in pieces."""
    from snstat.report import spectrum

    if form == "json":
        from snstat.files.spectrum_form import spectra_to_json

        return spectra_to_json(found)
    if form == "csv":
        return spectrum.spectra_to_csv(found)
    if form == "markdown":
        return [spectrum.spectra_to_markdown(found)]
    return [render(lambda console: spectrum.print_spectra(found, console), file=file)]
