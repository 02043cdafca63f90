"""Write results, progress and notices; handle a closed pipe and a full disk."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import IO, TYPE_CHECKING, Any

import click

from snstat.cli.signals import discard_stdout
from snstat.disk.atomic import whole_file, writing_error
from snstat.errors import OutputFileError, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

STDOUT = "-"
# A run shorter than this needs no progress bar.
PATIENCE_SECONDS = 1.0
# Without a terminal, a notice says after this many seconds that reading takes long.
LONG_SECONDS = 5.0
# Columns of a terminal whose width is unknown.
UNKNOWN_WIDTH = 80
MOST_OF_A_NOTICE = 500


# Takes the pieces of a result.
Sink = Callable[[Iterable[str]], None]


@contextmanager
def text_output(path: str | None) -> Iterator[Sink]:
    """Open the place that -o names before the long run starts, and yield a writer to it.

    A file appears whole or not at all. A reader that closes the pipe early ends the program
    quietly.
    """
    if path is None or path == STDOUT:
        yield write_stdout
        return
    with file_output(path) as file:

        def write(pieces: Iterable[str]) -> None:
            file.writelines(pieces)

        yield write


@contextmanager
def file_output(path: str, *, binary: bool = False) -> Iterator[IO[Any]]:
    """Open a file that appears whole or not at all, as `whole_file` does. If an interrupt leaves
    nothing to write, a notice says so."""
    try:
        with whole_file(path, binary=binary) as file:
            yield file
    except KeyboardInterrupt:
        notice(f"interrupted: nothing was written to {path}")
        raise


@contextmanager
def results_only() -> Iterator[None]:
    """Keep standard output for results while code of the user runs: what it prints goes to standard
    error."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def wrote(path: str | None, what: str) -> None:
    """Print a notice that the file of -o is written, and what it holds."""
    if path is not None and path != STDOUT:
        notice(f"wrote {path}: {what}")


def write_stdout(pieces: Iterable[str]) -> None:
    """Write text to standard output, in ASCII where its encoding cannot express it."""
    stream = sys.stdout
    if stream is None:
        raise OutputFileError("standard output", "is closed", "use -o FILE")
    encoding = stream.encoding or "utf-8"

    def write() -> None:
        for piece in pieces:
            stream.write(expressible(piece, encoding))
        stream.flush()

    _guarded(write)


def expressible(text: str, encoding: str) -> str:
    """Return `text`, spelled in ASCII if `encoding` cannot express it."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        from snstat.report.glyphs import ascii_text

        return ascii_text(text)
    return text


def write_stdout_binary(write: Callable[[IO[bytes]], None]) -> None:
    """Call `write` with standard output as a binary stream."""
    if sys.stdout is None:
        raise OutputFileError("standard output", "is closed", "use -o FILE")

    def write_and_flush() -> None:
        write(sys.stdout.buffer)
        sys.stdout.buffer.flush()

    _guarded(write_and_flush)


def _guarded(write: Callable[[], None]) -> None:
    try:
        write()
    except BrokenPipeError:
        # The pipe is closed. Nothing more may be flushed there at exit.
        discard_stdout()
        raise click.exceptions.Exit(0) from None
    except OSError as error:
        discard_stdout()
        raise writing_error("standard output", error) from None


def render(draw: Callable[[Console], Any], *, file: bool) -> str:
    """Return what `draw` prints to a console like standard output, or to a file.

    Nothing is written here, so that every write to standard output fails in one place.
    """
    from rich.console import Console

    if file:
        # A file has no terminal: wide enough for everything, no colour.
        buffer = _Buffer("utf-8", terminal=False)
        console = Console(file=buffer, width=120, no_color=True, highlight=False)
    else:
        stream = sys.stdout or _Buffer("utf-8", terminal=False)
        buffer = _Buffer(stream.encoding or "utf-8", terminal=stream.isatty())
        console = Console(file=buffer, highlight=False)
        if console.width < 1:  # COLUMNS=0, or a terminal that does not report its width
            console.width = UNKNOWN_WIDTH
    draw(console)
    return buffer.getvalue()


class _Buffer(io.StringIO):
    """Text in memory that acts as a file of some encoding, or as a terminal."""

    def __init__(self, encoding: str, *, terminal: bool) -> None:
        super().__init__()
        self._encoding, self._terminal = encoding, terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed thinks it can be set
        """The encoding that the text will be written in."""
        return self._encoding

    def isatty(self) -> bool:
        """Return whether this stands for a terminal."""
        return self._terminal


class Bar:
    """A bar on standard error, which appears once the work has taken about a second."""

    def __init__(self, title: str, total: float | None, told: str) -> None:
        self.title, self.total, self.told = title, total, told
        self.began, self.stopped = time.monotonic(), False
        self._progress: Progress | None = None

    def update(self, done: float, **more: Any) -> None:
        """Show how much is done, once the work has taken long enough; `more` are the other fields
        of the text."""
        if self.stopped or time.monotonic() - self.began < PATIENCE_SECONDS:
            return
        if self._progress is None:
            self._progress = self._started(more)
        self._progress.update(self._progress.task_ids[0], completed=done, **more)

    def stop(self) -> None:
        """Remove the bar."""
        self.stopped = True
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _started(self, more: dict[str, Any]) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn(self.told),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        progress.add_task(self.title, total=self.total, **more)
        progress.start()
        return progress


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Callable[[int], None] | None]:
    """Yield a function to call with the work done so far, or None without a terminal."""
    with reading_bar() as reading:
        if not shows_progress():
            yield None
            return
        bar = Bar(title, total, "{task.completed:.0f}/{task.total:.0f} layers × trials")

        def update(done: int) -> None:
            reading.stop()  # one bar at a time
            bar.update(done)

        try:
            yield update
        finally:
            bar.stop()


@contextmanager
def looking_bar(title: str) -> Iterator[Callable[[], None]]:
    """Yield a function to call at each step of a search of unknown length."""
    bar, looks = Bar(title, None, "{task.completed:.0f} looks"), count(1)

    def tick() -> None:
        number = next(looks)
        if shows_progress():
            bar.update(number)

    try:
        yield tick
    finally:
        bar.stop()


@contextmanager
def reading_bar() -> Iterator[Bar]:
    """Show the progress of reading data within the block. Without a terminal, print a notice if it
    takes long, and another each time that it has taken twice as long."""
    from snstat.experiment.reading import listening

    bar = Bar("reading data", 1.0, "{task.percentage:.0f} %")
    long = LONG_SECONDS

    def listen(share: float) -> None:
        nonlocal long
        if shows_progress():
            bar.update(share)
        elif time.monotonic() - bar.began > long:
            notice(f"reading data takes long: {share:.0%} of a pass after {long:.0f} s")
            long *= 2.0

    try:
        with listening(listen):
            yield bar
    finally:
        bar.stop()


def shows_progress() -> bool:
    """Return whether progress can be seen and is wanted."""
    return sys.stderr.isatty() and Verbosity.level >= 0


class Verbosity:
    """What goes to standard error beside errors: -1 nothing, 0 important notices, 1 more."""

    level = 0


def notice(message: str, level: int = 0) -> None:
    """Print a notice, which is no error, on standard error. A closed standard error is ignored.

    `level` is the lowest verbosity at which the notice is printed.
    """
    if Verbosity.level < level:
        return
    with contextlib.suppress(OSError):
        click.echo(f"snstat: {printable(message, MOST_OF_A_NOTICE)}", err=True)
