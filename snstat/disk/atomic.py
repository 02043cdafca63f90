"""Output files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import IO, Any

from snstat.errors import OutputFileError, quoted

# Temporary files that exist now. A program that exits without unwinding removes them.
_unfinished: set[str] = set()


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str], *, binary: bool = False) -> Iterator[IO[Any]]:
    """Open `path` for writing. It appears or changes only if the block ends without an error.

    The content goes to a temporary file in the same folder, which is renamed over `path` at the end
    and removed on any error. A path that exists and is not a regular file (a pipe, /dev/null)
    is written directly. Raises OutputFileError at once if writing cannot succeed. Other errors of
    the block pass.
    """
    import tempfile  # slow to import, and most commands write to standard output

    given = os.fspath(path)
    if not given:
        raise OutputFileError(quoted(given), "the name is empty", "give the name of a file")
    name = os.path.realpath(given)
    mode, encoding = ("wb", None) if binary else ("w", "utf-8")
    newline = None if binary else ""
    try:
        status = os.stat(given) if os.path.exists(given) else None
        if status is not None and stat.S_ISDIR(status.st_mode):
            raise OutputFileError(path, "is a directory", "give the name of a file")
        if status is not None and not stat.S_ISREG(status.st_mode):
            with open(given, mode, encoding=encoding, newline=newline) as file:
                yield file
            return
        if status is not None and not os.access(name, os.W_OK):
            raise OutputFileError(path, "is not writable")
        folder, base = os.path.split(name)
        descriptor, temporary = tempfile.mkstemp(
            prefix=f".{base[:64]}.", suffix=".part", dir=folder
        )
        _unfinished.add(temporary)
    except OSError as error:
        raise writing_error(path, error) from None
    try:
        with open(descriptor, mode, encoding=encoding, newline=newline) as file:
            yield file
        os.chmod(temporary, stat.S_IMODE(status.st_mode) if status else 0o666 & ~_umask())
        os.replace(temporary, name)
        _unfinished.discard(temporary)
    except OSError as error:
        _remove(temporary)
        raise writing_error(path, error) from None
    except BaseException:
        _remove(temporary)
        raise


def writing_error(path: object, error: OSError) -> OSError | OutputFileError:
    """Return the error to raise for an OSError while `path` is written: one of the file, or `error`
    itself if it is about something else.

    A failed write has a number and names no file. A library that cannot be loaded has no number,
    and lack of memory is not the file's fault.
    """
    # Opening and replacing name the file itself, or the temporary one beside it.
    if error.errno is None or error.errno == errno.ENOMEM:
        return error
    if error.errno == errno.ENOENT:  # of the file itself it would be no error
        return OutputFileError(path, "its folder does not exist", "make the folder first")
    return OutputFileError(path, error.strerror or str(error))


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def remove_unfinished() -> None:
    """Remove the temporary files of all blocks that have not ended."""
    for path in tuple(_unfinished):
        _remove(path)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
    _unfinished.discard(path)
