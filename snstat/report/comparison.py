"""Several runs side by side, one row each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from snstat.report.columns import NOT_FINITE, Column, Layout
from snstat.report.differences import differences
from snstat.report.numbers import Notation, factor, quantity
from snstat.report.words import gradient_factor

if TYPE_CHECKING:
    from snstat.results import Run


def comparison_columns(runs: Sequence[Run], layout: Layout) -> list[Column]:
    """Return a row for each run: its differences from the others, statistics of its last layer,
    and the outlook by theory.

    The statistics are those of `layout`, estimates only. Columns without any entry are left out.
    """
    outlooks = [run.outlook for run in runs]
    growth = ["" if (by := gradient_factor(run)) is None else factor(by) for run in runs]
    columns = [
        *(Column(name, words, "name", words=True) for name, words in differences(runs).items()),
        *(
            Column(name, tuple(_last(run, name, layout.notation) for run in runs), name)
            for name in layout.parts
        ),
        Column(
            "signal",
            tuple("" if entry is None else entry.kind for entry in outlooks),
            "signal",
            words=True,
        ),
        Column("gradient²", tuple(growth), "gradient"),
    ]
    return [column for column in columns if any(column.cells)]


def _last(run: Run, name: str, notation: Notation) -> str:
    """Return a statistic of the last layer."""
    statistic = run.statistics.get(name)
    if statistic is None or not len(run.finite):
        return ""
    estimate = float(statistic.estimate[-1])
    if math.isnan(estimate) and not np.asarray(run.finite)[-1]:
        return NOT_FINITE
    return quantity(estimate, float(statistic.stderr[-1]), notation)
