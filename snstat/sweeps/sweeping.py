"""A sweep: its cells, its store and its engine, put together."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from snstat.engine.simulate import available_cores
from snstat.errors import InvalidValueError, SnstatError
from snstat.experiment.trace import TracePlan
from snstat.sweeps.cell import ALL, Cell, Outcome
from snstat.sweeps.embedded import run_cells
from snstat.sweeps.grid import Grid
from snstat.sweeps.lock import locked
from snstat.sweeps.running import columns_of
from snstat.sweeps.store import Store
from snstat.sweeps.stores import opened, require_format
from snstat.sweeps.subject import MODULE, SAMPLING, SweepSubject
from snstat.sweeps.values import listed_values

if TYPE_CHECKING:
    from snstat.experiment.plans import AnyPlan

# Outcomes are written after so many, or so many seconds.
FLUSH_CELLS, FLUSH_SECONDS = 64, 1.0
# Plans that are tried before the first cell runs: where none of them is possible, nothing runs.
TRIED = 20
# Failed cells that are named.
MOST_NAMED = 10

Engine = Callable[[Iterator[Cell]], Iterator[Outcome | None]]


@dataclass
class Progress:
    """How far a sweep is: numbers of cells, those of before, when it began, and when a cell last
    ended."""

    cells: int
    before: int = 0
    done: int = 0
    failed: int = 0
    began: float = field(default_factory=time.monotonic)
    ended: float = math.nan

    @property
    def left(self) -> int:
        """Cells still to run."""
        return self.cells - self.before - self.done

    @property
    def seconds_left(self) -> float | None:
        """The time that the others will take, None where those that have ended do not tell: before
        the first, and where nothing has ended for longer than all of them took, as while kernels
        compile."""
        now = time.monotonic()
        if not self.done or now - self.ended > self.ended - self.began:
            return None
        return (now - self.began) / self.done * self.left


@dataclass
class Sweeping:
    """What to run: a subject over a `grid`, with `options` and parameters (`set`) that all cells
    have, on so many `threads`; with `theory` nothing is simulated."""

    subject: SweepSubject
    grid: Grid
    options: Mapping[str, Any] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)
    theory: bool = False
    layers: str = ALL
    threads: int | None = None
    dask: str | None = None

    def __post_init__(self) -> None:
        """Refuse what the subject does not have."""
        for name in self.set:
            _, kind = self.subject.named(name, "set")
            if kind is not None:
                raise InvalidValueError("set", name, "a parameter of the subject, not an option")
        everywhere = {**self.options, **self.set}
        for name in self.grid.names:
            if name in everywhere:
                bound = "left out where the sweep is over it"
                raise InvalidValueError(name, everywhere[name], bound)
        if self.theory and self.of_module:
            bound = "left out with a module, whose theory stands beside its trace"
            raise InvalidValueError("theory", True, bound)

    def cells(self, *, in_order: bool = False, step: int = 1) -> Iterator[Cell]:
        """Yield the cells, or every `step`-th: those of equal theory together, or in the order of
        the grid."""
        own = self.subject.options
        for point in self.grid.points(() if in_order else SAMPLING, step):
            options = {name: value for name, value in point.items() if name in own}
            changes = {name: value for name, value in point.items() if name not in own}
            yield Cell(
                self.subject,
                {**self.options, **options},
                {**self.set, **changes},
                self.theory,
                self.layers,
            )

    def missing(self, known: Collection[str]) -> Iterator[Cell]:
        """Yield the cells whose keys are not `known`, in the order in which they run."""
        return (cell for cell in self.cells() if not known or cell.key not in known)

    def done_in(self, known: Collection[str]) -> int:
        """Return how many cells have keys that are `known`."""
        return sum(cell.key in known for cell in self.cells()) if known else 0

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of a row."""
        return tuple(columns_of(next(self.cells())))

    @property
    def over(self) -> tuple[str, ...]:
        """The columns that cells differ in: those of the names of the grid."""
        options = self.subject.options
        return tuple(
            name if name in options else self.subject.column(name) for name in self.grid.names
        )

    def require_possible(self) -> AnyPlan | TracePlan:
        """Return the plan of the first cell that is possible.

        Raises the error of the first cell if none of the first ones can be planned.
        """
        first: SnstatError | None = None
        for _, cell in zip(range(TRIED), self.cells(), strict=False):
            try:
                plan = cell.plan()
                if isinstance(plan, TracePlan):
                    plan.require_framework()
            except SnstatError as error:
                first = first or error
                continue
            return plan
        assert first is not None  # noqa: S101  # a grid has a cell
        raise first

    def differing(self, values: Mapping[str, Any]) -> str:
        """Return what tells a cell of these `values` from the others: "width 1024, seed 3"."""
        columns = zip(self.grid.names, self.over, strict=True)
        return ", ".join(f"{name} {values.get(own)}" for name, own in columns) or "the only cell"

    @property
    def of_module(self) -> bool:
        """Whether the cells are traces."""
        return self.subject.kind == MODULE

    @property
    def workers(self) -> int:
        """How many cells run at once: one of a module, whose framework has threads of its own."""
        if self.of_module:
            return 1
        return min(self.threads or available_cores(), len(self.grid))

    @contextlib.contextmanager
    def opened(self, output: str | os.PathLike[str] | None) -> Iterator[Store]:
        """Hold the store of the file `output`, None for memory, within the block."""
        with contextlib.ExitStack() as stack:
            if output is not None:
                require_format(output)
                stack.enter_context(locked(os.fspath(output)))
            store = opened(output, self.columns)
            stack.callback(store.close)
            yield store

    def run(
        self,
        store: Store,
        listen: Callable[[Progress], None] = lambda _: None,
        engine: Engine | None = None,
        *,
        before: int | None = None,
    ) -> tuple[Progress, list[Outcome]]:
        """Run the cells that the store does not have; return how many ran, and the first of those
        that failed. `before` is the number of those that it has, if that is known.

        On KeyboardInterrupt, what has ended is written before it passes on.
        """
        known = store.done
        progress = Progress(len(self.grid), self.done_in(known) if before is None else before)
        failed: list[Outcome] = []
        run = engine or (self._on_dask if self.dask else partial(self._embedded, progress))
        pending: list[Outcome] = []
        flushed = time.monotonic()

        def flush() -> None:
            nonlocal flushed
            if pending:
                store.write(pending)
                pending.clear()
            flushed = time.monotonic()

        try:
            for outcome in run(self.missing(known)):
                if outcome is not None:
                    pending.append(outcome)
                    progress.done += 1
                    progress.ended = time.monotonic()
                    if outcome.error:
                        progress.failed += 1
                        if len(failed) < MOST_NAMED:
                            failed.append(Outcome(outcome.key, outcome.values, error=outcome.error))
                if len(pending) >= FLUSH_CELLS or time.monotonic() - flushed >= FLUSH_SECONDS:
                    flush()
                listen(progress)
        finally:
            flush()
        store.finish(cell.key for cell in self.cells(in_order=True))
        return progress, failed

    def _embedded(self, progress: Progress, cells: Iterator[Cell]) -> Iterator[Outcome | None]:
        # A framework is loaded in this process, with the module.
        return run_cells(cells, self.workers, lambda: progress.left, may_part=not self.of_module)

    def _on_dask(self, cells: Iterator[Cell]) -> Iterator[Outcome | None]:
        from snstat.sweeps.dask_engine import run_dask

        assert self.dask is not None  # noqa: S101  # for the type checker
        return run_dask(self.dask, cells)


def axes_of(
    subject: SweepSubject, given: Mapping[str, Any], seeds: int | None, first_seed: int
) -> dict[str, Sequence[Any]]:
    """Return the values of the axes `given` by name as lists or ranges, and `seeds` seeds from the
    first one on."""
    found: dict[str, Sequence[Any]] = {}
    for name, values in given.items():
        own, kind = subject.named(name, "grid")
        if own in found:
            raise InvalidValueError("grid", name, "given once")
        found[own] = listed_values(own, values, kind)
    if seeds is not None:
        if "seed" in found:
            raise InvalidValueError("seeds", seeds, "left out where the sweep is over seeds")
        found["seed"] = range(first_seed, first_seed + seeds)
    return found
