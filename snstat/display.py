"""How Python shows a result: table, notebook HTML, figure, data frame."""

from __future__ import annotations

import math
from typing import Any

from snstat.checks.request import verdict_on
from snstat.errors import SnstatError
from snstat.results import Check, Run
from snstat.results.sweep import Sweep

# The width of a table without a terminal, as in a notebook's log.
DEFAULT_COLUMNS = 80


def run_text(run: Run) -> str:
    """Return the table of `snstat propagate`, as wide as the terminal, without colour."""
    import io
    import shutil

    from rich.console import Console

    from snstat.report.selection import usual
    from snstat.report.table import print_runs

    width = shutil.get_terminal_size((DEFAULT_COLUMNS, 24)).columns
    buffer = io.StringIO()
    console = Console(file=buffer, width=width, no_color=True, highlight=False)
    print_runs([run], console, usual(run.subject), checks=[_verdict(run)])
    return buffer.getvalue().rstrip("\n")


def run_html(run: Run) -> str:
    """Return the table as HTML, for notebooks."""
    from snstat.report.html import run_to_html

    return run_to_html(run, _verdict(run))


def run_frame(run: Run) -> Any:
    """Return `run` as a pandas DataFrame in long form; see `snstat.results.Run.to_frame`."""
    pd = _pandas()
    rows, names = [], [run.row(layer).name for layer in range(len(run.finite))]
    for name, statistic in run.statistics.items():
        for layer, finite in enumerate(run.finite.tolist()):
            entry = statistic.at(layer)
            numbers = {
                key: math.nan if value is None else value for key, value in dict(entry).items()
            }
            row = {"layer": layer, "name": names[layer], "statistic": name, "finite": finite}
            row |= numbers
            if statistic.trials is None:
                rows.append(row)
            else:
                kept = statistic.trials[:, layer].tolist()
                rows += [row | {"trial": t, "value": value} for t, value in enumerate(kept)]
    return pd.DataFrame(rows)


def sweep_frame(sweep: Sweep) -> Any:
    """Return `sweep` as a pandas DataFrame."""
    return _pandas().DataFrame(dict(sweep.columns))


def _pandas() -> Any:
    """Return pandas. Raises SnstatError without it."""
    try:
        import pandas as pd
    except ImportError:
        raise SnstatError(
            "to_frame needs pandas, which is not installed; run pip install pandas"
        ) from None
    return pd


def run_plot(run: Run, kind: str, ax: Any) -> Any:
    """Draw the run: see `snstat.results.Run.plot`."""
    from snstat import plot

    return plot.run_plot(run, kind, ax)


def _verdict(run: Run) -> Check | None:
    """Return the verdict on `run`, None if the saved data do not allow one."""
    try:
        return verdict_on(run)
    except SnstatError:
        return None
