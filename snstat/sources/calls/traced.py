"""What a trace returns: what was called, and the values of every trial."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snstat.engine.tensor import MEASURED_OF_TENSORS
from snstat.results.module import NOT_FINITE, Call, ModuleSummary, numbered
from snstat.sources.calls.axes import shape_of
from snstat.sources.calls.row import NO_PATH, Row
from snstat.sources.mapped import Mapped

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Traced:
    """A traced module. Row 0 is its first floating input, row n the n-th of `summary.rows`.
    A trial had `batch` samples.

    `finite` (rows + 1,) says where all trials were finite. `values` (trials, rows + 1, statistics)
    has the statistics `names`, NaN where a trial lacks a call or a statistic is not defined.
    `log_gradient` (trials, rows + 1) is ln of the squared norm of the gradient over that of the
    outputs, NaN where missing, or None without backward. `mapped` are the layers that theory knows.
    """

    summary: ModuleSummary
    batch: int
    finite: npt.NDArray[np.bool_]
    values: FloatArray
    names: tuple[str, ...]
    log_gradient: FloatArray | None
    mapped: Mapped | None = None


def values_of(rows: Sequence[Row], trials: int) -> tuple[npt.NDArray[np.bool_], FloatArray]:
    """Return where rows are finite, and their values by trial."""
    finite = np.ones(len(rows), bool)
    values = np.full((trials, len(rows), len(MEASURED_OF_TENSORS)), math.nan)
    for number, row in enumerate(rows):
        for trial, (sound, own) in row.values.items():
            finite[number] &= sound
            values[trial, number] = own
    return finite, values


def gradients_of(rows: Sequence[Row], references: Sequence[float]) -> FloatArray:
    """Return ln of squared norms of gradients over `references`, one a trial."""
    squares = np.full((len(references), len(rows)), math.nan)
    for number, row in enumerate(rows):
        for trial, square in row.origin.squares.items():
            squares[trial, number] = square
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms: FloatArray = np.log(squares) - np.log(np.array(references))[:, None]
    # A gradient of 0 has −∞, but a finite one over outputs of which it is infinite has no value.
    known = (logarithms < np.inf) & np.isfinite(np.array(references))[:, None]
    return np.where(known, logarithms, np.nan)


def sample_sizes(row: Row) -> tuple[int, ...]:
    """Return the shape of what belongs to one sample of the input, (1,) if that has no axes."""
    sample = () if row.axes is None else row.axes.sample
    return tuple(size for axis, size in enumerate(row.shape) if axis not in sample) or (1,)


def calls_of(
    rows: Sequence[Row],
    batch: int,
    *,
    backward: bool,
    gates: Container[tuple[str, int]] = frozenset(),
) -> tuple[Call, ...]:
    """Return the records of rows, numbered from 1. `gates` are the calls that make gates only."""
    numbers = {id(row): number for number, row in enumerate(rows, 1)}
    some = any(row.squares for row in rows)

    def record(row: Row) -> Call:
        own: dict[str, Any] = {}
        if row.same_as is not None:
            own["same_as"] = numbers[id(row.origin)]
        if (row.path, row.call) in gates:
            own["gate"] = True
        squares = row.origin.squares
        if backward and some and not squares:
            own["gradient_missing"] = row.origin.missing or NO_PATH
        elif not all(map(math.isfinite, squares.values())):
            own["gradient_missing"] = NOT_FINITE
        shape = shape_of(row.shape, row.axes, batch)
        return Call(
            row.path,
            row.call,
            row.output,
            row.kind,
            shape,
            row.axes,
            row.dtype,
            len(row.values),
            **own,
        )

    return numbered(record(row) for row in rows)
