"""What the picture of a sweep shows: which option where, and the points of its curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from snstat.errors import InvalidValueError, UnknownNameError
from snstat.report.figures.panel import drawable
from snstat.report.seed_means import mean_over_seeds
from snstat.report.sweep import BEYOND
from snstat.report.words import count
from snstat.results import GRADIENT

if TYPE_CHECKING:
    import numpy.typing as npt

    from snstat.results import FloatArray
    from snstat.results.sweep import Sweep

    Chosen = npt.NDArray[np.bool_]

SEED, LAYER, ACTIVATION = "seed", "layer", "activation"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is drawn: the option along `x` ("layer" for depth), the statistic `y`, and the options
    of colours (`hue`) and panels (`col`), None for the next ones that the sweep is over."""

    x: str | None = None
    y: str = "second_moment"
    hue: str | None = None
    col: str | None = None

    def of(self, sweep: Sweep) -> Choice:
        """Return the choice with nothing left open.

        Raises UnknownNameError for what the table does not have, and InvalidValueError for options
        that the sweep is over and that no part of the picture shows.
        """
        over = [name for name in sweep.over if name != SEED]
        options = [*over, LAYER, SEED]
        for part in ("x", "hue", "col"):
            name = getattr(self, part)
            if name is not None and name not in options:
                raise UnknownNameError(part, name, options)
        known = [
            name.removesuffix("_estimate") for name in sweep.columns if name.endswith("_estimate")
        ]
        if self.y not in known:
            raise UnknownNameError("y", self.y, known)
        free = [name for name in over if name not in (self.x, self.hue, self.col)]
        asked = self.x, self.hue, self.col
        found = [name if name is not None else (free.pop(0) if free else None) for name in asked]
        if free:
            bound = (
                f"over options that the picture shows, and {in_words(free[0])} has no place in it"
            )
            words = ", ".join(map(in_words, over))
            raise InvalidValueError("sweep", f"over {words}", bound, "choose with --hue and --col")
        if found[0] is None:
            found[0] = LAYER
        return Choice(found[0], self.y, found[1], found[2])


class Points(NamedTuple):
    """The points of a curve, each (points,): their places `xs`, and there the mean of the statistic
    over the cells that were simulated, its standard error, and the mean of theory; `limit` says
    where that is of infinite width. A mean over what is not finite is NaN."""

    xs: list[Any]
    mean: FloatArray
    error: FloatArray
    theory: FloatArray
    limit: Chosen


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A statistic of the rows of a `table` that a picture shows, each (rows,).

    `there` says which rows are of cells that did not fail. `estimate`, `stderr` and `reference`,
    which is theory, are NaN where they are missing or too large to be drawn; `limit` says where
    theory is that of infinite width. `lost` says of which rows the number is missing because it is
    not finite.
    """

    table: Sweep
    choice: Choice
    there: Chosen
    estimate: FloatArray
    stderr: FloatArray
    reference: FloatArray
    limit: Chosen
    lost: Chosen

    @classmethod
    def of(cls, sweep: Sweep, choice: Choice) -> Shown:
        """Return what a choice with nothing left open shows of a sweep.

        Raises InvalidValueError for cells that have all options of another, whose numbers differ
        for another reason, for cells that have no value of an option that the picture shows, for a
        statistic that nothing is known of, and for gradients of last layers alone.
        """
        _require_one_origin(sweep)
        table = sweep if choice.x == LAYER else sweep.cells
        there = ~table.failed
        for name in (choice.x, choice.hue, choice.col):
            _require_values(table, name, there)
        if choice.y == GRADIENT:
            _require_rows(sweep)
        estimate, stderr, theory, expected = (
            drawable(_column(table, f"{choice.y}_{part}"))
            for part in ("estimate", "stderr", "theory", "expected")
        )
        reference = np.where(np.isfinite(expected), expected, theory)
        if not np.isfinite([estimate[there], reference[there]]).any():
            bound = "known in some cell that did not fail"
            raise InvalidValueError(choice.y, "missing everywhere", bound)
        simulated = sweep.simulated if table is sweep else sweep.simulated[sweep.last]
        missing = np.isnan(np.where(simulated, estimate, reference))
        # What is known of no cell was not asked for, as the gradient without --backward.
        known = [bool(np.isfinite(values[there]).any()) for values in (estimate, reference)]
        missing &= np.where(simulated, *known)
        lost = there & missing & np.isin(table["verdict"].astype(str), BEYOND)
        limit = np.isfinite(reference) & ~np.isfinite(expected)
        return cls(table, choice, there, estimate, stderr, reference, limit, lost)

    def points(self, chosen: Chosen) -> Points:
        """Return the points along x of the `chosen` rows."""
        xs = self.values(self.choice.x, chosen)
        found, limit = np.full((3, len(xs)), math.nan), np.zeros(len(xs), bool)
        for place, x in enumerate(xs):
            here = chosen & self.equal(self.choice.x, x)
            known = here & np.isfinite(self.reference)
            if known.any():
                found[2, place] = self.reference[known].mean()
                limit[place] = self.limit[known].any()
            measured = here & np.isfinite(self.estimate)  # of theory alone nothing is
            if not (here & self.lost).any():
                found[:2, place] = mean_over_seeds(
                    self.estimate[measured],
                    self.stderr[measured],
                    logarithmic=self.choice.y == GRADIENT,
                )
        return Points(xs, found[0], found[1], found[2], limit)

    @property
    def kinds_of_theory(self) -> tuple[bool, bool]:
        """Whether any line is of theory at the width of its cells, and any of infinite width."""
        known, limit = self.there & np.isfinite(self.reference), self.there & self.limit
        return bool((known & ~limit).any()), bool(limit.any())

    def values(self, name: str | None, chosen: Chosen | None = None) -> list[Any]:
        """Return the values of an option in the chosen rows, numbers in their order; of no option
        one value that stands for all."""
        if name is None:
            return [None]
        rows = self.there if chosen is None else chosen
        found = [*dict.fromkeys(self.table[name][rows].tolist())]
        return sorted(found) if are_numbers(found) else found

    def equal(self, name: str | None, value: Any) -> Chosen:
        """Return which rows have this value of an option: of no option, all."""
        if name is None:
            return np.ones(len(self.table), bool)
        found: Chosen = self.table[name] == value
        return found

    @property
    def cells_lost(self) -> int:
        """The number of cells of which some number is not finite."""
        return len({*self.table["cell"][self.lost].tolist()})


def are_numbers(values: Sequence[Any]) -> bool:
    """Return whether all `values` are numbers."""
    return all(isinstance(value, float) for value in values)


def in_words(name: str) -> str:
    """Return the name of an option or a statistic as people read it."""
    return name.replace("_", " ")


def _require_one_origin(sweep: Sweep) -> None:
    """Raise InvalidValueError for cells that only their code, file or data tell apart, of which a
    mean would be of neither."""
    last = sweep.last
    repeated = int((sweep.repeated & last).sum())
    if repeated:
        name = "number of cells with the options of another cell"
        cells = count(int((last & ~sweep.failed).sum()), "cell")
        bound = (
            f"0 (of {cells}): code, network file or data changed between sweeps, and a mean would"
            " mix them"
        )
        remedy = (
            "sweep into another -o, or remove the rows of the older ones: a sweep that has ended"
            " puts its own cells first"
        )
        raise InvalidValueError(name, repeated, bound, remedy)


def _require_values(table: Sweep, name: str | None, there: Chosen) -> None:
    """Raise InvalidValueError where cells have no value of an option, and so no place."""
    if name is None:
        return
    column = table[name]
    empty = column == "" if column.dtype == object else np.isnan(column)
    without = len({*table["cell"][there & empty].tolist()})
    if without:
        cells = count(len({*table["cell"][there].tolist()}), "cell")
        bound = "known in every cell that the picture shows"
        remedy = "choose another option with --x, --hue or --col, or put these cells elsewhere"
        raise InvalidValueError(name, f"empty in {without:,} of {cells}", bound, remedy)


def _require_rows(sweep: Sweep) -> None:
    """Raise InvalidValueError where only last rows were kept, whose gradient is 1 by definition."""
    last = sweep.last
    first = np.append([True], last[:-1])[: len(last)]
    only = int((first & last & ~sweep.failed).sum())
    if only:
        cells = count(int((last & ~sweep.failed).sum()), "cell")
        bound = "known before the last layer, where it is 1 by definition"
        remedy = "keep other rows with --layers all or log, in a new table"
        raise InvalidValueError(
            GRADIENT, f"kept of the last layer only in {only:,} of {cells}", bound, remedy
        )


def _column(table: Sweep, name: str) -> FloatArray:
    """Return a column of numbers, NaN where all are missing."""
    values = table.columns.get(name)
    if values is None or values.dtype == object:
        return np.full(len(table), math.nan)
    return np.where(np.isfinite(values), values, math.nan)
