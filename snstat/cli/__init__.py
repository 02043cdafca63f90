"""The command line: one short file per command, errors and exit codes in one place.

Commands are imported when they are invoked, so `snstat --help` costs little more than click.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import io
import math
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import fields
from importlib import import_module
from typing import Any, NoReturn

import click

from snstat import __version__
from snstat.cli.help import Explained
from snstat.cli.output import Verbosity
from snstat.cli.signals import discard_stdout, end_cleanly
from snstat.errors import SnstatError, Spelling, UnknownNameError, UserCodeError, printable
from snstat.limits import memory_limits, require_room

# New objects before a search for garbage, and searches before more thorough ones.
COLLECT_AFTER = (100_000, 50, 100)
# Values of SNSTAT_DEBUG that leave tracebacks out.
OFF = ("", "0", "false", "no", "off")
# Set by a shell that requests completions.
COMPLETION = "_SNSTAT_COMPLETE"
MOST_OF_A_COMPLAINT = 700
OUT_OF_MEMORY = (
    "out of memory; give the program more of it, or use a smaller --width, --batch or --trials"
)
OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

# Name → its line in `snstat --help`; the command is `command` in snstat.cli.<name>.
COMMANDS = {
    "propagate": "Simulate random networks and report every layer beside its theory.",
    "trace": "Run a PyTorch module and report every call of its parts.",
    "fixedpoint": "Find and describe the fixed points of the mean and variance maps.",
    "check": "Judge networks by rules and baselines: verdict, remedies, exit code.",
    "plot": "Draw trajectories, maps, histograms or correlations to a file.",
    "spectrum": "Say which singular values the Jacobian of a network has, beside theory.",
    "sweep": "Run a network over a grid of options: a table, a verdict for each cell.",
    "show": "Show the layers of a network: names, kinds, shapes, numbers of parameters.",
    "weights": "Say what the weights of a file are: initialisers, rows, singular values.",
    "layers": "List the kinds of layers, or explain one of them.",
    "schema": "Print the JSON Schema of a result.",
}


version_option = click.version_option(__version__, prog_name="snstat")


class LazyGroup(Explained, click.Group):
    """A group that knows its commands by name and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the names in the order of the help text."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a command, or None."""
        cmd_name = cmd_name.lower()
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"snstat.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names, or suggest the nearest one."""
        if args and not args[0].startswith("-") and args[0].lower() not in COMMANDS:
            raise UnknownNameError("command", args[0], COMMANDS)
        require_room()  # before anything large is imported
        return super().resolve_command(ctx, args)

    def more(self, ctx: click.Context) -> str:  # noqa: ARG002  # as in the parent
        """Return where a reader of the short help finds more."""
        return "snstat COMMAND -h names the options of a command, --help explains them."

    def format_names(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        self.format_commands(ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, then the options."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    epilog="Start with: snstat propagate --depth 64",
)
@version_option
@click.pass_context
def group(ctx: click.Context) -> None:
    """Predict and simulate whether the signal survives a network, forward and backward.

    Activation statistics of deep networks, layer by layer: what theory predicts beside what a
    simulated random network does.

    Numbers may be written 1e3, 2/3 or sqrt(2); names match whatever their case.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors become one line on standard error."""
    if sys.stderr is None:
        sys.stderr = io.StringIO()  # closed by the caller: nobody listens
    Verbosity.level = 0
    typed = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = _invoke(typed)
    except KeyboardInterrupt:
        return _interrupted()
    except click.ClickException as error:
        _complain(error.format_message())
        return BAD_INPUT
    except SnstatError as error:
        if isinstance(error, UserCodeError):
            _show_traceback()
        _complain(error.told(flags(typed)))
        return BAD_INPUT
    except BrokenPipeError:
        # Only help and version are written past snstat.cli.output.
        discard_stdout()
        return OK
    except (ImportError, OSError) as error:
        discard_stdout()
        _complain(_broken(error))
        return BAD_INPUT
    except MemoryError:
        _complain(OUT_OF_MEMORY)
        return BAD_INPUT
    except Exception as error:  # noqa: BLE001  # whatever it is
        # What Python before 3.12 makes of an interrupt while a class is created.
        if isinstance(error.__cause__, KeyboardInterrupt):
            return _interrupted()
        # A defect prints one line too.
        _show_traceback()
        _complain(f"internal error ({type(error).__name__}: {error}); SNSTAT_DEBUG=1 shows where")
        return BAD_INPUT
    return code if isinstance(code, int) else OK


def _interrupted() -> int:
    """End the line on which the terminal shows ^C, and return the exit code."""
    with contextlib.suppress(OSError):
        if sys.stderr.isatty():
            click.echo(err=True)
    return INTERRUPTED


def _invoke(arguments: list[str]) -> Any:
    """Run the command that `arguments` name; unlike click's own `main`, let every error pass."""
    if COMPLETION in os.environ:
        group.main(prog_name="snstat")  # answers the shell, and leaves
    try:
        with group.make_context("snstat", arguments) as ctx:
            return group.invoke(ctx)
    except click.exceptions.Exit as done:
        return done.exit_code


def _broken(error: ImportError | OSError) -> str:
    """Return in words what failed in the system."""
    words = " ".join(str(error).split())
    library = isinstance(error, ImportError) or "shared object" in words
    if getattr(error, "errno", None) == errno.ENOMEM or (
        library and any(map(math.isfinite, memory_limits().values()))
    ):
        return OUT_OF_MEMORY
    if library:
        return f"a library cannot be loaded: {words}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror or words}"
    return f"the system refused: {getattr(error, 'strerror', None) or words}"


def flags(typed: Sequence[str]) -> Spelling:
    """Return what writes the name of an argument as the flag that was `typed`: --weight-gain, or
    -d for --depth; other names stay as they are."""

    def spell(argument: str) -> str:
        long, short = _flags(typed).get(argument, (argument, argument))
        letters = any(word.startswith(short) and not word.startswith("--") for word in typed)
        # --widths is another flag than --width.
        whole = any(word.partition("=")[0] == long for word in typed)
        return short if letters and not whole else long

    return spell


def _flags(typed: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the longest and the shortest flag of each option of the command in `typed`, and of how
    saved runs are made, if the name cannot be a word. Importing the command may be what failed, so
    this is for messages that name options."""
    from snstat.network.run_settings import RunSettings
    from snstat.network.settings import NetworkSettings

    # What describes networks has the same name in files, which have no flags.
    network, made = ({own.name for own in fields(of)} for of in (NetworkSettings, RunSettings))
    of_runs = {
        name: flags
        for name, flags in _options_of("propagate").items()
        if name in made - network and "_" in name
    }
    return of_runs | _options_of(next((word for word in typed if not word.startswith("-")), ""))


def _options_of(name: str) -> dict[str, tuple[str, str]]:
    """Return the longest and the shortest flag of each option of a command, if `name` is one."""
    command = group.get_command(click.Context(group), name)
    options = {}
    for parameter in [] if command is None else command.params:
        if isinstance(parameter, click.Option):
            long = max(parameter.opts, key=len)
            options[long.lstrip("-").replace("-", "_")] = (long, min(parameter.opts, key=len))
            # Those that switch one off, such as --eval.
            for off in parameter.secondary_opts:
                options[off.lstrip("-").replace("-", "_")] = (off, off)
    return options


def _show_traceback() -> None:
    """With SNSTAT_DEBUG=1, print the traceback of the error that is handled."""
    if os.environ.get("SNSTAT_DEBUG", "").lower() not in OFF:
        with contextlib.suppress(OSError):
            click.echo(traceback.format_exc(), nl=False, err=True)


def _complain(message: str) -> None:
    with contextlib.suppress(OSError):  # nobody listens: the exit code says it too
        click.echo(f"snstat: error: {printable(message, MOST_OF_A_COMPLAINT)}", err=True)


def main() -> NoReturn:
    """Run the program and exit."""
    # Imports make a million objects and no garbage; looking for it took a sixth of a short run.
    gc.set_threshold(*COLLECT_AFTER)
    end_cleanly()
    leave(run())


def leave(code: int) -> NoReturn:
    """Exit at once: taking the interpreter down object by object takes half as long as a run.

    All files are closed by now. Where standard output cannot be flushed, the usual way out tells of
    it. Where standard error cannot, nobody listens.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        sys.exit(code)
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is not None:
            sys.stderr.flush()
    os._exit(code)
