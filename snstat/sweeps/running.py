"""The run of one cell: simulate or predict, judge, and make its rows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.checks.bounds import Bounds
from snstat.checks.judge import judge
from snstat.checks.network_case import NetworkCase
from snstat.checks.network_known import NetworkKnown
from snstat.checks.request import Request, verdict_on
from snstat.checks.stack_case import StackCase
from snstat.errors import SnstatError, printable
from snstat.experiment.network_plan import NetworkPlan
from snstat.experiment.network_theory import predicted_statistics
from snstat.experiment.plan import Plan
from snstat.experiment.trace import TracePlan
from snstat.results import GRADIENT, FloatArray, InputMoments, Run
from snstat.sweeps.cell import LAST, LOG, Cell, Outcome
from snstat.sweeps.room import Room, Rooms
from snstat.sweeps.theories import Shared
from snstat.theory.known import Known

if TYPE_CHECKING:
    from snstat.checks.case import Case
    from snstat.results import Subject

MOST_OF_AN_ERROR = 300
# What stands behind the name of a statistic in the names of columns.
PARTS = ("estimate", "stderr", "theory", "expected")
Rows = tuple[tuple[Any, ...], ...]
Columns = Mapping[str, Sequence[FloatArray | None]]


def run_cell(cell: Cell, shared: Shared | None = None, room: Rooms | None = None) -> Outcome:
    """Run one cell and return its outcome. What goes wrong with it is its `error`.

    `shared` keeps theory for other cells of the same process, and `room` is the memory that they
    have together.
    """
    began = time.perf_counter()
    values = cell.values()

    def outcome(**found: Any) -> Outcome:
        return Outcome(cell.key, values, seconds=time.perf_counter() - began, **found)

    try:
        plan = cell.plan()
        with (room or Room()).take(0.0 if cell.theory else needed_by(plan)):
            rows, verdict, depth = Running(cell, plan, shared).outcome()
    except SnstatError as error:
        return outcome(error=printable(str(error), MOST_OF_AN_ERROR))
    except MemoryError:
        return outcome(error="out of memory")
    except Exception as error:  # noqa: BLE001  # one cell must not end the others
        words = f"{type(error).__name__}: {error}"
        return outcome(error=printable(words, MOST_OF_AN_ERROR))
    values["layers"] = depth
    return outcome(rows=rows, verdict=verdict)


def needed_by(plan: Any) -> float:
    """Return the bytes that a plan needs, 0 of a module, of which nobody knows."""
    if hasattr(plan, "footprint"):
        return float(plan.footprint(plan.sampler))
    return float(plan.needed()[0]) if hasattr(plan, "needed") else 0.0


class Running:
    """A cell with its plan, and the theory that it shares with others."""

    def __init__(self, cell: Cell, plan: Any, shared: Shared | None = None) -> None:
        self.cell, self.plan, self.shared = cell, plan, shared or Shared()
        # What was asked for, by the identity of the records, whose hashes take long.
        self._asked: dict[tuple[int, ...], tuple[Any, Any]] = {}

    def outcome(self) -> tuple[Rows, str, int]:
        """Return the rows of the cell, its verdict and its number of layers."""
        if isinstance(self.plan, TracePlan):
            run = self.plan.run()
            check = verdict_on(run)
            return self._rows(run.subject, *_of_run(run)), check.verdict if check else "", run.depth
        if self.cell.theory:
            return self._alone()
        run = self.plan.run(predict=self._predicted)
        request = replace(Request.build({}, saved=run), plan=self.plan)
        case = self._sharing(request.case(run))
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            verdict, _ = judge(case, frozenset(), remedies=False)
        return self._rows(run.subject, *_of_run(run)), verdict, run.depth

    def _alone(self) -> tuple[Rows, str, int]:
        """Return the outcome of theory alone."""
        plan, moments = self.plan, self.plan.moments()
        case: Case
        unknown: FloatArray | None = None
        columns: dict[str, Sequence[FloatArray | None]] = {}
        predicted = self._predicted(moments)
        if isinstance(plan, Plan):
            prediction, corrected, _ = predicted
            statistics, expected = prediction.statistics, corrected.expected
            logs = prediction.log_gradient, corrected.log_gradient
            case = StackCase(plan.stack, plan.inputs.batch, moments, Bounds())
        else:
            walked, expected, _ = predicted
            statistics = predicted_statistics(walked, plan.inputs.batch, moments)
            logs = walked.log_gradient, np.full(plan.depth + 1, math.nan)
            shared = plan.inputs.batch, moments, Bounds()
            case = NetworkCase(plan.network, *shared, train=plan.train)
        for name in self.cell.subject.statistics:
            if name != GRADIENT and name in statistics:
                columns[name] = unknown, unknown, statistics[name], expected.get(name)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            columns[GRADIENT] = unknown, unknown, *(np.exp(log) for log in logs)
            verdict, _ = judge(self._sharing(case), frozenset(), remedies=False)
        subject = plan.subject
        return self._rows(subject, plan.depth + 1, columns), verdict, plan.depth

    def _rows(self, subject: Subject, number: int, columns: Columns) -> Rows:
        """Return the rows of the layers that are kept, with all `columns` of the subject's
        statistics; the first `number` layers are known."""
        layers = kept(self.cell.layers, number - 1)
        chosen = np.array(layers, dtype=np.intp)
        numbers: list[Iterable[float | None]] = []
        nothing = [None] * len(layers)
        for name in self.cell.subject.statistics:
            numbers += (
                nothing if values is None else values[chosen].tolist()
                for values in columns.get(name, (None,) * len(PARTS))
            )
        names = [subject.row(layer).name for layer in layers]
        return tuple(zip(layers, names, *numbers, strict=True))

    def _predicted(self, moments: InputMoments) -> Any:
        """Return what the plan predicts, once for all cells of equal theory."""
        if isinstance(self.plan, Plan):
            known = self._known(self.plan.stack, self.plan.inputs.batch, moments)
            return self.shared.once((known, "predicted"), lambda: _from_known(known))
        plan: NetworkPlan = self.plan
        key = plan.network, plan.inputs.batch, moments, plan.train, plan.backward
        return self.shared.once((key, "predicted"), lambda: plan.theory(moments))

    def _known(self, *of: Any, **more: Any) -> Any:
        """Return the theory of a stack or a network, of which each part is computed once."""
        asked = tuple(map(id, of))
        if asked not in self._asked:
            if isinstance(self.plan, Plan):
                backward = self.plan.backward or self.cell.theory
                make: Callable[[], Any] = partial(Known, *of, backward=backward)
                more = {"backward": backward}
            else:
                make = partial(NetworkKnown, *of, **more)
            found = self.shared.once((*of, *more.values()), make)
            self._asked[asked] = found, of  # which keeps the records, and so their identity
        return self._asked[asked][0]

    def _sharing(self, case: Case) -> Case:
        """Return the case with the theory that is shared."""
        if isinstance(case, StackCase):
            return replace(case, _theories=self._known)
        if isinstance(case, NetworkCase):
            return replace(case, _theories=self._known)
        return case


def kept(layers: str, last: int) -> list[int]:
    """Return the layers that are kept: all, the last, or 0, 1, 2, 4, ... and the last."""
    if layers == LAST:
        return [last]
    if layers == LOG:
        return sorted({0, last, *(2**power for power in range(last.bit_length()))})
    return list(range(last + 1))


def _from_known(known: Known) -> Any:
    from snstat.theory.outlook import outlook

    prediction = known.prediction
    return prediction, known.corrected, outlook(known.stack, prediction)


def _of_run(run: Run) -> tuple[int, Columns]:
    """Return how many layers a run has, and its statistics as columns."""
    columns = {
        name: tuple(getattr(found, part) for part in PARTS)
        for name, found in run.statistics.items()
    }
    return len(run.finite), columns


def columns_of(cell: Cell) -> Iterator[str]:
    """Yield the names of the columns of a row of `cell`."""
    yield "cell"
    yield from cell.values()
    yield from ("layer", "name")
    for name in cell.subject.statistics:
        for part in PARTS:
            yield f"{name}_{part}"
    yield from ("verdict", "error")
