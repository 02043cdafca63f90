"""The output formats of `snstat check`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from snstat.cli.output import Verbosity, render

if TYPE_CHECKING:
    from snstat.results import Check

TABLE = "table"
# Name → module and function of checks that returns the text; imported when asked for.
TEXTS = {
    "json": ("snstat.files.check_form", "checks_to_json"),
    "junit": ("snstat.report.check_junit", "checks_to_junit"),
    "github": ("snstat.report.check_github", "checks_to_github"),
    "markdown": ("snstat.report.check_markdown", "checks_to_markdown"),
}
FORMATS = (TABLE, *TEXTS)


def formatted(
    checks: Sequence[Check], form: str, seconds: Sequence[float] | None = None, *, file: bool
) -> str:
    """Return `checks`, and how many `seconds` each took, in one of `FORMATS`; the table is drawn
    for standard output or a `file`."""
    if form == TABLE:
        quiet = Verbosity.level < 0
        if quiet and all(check.passed for check in checks):
            return ""  # without an import of what draws tables
        from snstat.report.check_table import print_checks

        return render(lambda console: print_checks(checks, console, quiet=quiet), file=file)
    if form == "github":
        checks = [_within_workspace(check) for check in checks]
    module, name = TEXTS[form]
    export: Callable[..., str] = getattr(import_module(module), name)
    return export(checks, seconds) if form == "junit" else export(checks)


def _within_workspace(check: Check) -> Check:
    """Return `check` with its source as annotations need it: relative to the repository's root."""
    workspace = os.environ.get("GITHUB_WORKSPACE")
    if check.source is None or not workspace:
        return check
    path, root = Path(check.source.path).resolve(), Path(workspace).resolve()
    if not path.is_relative_to(root):
        return check
    source = replace(check.source, path=path.relative_to(root).as_posix())
    return replace(check, source=source)
