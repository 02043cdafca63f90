"""Checks as markdown, for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from snstat.report.check_words import (
    circumstances,
    headline,
    outcome,
    place,
    subject_words,
    tally,
)
from snstat.report.columns import Column
from snstat.report.glyphs import Glyphs
from snstat.report.text import escaped, markdown_table

if TYPE_CHECKING:
    from snstat.results import Check, Finding


def checks_to_markdown(checks: Sequence[Check]) -> str:
    """Return a heading with the result, a table with a row per check, and the findings."""
    result = "passed" if all(check.passed for check in checks) else "failed"
    many = f": {tally(checks)}" if len(checks) > 1 else ""
    parts = [f"### snstat check {result}{many}\n"]
    if checks:
        parts.append(markdown_table(_columns(checks)))
    parts += ["".join(_section(check)) for check in checks if check.findings or check.notes]
    return "\n".join(parts)


def _columns(checks: Sequence[Check]) -> list[Column]:
    cells = {
        "check": [check.name for check in checks],
        "verdict": [check.verdict for check in checks],
        "result": [outcome(check) for check in checks],
        "stack": [subject_words(check) for check in checks],
    }
    return [
        Column(header, tuple(Glyphs().text(cell) for cell in column), header, words=True)
        for header, column in cells.items()
    ]


def _section(check: Check) -> Iterator[str]:
    """Yield the heading of a check, the findings and notes as a list, and the circumstances."""
    yield f"#### {_safe(headline(check))}\n\n"
    for finding in check.findings:
        yield f"- {_finding(finding)}\n"
    for note in check.notes:
        yield f"- Note: {_safe(note)}\n"
    yield f"\n{_safe(' · '.join(circumstances(check)))}\n"


def _finding(finding: Finding) -> str:
    """Return "**SN202** gradient-exploding, layer 17: ...; use ..."."""
    where = f", {place(finding)}" if place(finding) else ""
    return f"**{_safe(finding.code)}** {_safe(finding.name)}{where}: {_safe(finding.message)}"


def _safe(text: str) -> str:
    return escaped(Glyphs().text(text))
