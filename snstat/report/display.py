"""How Python shows a result: table, notebook HTML, figure, data frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.checks.request import Request, verdict_on
from snstat.errors import SnstatError
from snstat.results import Check, Run

if TYPE_CHECKING:
    from snstat.checks.case import Case
    from snstat.report.figures import Options

# The width of a table without a terminal, as in a notebook's log.
DEFAULT_COLUMNS = 80


def run_text(run: Run) -> str:
    """Return the table of `snstat propagate`, as wide as the terminal, without colour."""
    import io
    import shutil

    from rich.console import Console

    from snstat.report.table import print_runs

    width = shutil.get_terminal_size((DEFAULT_COLUMNS, 24)).columns
    buffer = io.StringIO()
    console = Console(file=buffer, width=width, no_color=True, highlight=False)
    print_runs([run], console, checks=[_verdict(run)])
    return buffer.getvalue().rstrip("\n")


def run_html(run: Run) -> str:
    """Return the table as HTML, for notebooks."""
    from snstat.report.html import run_to_html

    return run_to_html(run, _verdict(run))


def run_frame(run: Run) -> Any:
    """Return `run` as a pandas DataFrame in long form; see `snstat.results.Run.to_frame`."""
    try:
        import pandas as pd
    except ImportError:
        raise SnstatError(
            "to_frame needs pandas, which is not installed; run pip install pandas"
        ) from None
    rows = []
    for name, statistic in run.statistics.items():
        for layer, finite in enumerate(run.finite.tolist()):
            entry = statistic.at(layer)
            numbers = {
                key: math.nan if value is None else value for key, value in dict(entry).items()
            }
            row = {"layer": layer, "statistic": name, "finite": finite, **numbers}
            if statistic.trials is None:
                rows.append(row)
            else:
                kept = statistic.trials[:, layer].tolist()
                rows += [row | {"trial": t, "value": value} for t, value in enumerate(kept)]
    return pd.DataFrame(rows)


def trajectory_options(runs: Sequence[Run], **others: Any) -> Options:
    """Return the options for drawing `runs`, with what their records lack: the theoretical
    gradient and the target of each run. `others` are further fields of `Options`."""
    from snstat.report.figures import Options

    cases = [_case(run) for run in runs]
    with np.errstate(over="ignore"):
        gradients = [None if case is None else np.exp(case.gradients) for case in cases]
    targets = [
        None if case is None else case.bounds.target(run.stack.activation)
        for case, run in zip(cases, runs, strict=True)
    ]
    return Options(gradients=gradients, targets=targets, **others)


def _case(run: Run) -> Case | None:
    """Return the case that the rules judge, None if they cannot judge the run."""
    try:
        return Request.build({}, saved=run).case(run)
    except SnstatError:
        return None


def _verdict(run: Run) -> Check | None:
    """Return the verdict on `run`, None if the saved data do not allow one."""
    try:
        return verdict_on(run)
    except SnstatError:
        return None
