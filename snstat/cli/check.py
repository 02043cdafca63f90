"""`snstat check`: a verdict on a stack, with an exit code."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from snstat.atomic import whole_file
from snstat.cli import version_option
from snstat.cli.check_formats import FORMATS, TABLE, formatted
from snstat.cli.check_options import OVERALL, STACK, bound_options
from snstat.cli.options import output_option, refuse_others, stack_options
from snstat.cli.output import STDOUT, notice, progress_bar, render, text_output, write_stdout
from snstat.errors import InvalidValueError, SnstatError

if TYPE_CHECKING:
    from snstat.checking import Reader, Request
    from snstat.checks.config import Declared
    from snstat.results import Run

EXAMPLES = """\b
Examples:
  snstat check
  snstat check -a relu --depth 128 --ignore SN301
  snstat check --write-baseline base.json
  snstat check --baseline base.json --weight-gain 1.02
  snstat check run.json --baseline base.json --format markdown
  snstat check --explain SN202"""


@click.command(epilog=EXAMPLES)
@click.argument("saved", required=False, metavar="[RUN.json | -]")
@click.option(
    "--select", multiple=True, metavar="CODE", help="Only these rules, or SN2 for all 2xx."
)
@click.option("--ignore", multiple=True, metavar="CODE", help="Without these rules.")
@click.option("--list-rules", is_flag=True, help="List the rules and exit.")
@click.option("--explain", metavar="CODE", help="Explain a rule and exit.")
@click.option("--baseline", metavar="FILE", help="Compare with this run, layer by layer.")
@click.option("--write-baseline", metavar="FILE", help="Save what was run, to compare with later.")
@click.option(
    "--same-seed", is_flag=True, help="The baseline's own networks, equal to the last bit."
)
@click.option(
    "--config", metavar="FILE", help="Run the checks of this pyproject.toml or snstat.toml."
)
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default=TABLE,
    show_default=True,
    help="Form of the result.",
)
@output_option
@bound_options
@stack_options
@version_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    saved: str | None,
    list_rules: bool,
    explain: str | None,
    write_baseline: str | None,
    config: str | None,
    form: str,
    output: str | None,
    **options: Any,
) -> None:
    """Judge a stack: a verdict on top, every rule that it breaks, and what to try.

    Without options that describe a stack (those from --activation to --input-std, and --dtype),
    the checks of snstat.toml or of [tool.snstat.check] in pyproject.toml are run, from this folder
    or the nearest above it, and other options hold for all of them; where there are none, the
    default stack is checked. The exit code is 1 if a check fails.
    """
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
    requests = _requests(ctx, saved, config, given, write_baseline)
    with ExitStack() as files:
        write = files.enter_context(text_output(output))
        kept = files.enter_context(whole_file(write_baseline)) if write_baseline else None
        checks, runs = [], []
        for request, run in _carried_out(requests):
            if run.partial and request.plan is not None:
                notice("interrupted: a part of a run is not judged")
                ctx.exit(130)
            runs.append(run)
            with _located(request):
                checks.append(request.judge(run))
        if kept is not None:
            from snstat.saved import runs_to_json

            kept.writelines(runs_to_json(runs, [check.name for check in checks]))
            kept.flush()  # a full disk is told before the verdict
        try:
            write([formatted(checks, form, file=output not in (None, STDOUT))])
        except click.exceptions.Exit as seen_enough:
            # A reader that closes the pipe changes neither the verdict nor the baseline.
            if seen_enough.exit_code != 0:
                raise
    if not all(check.passed for check in checks):
        ctx.exit(1)


def _requests(
    ctx: click.Context,
    saved: str | None,
    config: str | None,
    given: dict[str, Any],
    write_baseline: str | None,
) -> list[tuple[Request, Run | None]]:
    """Return what is to be judged: a saved run, the checks of a configuration, or one stack."""
    from snstat.checking import BOUNDS, Request
    from snstat.checks.rules import BASELINE_CODE
    from snstat.results import DEFAULT_NAME
    from snstat.saved import load_named

    stack = [name for name in given if name in STACK]
    read = cache(load_named)  # standard input can be read once
    if write_baseline is not None and same_file(given.get("baseline"), write_baseline):
        given = given | {"ignore": (*given.get("ignore", ()), BASELINE_CODE)}
    if saved is not None:
        if config is not None:
            raise InvalidValueError("--config", config, "left out beside a saved run")
        refuse_others(ctx, OVERALL | set(BOUNDS))
        runs = read(saved)
        names = [DEFAULT_NAME] if len(runs) == 1 else list(runs)
        return [
            (Request.build(given, name=name, saved=run, read=read), run)
            for name, run in zip(names, runs.values(), strict=True)
        ]
    if config is not None and stack:
        option = next(
            max(entry.opts, key=len) for entry in ctx.command.params if entry.name == stack[0]
        )
        raise InvalidValueError(
            "--config", config, f"left out beside {option}", "put the option into the file"
        )
    if not stack:
        from snstat.checks.config import find_config

        path = Path(config) if config is not None else find_config(Path())
        if path is not None:
            return [(request, None) for request in _declared(path, given, write_baseline, read)]
    activations = list(dict.fromkeys(given.pop("activations", ())))
    if len(activations) < 2:
        single = {"activation": activations[0]} if activations else {}
        return [(Request.build(given | single, read=read), None)]
    return [
        (Request.build(given | {"activation": name}, name=name, read=read), None)
        for name in activations
    ]


def _declared(
    path: Path, given: dict[str, Any], write_baseline: str | None, read: Reader
) -> Iterator[Request]:
    """Yield the checks that a configuration declares, with the options `given` for all of them."""
    from snstat.checking import Request
    from snstat.checks.config import load_config, located

    def request(declared: Declared, options: dict[str, Any]) -> Request:
        # What is about to be replaced is not compared with, and need not exist yet.
        if write_baseline is not None and same_file(options.get("baseline"), write_baseline):
            options = {key: options[key] for key in options if key != "baseline"}
        return Request.build(options, name=declared.name, source=declared.source, read=read)

    for declared in load_config(path):
        try:
            yield request(declared, {**declared.options, **given})
        except SnstatError as error:
            try:
                request(declared, dict(declared.options))
            except SnstatError:
                raise located(declared.source, declared.name, error) from None
            # Without the command line nothing is wrong with the file.
            raise


def _require_places(output: str | None, write_baseline: str | None) -> None:
    """Raise InvalidValueError unless result and baseline have places of their own."""
    if write_baseline == STDOUT:
        raise InvalidValueError("--write-baseline", STDOUT, "the name of a file")
    if output != STDOUT and write_baseline is not None and same_file(output, write_baseline):
        raise InvalidValueError(
            "--write-baseline", write_baseline, "another file than --output", "rename one"
        )


def same_file(path: str | None, other: str) -> bool:
    """Return whether two names are of one file, whether it exists or not."""
    return path is not None and os.path.realpath(path) == os.path.realpath(other)


def _carried_out(
    requests: Sequence[tuple[Request, Run | None]],
) -> Iterator[tuple[Request, Run]]:
    """Yield each request with its run, simulated now unless it was saved."""
    for request, run in requests:
        if run is not None:
            yield request, run
        elif request.plan is not None:
            from snstat.engine.warmup import compile_kernels

            plan = request.plan
            compile_kernels(
                plan.stack.init, plan.dtype, plan.sampler, backward=plan.backward, notice=notice
            )
            with (
                _located(request),
                progress_bar(request.name, plan.stack.depth * plan.trials) as progress,
            ):
                simulated = plan.run(progress)
            yield request, simulated


@contextmanager
def _located(request: Request) -> Iterator[None]:
    """Let an error name the place of the check, if it has one."""
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
