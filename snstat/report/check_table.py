"""Checks at a terminal: verdict, stack, findings and notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from snstat.report.check_words import (
    circumstances,
    complaint,
    headline,
    outcome,
    place,
    summary,
)
from snstat.report.glyphs import Glyphs
from snstat.report.grid import print_labelled, print_parts, print_wrapped

if TYPE_CHECKING:
    from rich.console import Console

    from snstat.results import Check, Finding

INDENT = 2
# In capitals, so that a failure stands out without colour too.
MARKS = {"passed": "passed", "failed": "FAILED"}
COLOURS = {"passed": "green", "failed": "red"}


def print_checks(checks: Sequence[Check], console: Console, *, quiet: bool = False) -> None:
    """Print each check, and a summary if there are several.

    If `quiet`, print only failed checks, and nothing if all passed. Lines wrap; nothing is cut.
    """
    glyphs = Glyphs.of(console)
    if quiet and all(check.passed for check in checks):
        return
    shown = [check for check in checks if not (quiet and check.passed)]
    for position, check in enumerate(shown):
        if position:
            console.print()
        _print_check(check, glyphs, console)
    if len(checks) > 1:
        console.print()
        colour = COLOURS["passed" if all(check.passed for check in checks) else "failed"]
        print_wrapped(glyphs.text(f"{summary(checks)}."), console, style=f"bold {colour}")


def _print_check(check: Check, glyphs: Glyphs, console: Console) -> None:
    result = outcome(check)
    style = f"bold {COLOURS[result]}"
    print_labelled(
        f"{MARKS[result]} ", Text(glyphs.text(headline(check)), "bold"), console, style=style
    )
    stack, *others = circumstances(check)
    print_parts(stack, glyphs, console, INDENT)
    for line in others:
        print_parts(line, glyphs, console, INDENT, "dim")
    for finding in check.findings:
        _print_finding(finding, glyphs, console)
    for note in check.notes:
        print_labelled(
            "note: ", Text(glyphs.text(note), "dim"), console, indent=INDENT, style="dim"
        )


def _print_finding(finding: Finding, glyphs: Glyphs, console: Console) -> None:
    """Print the code and, to its right, rule, layer, message and remedy."""
    code = glyphs.text(f"{finding.code} ")
    where = f", {place(finding)}" if place(finding) else ""
    body = Text(glyphs.text(finding.name), "bold")
    body.append(glyphs.text(f"{where}: {complaint(finding)}"), "not bold")
    print_labelled(code, body, console, indent=INDENT, style="bold yellow")
    if finding.remedy:
        arrow = glyphs.text("→ ")
        remedy = Text(glyphs.text(finding.remedy), "bold")
        print_labelled(arrow, remedy, console, indent=INDENT + len(code), style="bold")
