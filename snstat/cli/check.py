"""`snstat check`: a verdict on a network, with an exit code."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from snstat.cli import version_option
from snstat.cli.check_formats import FORMATS, TABLE, formatted
from snstat.cli.check_options import bound_options, check_options, check_output_options
from snstat.cli.check_weights import check_weights, is_weights
from snstat.cli.check_widths import check_widths, require_only_widths
from snstat.cli.formats import format_for
from snstat.cli.help import Explained
from snstat.cli.modules import module_options, subjects_of
from snstat.cli.networks import Setting, set_option
from snstat.cli.options import refuse_others, stack_options
from snstat.cli.output import (
    STDOUT,
    file_output,
    looking_bar,
    notice,
    progress_bar,
    render,
    results_only,
    text_output,
    write_stdout,
    wrote,
)
from snstat.cli.parameters import FileName
from snstat.cli.requests import Requests, same_file
from snstat.errors import InvalidValueError, SnstatError
from snstat.experiment.trace_settings import is_onnx

if TYPE_CHECKING:
    from snstat.checks.request import Request
    from snstat.results import Check, Run

FILES = "[FILE | module:name | WEIGHTS | -] ..."
EXAMPLES = """\b
Examples:
  snstat check model.toml --set width=512
  snstat check models:resnet --input Bx3x32x32
  snstat check --write-baseline base.json
  snstat check --baseline base.json --weight-gain 1.02
  snstat check model.safetensors -a selu --init lecun_normal"""


@click.command(cls=Explained, epilog=EXAMPLES)
@click.argument("saved", nargs=-1, type=FileName(), metavar=FILES)
@check_options
@bound_options
@set_option
@stack_options
@module_options
@check_output_options
@version_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    saved: tuple[str, ...],
    set: Sequence[Setting],  # noqa: A002  # the name of the option
    list_rules: bool,
    explain: str | None,
    write_baseline: str | None,
    config: str | None,
    form: str | None,
    output: str | None,
    only: tuple[str, ...],
    allow_code: bool,
    widths_flat: bool,
    **options: Any,
) -> None:
    """Judge a network: show a verdict, every broken rule, and a remedy.

    The network is that of a file, a PyTorch module, or the uniform stack that options describe. The
    name of a module is that of its function; it is imported, which runs its code. Without these and
    without options that describe a stack (those from --activation to --input-std, and --dtype),
    the checks of snstat.toml or of [tool.snstat.check] in pyproject.toml are run, from this folder
    or the nearest above it, and other options hold for all of them; where there are none, the
    default stack is checked. An option with several values, repeated or with commas, makes a check
    for each: --weight-gain 1,1.5,2. Every run of the saved files is a check. A file of weights
    (.safetensors, .npz, .pt and others that snstat weights reads) is judged as it is: --activation
    and --init then say what it is meant for. An ONNX file beside --input is run. The exit code is 1
    if a check fails.
    """
    form = format_for(output, form, FORMATS) or TABLE
    given = {
        name: value
        for name, value in options.items()
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    if list_rules or explain is not None:
        what = "list_rules" if list_rules else "explain"
        refuse_others(ctx, {what}, f"beside --{what.replace('_', '-')}")
        write_stdout([_about_rules(explain)])
        return
    _require_places(output, write_baseline)
    traced = {"input", "inputs"} & given.keys()  # without these, weights are judged
    if any(is_weights(path) and not (traced and is_onnx(path)) for path in saved):
        places = {"output": output, "write_baseline": write_baseline}
        check_weights(ctx, saved, form, given | places)
        return
    if widths_flat:
        require_only_widths(given)
    networks, runs_of = subjects_of(ctx, saved, set)
    requests = Requests(
        ctx, runs_of, config, given, write_baseline, only, networks, allow_code=allow_code
    ).all()
    with ExitStack() as files:
        files.enter_context(_interrupt_reported())
        write = files.enter_context(text_output(output))
        kept = files.enter_context(file_output(write_baseline)) if write_baseline else None
        checks, runs, seconds = [], [], []
        began = time.perf_counter()
        for request, run in _carried_out(requests):
            if run.partial and request.plan is not None:
                raise KeyboardInterrupt
            runs.append(run)
            if widths_flat:
                continue
            with _located(request), looking_bar(f"remedies for {request.name}") as tick:
                checks.append(request.judge(run, tick=tick))
            seconds.append(time.perf_counter() - began)
            notice(f"{request.name}: {checks[-1].verdict}, {seconds[-1]:.2f} s", level=1)
            began = time.perf_counter()
        if kept is not None:
            from snstat.files.saved import runs_to_json

            kept.writelines(runs_to_json(runs, [request.name for request, _ in requests]))
            kept.flush()  # reports a full disk before the verdict
        whole = output not in (None, STDOUT)
        more = ""
        if widths_flat:
            judged, more = check_widths(requests, runs, form, file=whole)
            checks, seconds = [judged], [time.perf_counter() - began]
        try:
            write([formatted(checks, form, seconds, file=whole), more])
        except click.exceptions.Exit as seen_enough:
            # A closed pipe changes neither the verdict nor the baseline.
            if seen_enough.exit_code != 0:
                raise
    if write_baseline is not None or output is not None:
        _told(write_baseline, len(runs), output, checks)
    if not all(check.passed for check in checks):
        ctx.exit(1)


def _told(write_baseline: str | None, runs: int, output: str | None, checks: list[Check]) -> None:
    """Print what was written where."""
    from snstat.report.check_words import tally
    from snstat.report.words import count

    wrote(write_baseline, f"baseline of {count(runs, 'check')}")
    wrote(output, tally(checks))


def _require_places(output: str | None, write_baseline: str | None) -> None:
    """Raise InvalidValueError unless result and baseline go to different places."""
    if write_baseline == STDOUT:
        raise InvalidValueError("--write-baseline", STDOUT, "the name of a file")
    if output != STDOUT and write_baseline is not None and same_file(output, write_baseline):
        raise InvalidValueError(
            "--write-baseline", write_baseline, "another file than --output", "rename one"
        )


def _carried_out(
    requests: Sequence[tuple[Request, Run | None]],
) -> Iterator[tuple[Request, Run]]:
    """Yield each request with its run, which is simulated now unless it was saved."""
    for request, run in requests:
        if run is not None:
            yield request, run
        elif request.plan is not None:
            plan = request.plan
            plan.warm(notice)
            with (
                _located(request),
                progress_bar(request.name, plan.steps) as progress,
                results_only(),
            ):
                simulated = plan.run(progress)
            yield request, simulated


@contextmanager
def _interrupt_reported() -> Iterator[None]:
    """Print why an interrupted command shows no verdict."""
    try:
        yield
    except KeyboardInterrupt:
        notice("interrupted: a part of a run is not judged")
        raise


@contextmanager
def _located(request: Request) -> Iterator[None]:
    """Add the place of the check to an error, if the check has one."""
    try:
        yield
    except SnstatError as error:
        if request.source is None:
            raise
        from snstat.checks.config import located

        raise located(request.source, request.name, error) from None


def _about_rules(code: str | None) -> str:
    """Return the page of the rule `code`, or the list of all rules."""
    from snstat.checks.rules import catalogue, explanation
    from snstat.report.rules import print_page, print_rules

    if code is not None:
        page = explanation(code)
        return render(lambda console: print_page(page, console), file=False)
    return render(lambda console: print_rules(catalogue(), console), file=False)
