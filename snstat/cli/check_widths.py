"""`snstat check --widths-flat`: networks of several widths as one check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from snstat.cli.check_formats import TABLE
from snstat.cli.output import Verbosity, render

if TYPE_CHECKING:
    from snstat.checks.request import Request
    from snstat.results import Check, Run
    from snstat.results.widths import WidthSlope


def require_only_widths(given: dict[str, Any]) -> None:
    """Take the choice of rules from the options `given`. Raises UsageError for others than SN503,
    and for what compares runs one by one."""
    from snstat.checks.widths_flat import WIDTHS_RULE

    for name in ("ignore", "baseline", "same_seed"):
        if given.get(name):
            flag = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{flag} cannot be used beside --widths-flat; leave it out")
    for entry in given.pop("select", ()):
        if entry.strip().lower() not in (WIDTHS_RULE.code.lower(), WIDTHS_RULE.name):
            words = f"--widths-flat is the rule {WIDTHS_RULE.code} alone; leave --select out"
            raise click.UsageError(words)


def check_widths(
    requests: Sequence[tuple[Request, Run | None]], runs: Sequence[Run], form: str, *, file: bool
) -> tuple[Check, str]:
    """Return the verdict on runs of several widths, and the table of all layers in formats of
    words."""
    from snstat.checks.widths_flat import judge_widths

    request, _ = requests[0]
    check, slopes = judge_widths(runs, request.bounds, "widths")
    return check, _table(slopes, form, file=file)


def _table(slopes: Sequence[WidthSlope], form: str, *, file: bool) -> str:
    from snstat.report.widths import print_widths, widths_to_markdown

    if form == "markdown":
        return widths_to_markdown(slopes)
    if form != TABLE or Verbosity.level < 0:
        return ""
    return render(lambda console: print_widths(slopes, console), file=file)
