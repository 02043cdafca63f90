"""The format of a result: from -f, or from the file name of -o."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePath

from snstat.cli.output import STDOUT
from snstat.errors import InvalidValueError

# Ending of a file's name → format.
SUFFIXES = {
    ".json": "json",
    ".csv": "csv",
    ".md": "markdown",
    ".markdown": "markdown",
    ".xml": "junit",
    ".png": "png",
    ".svg": "svg",
    ".pdf": "pdf",
    ".html": "html",
}
PICTURES = ("png", "svg", "pdf", "html")
FROM_NAME = "table, or as the name of the file says"


def format_for(output: str | None, form: str | None, forms: Collection[str]) -> str | None:
    """Return the format of a command that knows `forms`, None where nothing says which.

    Raises InvalidValueError where the name of the file contradicts `form`, or is that of a format
    that the command does not write.
    """
    if output is None or output == STDOUT:
        return form
    named = SUFFIXES.get(PurePath(output).suffix.lower())
    if named is None:
        return form
    if form is not None and form != named:
        raise InvalidValueError(
            "format", form, f"{named}, as the name {output} says", "leave --format out, or rename"
        )
    if named not in forms:
        endings = [suffix for suffix, other in SUFFIXES.items() if other in forms]
        advice = "or choose the format with -f and name the file otherwise"
        if forms == PICTURES or len(endings) == 1:
            advice = ""
        if named in PICTURES:
            advice = "snstat plot draws pictures"
        bound = f"named {' or '.join(filter(None, [', '.join(endings[:-1]), endings[-1]]))}"
        raise InvalidValueError("output", output, bound, advice)
    return named
