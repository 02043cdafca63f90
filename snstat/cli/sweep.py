"""`snstat sweep`: a network over a grid of options, one table, a verdict for each cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from snstat.cli import version_option
from snstat.cli.help import Explained
from snstat.cli.modules import MODULE_LISTS, module_options, refuse_module_options
from snstat.cli.output import STDOUT, notice, render, results_only, write_stdout, wrote
from snstat.cli.parameters import FileName
from snstat.cli.sweep_options import result_options, run_options, set_option, sweep_options
from snstat.cli.sweep_progress import duration, listening
from snstat.errors import InvalidValueError
from snstat.report.words import count

if TYPE_CHECKING:
    from snstat.sweeps.cell import Outcome
    from snstat.sweeps.store import Store
    from snstat.sweeps.sweep_file import SweepFile
    from snstat.sweeps.sweeping import Progress, Sweeping

EXAMPLES = """\b
Examples:
  snstat sweep -a relu --over weight-gain=1.2:1.6:9 --over width=64,256
  snstat sweep model.toml --over width=64,256 --over scale=0.1:1:4 -o out.csv
  snstat sweep --theory -a tanh --over weight-gain=1:2:9 --over bias-std=0,0.1
  snstat sweep widths.toml --seeds 5 --dry-run
  snstat sweep models:mlp --input Bx128 --over width=64,256 -o traced.csv"""


@click.command(cls=Explained, epilog=EXAMPLES)
@click.argument(
    "subject",
    type=FileName(),
    required=False,
    metavar="[SWEEP.toml | FILE.toml | package.module:name]",
)
@sweep_options
@set_option
@run_options
@module_options
@result_options
@version_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    subject: str | None,
    form: str | None,
    output: str | None,
    dry_run: bool,
    **given: Any,
) -> None:
    """Run a network for every combination of some options, and judge each.

    The network is the uniform stack that options describe, that of a network file, or a PyTorch
    module, whose cells are traces. A file with the tables [sweep], [run] and [grid] says all of it.

    The table has a line for each combination, with its verdict and the last layer. -o FILE.csv or
    FILE.parquet has a row for each cell and layer. It is written while the sweep runs: after an
    interruption of any kind, the same command goes on where it stopped, and a changed grid runs
    what is new. A cell that fails is named, does not end the others, and is tried again by the same
    command.

    Exit codes: 0 all cells are done, 1 some failed, 2 wrong usage, 130 interrupted.
    """
    asked, own_output = _asked(ctx, subject, given)
    output = own_output if output is None else output
    if output == STDOUT:
        form, output = form or "csv", None
    if form == "csv" and output is not None:
        raise InvalidValueError("format", form, "table or markdown beside -o FILE")
    if output is not None:
        from snstat.sweeps.stores import require_format

        require_format(output)
    with results_only():
        plan = asked.require_possible()
    if dry_run:
        _told(asked, output)
        return
    with asked.opened(output) as store:
        before = asked.done_in(store.done)
        if before:
            notice(f"{output} has {count(before, 'cell')}; the sweep goes on")
        if others := len(store.done) - before:
            kept = "it is kept" if others == 1 else "they are kept"
            notice(f"{output} has {count(others, 'cell')} of {asked.subject.others}; {kept}")
        if not asked.theory and asked.dask is None:  # workers have kernels of their own
            plan.warm(notice)
        progress, failed = _run(ctx, asked, store, output, before)
        write_stdout(_pieces(asked, store, form or "table"))
        wrote(output, f"{count(store.rows, 'row')}, {count(len(asked.grid), 'cell')}")
    _name_failed(asked, failed, progress.failed)
    if progress.failed:
        ctx.exit(1)


def _run(
    ctx: click.Context, asked: Sweeping, store: Store, output: str | None, before: int
) -> tuple[Progress, list[Outcome]]:
    """Run the sweep with its progress; an interrupt says what is kept."""
    from snstat.sweeps.dask_engine import LostSchedulerError

    try:
        with listening(len(asked.grid)) as listen, results_only():
            return asked.run(store, listen, before=before)
    except LostSchedulerError as error:
        notice(str(error), level=-1)
        ctx.exit(1)
    except KeyboardInterrupt:
        if output is not None:
            words = "what is done is kept, and the same command goes on"
            notice(f"interrupted: {words} ({output})")
        ctx.exit(130)


def _asked(
    ctx: click.Context, subject: str | None, given: dict[str, Any]
) -> tuple[Sweeping, str | None]:
    """Return the sweep that a command line describes, and the output that its file names."""
    from snstat.disk.toml_file import TomlFile
    from snstat.network.network import SUFFIX
    from snstat.sweeps.subject import MODULE, SweepSubject
    from snstat.sweeps.sweep_file import SweepFile, is_sweep, sweep_of_file

    typed = {
        name: value
        for name, value in given.items()
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    if subject is not None and subject.lower().endswith(SUFFIX):
        found = TomlFile.read(subject, "a sweep or a network file is short")
        if is_sweep(found.root):
            file = sweep_of_file(found)
        else:
            file = SweepFile(SweepSubject.of_form(found.root, subject))
    else:
        file = SweepFile(SweepSubject.of(subject))
    if file.subject.kind != MODULE:
        refuse_module_options(ctx)
    return _sweeping(file, typed), file.settings.get("output")


def _sweeping(file: SweepFile, typed: dict[str, Any]) -> Sweeping:
    """Return the sweep of a file, with what was typed beside it."""
    from snstat.sweeps.subject import NETWORK
    from snstat.sweeps.sweep import asked_for
    from snstat.sweeps.sweep_file import KEYS
    from snstat.sweeps.values import typed_values

    subject = file.subject
    over, zipped = typed.pop("over", ()), typed.pop("zipped", ())
    settings = {name: value for name, value in file.settings.items() if name != "output"}
    settings |= {name: typed.pop(name) for name in (*KEYS, "dask") if name in typed}
    groups = [
        *settings.pop("zip", ()),
        *([word.strip() for word in text.split(",")] for text in zipped),
    ]
    changes = {**file.set, **dict(typed.pop("set", ()))}
    own: dict[str, Any] = {}
    axes: dict[str, Any] = {}
    for name, value in typed.items():
        if name not in subject.options:
            what = "a network file" if subject.kind == NETWORK else "this subject"
            raise click.UsageError(f"--{name.replace('_', '-')} cannot be used beside {what}")
        several = isinstance(value, tuple) and name not in MODULE_LISTS
        if several and len(value) > 1:
            axes[name] = list(value)
        else:
            own[name] = value[0] if several else value
    for name, text in over:
        key, kind = subject.named(name, "over")
        if key in axes:
            raise InvalidValueError("over", name, "given once")
        try:
            axes[key] = typed_values(key, text, kind)
        except InvalidValueError as error:
            if error.name != key:
                raise
            typed_text = f"{name}={error.value}"
            raise InvalidValueError("over", typed_text, error.bound, error.remedy) from None
    options = {name: value for name, value in file.options.items() if name not in axes} | own
    axes = {**{name: values for name, values in file.grid.items() if name not in axes}, **axes}
    return asked_for(subject, axes, zip=groups, set=changes, **settings, **options)


def _pieces(asked: Sweeping, store: Store, form: str) -> Iterable[str]:
    """Return the result in the requested format, in pieces."""
    from snstat.report.sweep import print_sweep, sweep_to_markdown
    from snstat.sweeps.store import MemoryStore
    from snstat.sweeps.text import csv_row

    if form == "csv" and isinstance(store, MemoryStore):
        return (csv_row(row) for row in (store.columns, *store.all_rows()))
    rows = store.ends(cell.key for cell in asked.cells(in_order=True))
    over, theory = asked.over, asked.theory
    if form == "markdown":
        return [sweep_to_markdown(rows, over, theory=theory)]
    return [render(lambda console: print_sweep(rows, over, console, theory=theory), file=False)]


def _name_failed(asked: Sweeping, failed: Sequence[Outcome], number: int) -> None:
    """Print a notice of each failed cell, as far as they are named."""
    for outcome in failed:
        notice(f"failed: {asked.differing(outcome.values)}: {outcome.error}", level=-1)
    if number > len(failed):
        notice(f"{number - len(failed):,} more failed: see the column error", level=-1)


def _told(asked: Sweeping, output: str | None) -> None:
    """Print how many cells a sweep has, how long they take, and how much memory."""
    from snstat.sweeps.estimate import estimate
    from snstat.sweeps.stores import done_in

    done = frozenset() if output is None else done_in(output, asked.columns)
    with results_only():
        found = estimate(asked, done)
    before = f", {found.done:,} of them done" if found.done else ""
    shape = " × ".join(
        f"{len(axis.values):,} {' and '.join(axis.names)}" for axis in asked.grid.axes
    )
    lines = [f"{count(len(asked.grid), 'cell')}{before}" + (f": {shape}" if shape else "")]
    if found.left:
        lines.append(f"about {duration(found.seconds)} on {count(asked.workers, 'thread')}")
        lines.append(f"about {found.bytes / 2**20:,.0f} MiB of memory at once")
    write_stdout([f"{line}\n" for line in lines])
