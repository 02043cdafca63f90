"""Reading a TOML file that nobody vouches for: bounded, and every failure one line."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snstat.errors import InputFileError
from snstat.files.toml_lines import MAX_PARTS, Lines, too_many_parts

# A configuration is a few pages. tomllib takes up to 500 times the size of a file.
MAX_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class TomlFile:
    """A parsed file: its `path`, its `root` table and its `text`, lines ended by newlines alone."""

    path: Path
    root: dict[str, Any]
    text: str

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> TomlFile:
        """Return the file at `path`.

        Raises InputFileError, with the line where there is one, for a file that is missing, no
        plain file, unreadable, larger than MAX_BYTES, not UTF-8, not TOML, or too deeply nested.
        """
        text = _text(path)
        line = too_many_parts(text)
        if line is not None:
            raise InputFileError(
                f"{os.fspath(path)}:{line}",
                f"a dotted key of more than {MAX_PARTS} parts, or thousands of long ones",
                "nest less deeply",
            )
        try:
            root = tomllib.loads(text)
        except RecursionError:
            raise InputFileError(
                os.fspath(path), "arrays or tables are nested too deeply", "nest less deeply"
            ) from None
        except ValueError as error:  # TOMLDecodeError, or int() of more than 4,300 digits
            reason = " ".join(str(error).split())
            if len(reason) > 200:  # it may quote a key of any length; what counts is at the end
                reason = f"{reason[:100]}…{reason[-99:]}"
            raise InputFileError(os.fspath(path), f"is not valid TOML: {reason}") from None
        return cls(Path(path), root, text)

    def lines(self, section: tuple[str, ...]) -> Lines:
        """Return where the tables and keys under `section` stand."""
        return Lines(self.text, section)


def _text(path: str | os.PathLike[str]) -> str:
    name = os.fspath(path)
    try:
        if Path(name).is_dir():
            raise InputFileError(name, "is a directory", "give a TOML file")
        if Path(name).exists() and not Path(name).is_file():
            # Reading a pipe could wait for ever.
            raise InputFileError(name, "is not a plain file", "give a TOML file")
        with Path(name).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        if Path(name).is_symlink():
            reason, remedy = "is a link to a file that does not exist", "mend or remove the link"
            raise InputFileError(name, reason, remedy) from None
        raise InputFileError(name, "no such file") from None
    except OSError as error:
        raise InputFileError(name, error.strerror or str(error)) from None
    except ValueError as error:  # a null character
        raise InputFileError(repr(name), f"is no file name ({error})") from None
    if len(data) > MAX_BYTES:
        raise InputFileError(name, f"has more than {MAX_BYTES} bytes", "configurations are short")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputFileError(
            f"{name}:{line}", f"is not UTF-8 (byte {data[error.start]:#04x})", "save it as UTF-8"
        ) from None
    return text.replace("\r\n", "\n")
