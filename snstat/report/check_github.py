"""Checks as workflow commands of GitHub Actions, which annotate the lines that declare them.

The escapes are those that the runner undoes (actions/runner, src/Runner.Common/ActionCommand.cs).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from snstat.report.check_words import rule_words, tally
from snstat.report.glyphs import Glyphs

if TYPE_CHECKING:
    from snstat.results import Check

# The percent sign comes first, because the other escapes contain it.
_DATA = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
_PROPERTY = (*_DATA, (":", "%3A"), (",", "%2C"))


def checks_to_github(checks: Sequence[Check]) -> str:
    """Return an error for each finding, a notice for each note, and a summary line."""
    return "".join(_lines(checks))


def _lines(checks: Sequence[Check]) -> Iterator[str]:
    for check in checks:
        for finding in check.findings:
            title = f"{rule_words(finding)} ({check.name})"
            yield _command("error", check, title, finding.message)
        for note in check.notes:
            yield _command("notice", check, f"snstat check ({check.name})", note)
    passed = ", ".join(f"{check.name} ({check.verdict})" for check in checks if check.passed)
    failed = ", ".join(f"{check.name} ({check.verdict})" for check in checks if not check.passed)
    line = f"snstat: {tally(checks)}" + (f": {passed}" if passed else "")
    yield _line(line + (f"; failed: {failed}" if failed else ""))


def _command(kind: str, check: Check, title: str, message: str) -> str:
    """Return one command, with the file and line of the check if they are known."""
    properties = {"title": title}
    if check.source is not None:
        place = {"file": check.source.path, "line": str(check.source.line)}
        properties = place | properties
    shown = ",".join(f"{key}={_escaped(value, _PROPERTY)}" for key, value in properties.items())
    return f"::{kind} {shown}::{_escaped(message, _DATA)}\n"


def _escaped(text: str, escapes: Sequence[tuple[str, str]]) -> str:
    """Return `text` on one line, with escapes for what UTF-8 cannot encode."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    for letter, escape in escapes:
        text = text.replace(letter, escape)
    return text


def _line(text: str) -> str:
    """Return a log line that is not a command; the runner looks for ##[...] anywhere in it."""
    return Glyphs().text(text).replace("##[", "## [") + "\n"
