"""How much networks differ that are drawn alike, where that is a fault of their width."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from snstat.checks.case import Case
from snstat.checks.stack_case import StackCase
from snstat.results import FloatArray


def between_networks(case: Case) -> FloatArray:
    """Return the standard deviation between networks of the log second moment of one sample, by
    theory, (limit + 1,): NaN where it is not known, and in the outputs.

    Of one or two outputs the second moment varies by itself, in networks of any width. That of an
    input does as well, so where it may decide, all inputs are as long as each other.
    """
    found = case.fluctuation.copy()
    found[outputs_from(case) : case.depth + 1] = math.nan
    if not (case.inputs.drawn and (found > case.bounds.fluctuation_max).any()):
        return found
    alike = replace(case.inputs, length_variance=0.0)
    if isinstance(case, StackCase):
        other: Case = case.changed(inputs=alike)
    else:
        other = replace(case, inputs=alike, run=None)
    return np.where(np.isnan(found), math.nan, other.fluctuation)


def outputs_from(case: Case) -> int:
    """Return the first layer of the outputs of the network: its last matrix, where that has fewer
    units than what it reads; depth + 1 where it has as many."""
    units, last = case.units, _last_matrix(case)
    return last if last > 0 and units[last] < units[last - 1] else case.depth + 1


def _last_matrix(case: Case) -> int:
    """Return the last layer that draws a matrix, 0 where none does."""
    if isinstance(case, StackCase):
        return case.depth
    from snstat.network.network import Network  # of a saved stack nothing needs it

    if not isinstance(case.subject, Network):  # rows of a module are parts of any kind
        return case.depth
    for number in range(case.depth, 0, -1):
        (row,) = case.subject.rows([number])
        if row.layer.matrices(row.before):
            return number
    return 0
