"""The case of a traced module: what was seen, of the rows that a rule can compare."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snstat.checks.case import Case
from snstat.checks.certainty import spread_of_logs
from snstat.checks.obstacle import OF_FILES, Obstacle
from snstat.results import GRADIENT, NO_THEORY, BoolArray, FloatArray, ModuleSummary

# Rows that a note names.
MOST_NAMED = 4

# Statistics of which every row is judged.
OF_ALL_ROWS = frozenset({"largest"})
DEAD, SATURATED = "dead_fraction", "saturated_fraction"


@dataclass(frozen=True)
class ModuleCase(Case):
    """One traced module to judge: see Case.

    Rules about sizes and angles look at activations and the outputs of blocks
    (`ModuleSummary.main`): between them are maps of any gain, norms, and weights of attention.
    Overflow is looked for in all rows, dead units in activations.
    """

    subject: ModuleSummary

    @property
    def depth(self) -> int:
        """See Case."""
        return self.subject.depth

    def seen(self, name: str) -> FloatArray:
        """See Case. NaN in rows that are not compared."""
        return np.where(self._judged(name), super().seen(name), math.nan)

    def _judged(self, name: str) -> BoolArray:
        """Return the rows, (depth + 1,), of which a statistic is judged."""
        found = np.zeros(self.depth + 1, dtype=bool)
        if name in OF_ALL_ROWS:
            found[:] = True
        elif name in {DEAD, SATURATED}:
            found[[n for n in self.subject.main if n and self.subject.rows[n - 1].activates]] = True
        else:
            found[list(self.subject.main)] = True
        return found

    def predicted(self, name: str) -> FloatArray:
        """See Case: what the run says, because a module is not looked at again."""
        if self.run is None or name not in self.run.statistics:
            return self.unknown
        return np.where(self._judged(name), self.run.statistics[name].theory, math.nan)

    @property
    def gradients(self) -> FloatArray:
        """See Case."""
        with np.errstate(divide="ignore"):
            logs: FloatArray = np.log(self.predicted("gradient"))
        return logs

    @property
    def units(self) -> FloatArray:
        """See Case."""
        sizes = (max(self.subject.row(n).units, 1) for n in range(self.depth + 1))
        return np.array([*sizes], dtype=np.float64)

    def pre_second_moments(self, second_moment: FloatArray) -> FloatArray:
        """See Case. The square of the last second moment above 0 in the rows before, judged or not.
        Where that is a number, products of values with weights of their size are none that are too
        small: a 0 is that of dead units, of weights that are 0, or of a mask."""
        if self.run is None or "second_moment" not in self.run.statistics:
            return self.unknown
        values = self.run.statistics["second_moment"].estimate
        found = np.full_like(second_moment, math.nan)
        last = math.nan
        for row, value in enumerate(values):
            found[row] = last * last
            if value > 0.0:
                last = value
        return found

    @property
    def target_layer(self) -> int:
        """See Case. The last row that is compared, unless another is asked for."""
        return min(self.bounds.target_layer or self.subject.main[-1], self.depth)

    @property
    def theory_holds(self) -> bool:
        """See Case. Where there is theory, it is of the very inputs."""
        return True

    @property
    def compares(self) -> bool:
        """See Case."""
        return False

    @property
    def angles_from(self) -> int:
        """See Case. Tokens have no angles: the first row that has any counts in their place."""
        known = np.flatnonzero(~np.isnan(self.known("cosine")))
        return int(known[0]) if known.size else 0

    @property
    def no_limit(self) -> Obstacle:
        """See Case."""
        return OF_FILES

    @property
    def of_files(self) -> Obstacle:
        """See Case."""
        return OF_FILES

    @property
    def producer(self) -> str:
        """See Case."""
        found = self.subject.nonfinite
        if found is None:
            return ""
        place = found.path + (f"#{found.call}" if found.call > 1 else "")
        if found.before is not None:
            return f"first made in trial {found.trial} by the code of {place} before {found.before}"
        if not found.inputs_finite:
            return (
                f"the input of {place} ({found.kind}) is itself not finite in trial {found.trial}"
            )
        return (
            f"first made in trial {found.trial} by {place} ({found.kind}), whose inputs are finite"
        )

    @property
    def no_gradients(self) -> Obstacle | None:
        """See Case."""
        if self.run is None or GRADIENT in self.run.statistics:
            return None
        # A framework may have none, as the trace says.
        none = any(note.startswith("no gradients") for note in self.subject.notes)
        remedy = "" if none else "; use --backward"
        return Obstacle(f"gradients were not measured{remedy}")

    @property
    def gaps(self) -> Iterator[str]:
        """See Case."""
        if np.isnan(self.predicted("second_moment")[1:]).all():
            yield f"{NO_THEORY} of this module: measured values are judged"
        rows, distinct = len(self.subject.main) - 1, len(self.subject.distinct) - 1
        if rows < distinct:
            yield f"{rows:,} of {distinct:,} rows are judged: activations and outputs of blocks"
        gates = [row.name for row in self.subject.rows if row.gate]
        if gates:
            more = f" and {len(gates) - MOST_NAMED:,} more" if len(gates) > MOST_NAMED else ""
            some = ", ".join(gates[:MOST_NAMED])
            yield f"rows that only make gates are not judged: {some}{more}"

    @property
    def spread_between_trials(self) -> tuple[FloatArray, FloatArray]:
        """See Case. Of rows that all trials had, if each trial built a module of its own."""
        if self.run is None or self.subject.trials_of != "model":
            return super().spread_between_trials
        trials = self.run.simulation.trials
        column = self.run.statistics["second_moment"]
        whole = self._judged("second_moment") & (self.run.trials_had == trials)
        return tuple(  # type: ignore[return-value]  # two
            np.where(whole, values, math.nan)
            for values in spread_of_logs(column.estimate, column.stderr, trials)
        )
