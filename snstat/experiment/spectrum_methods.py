"""The two methods by which singular values are found, trial by trial: exact, and by Lanczos."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from snstat.experiment.network_plan import NetworkPlan
from snstat.experiment.plans import AnyPlan
from snstat.limits import require_memory
from snstat.network.network import Network
from snstat.results import FloatArray, Lanczos

if TYPE_CHECKING:
    from snstat.engine.general.lanczos import Ritz
    from snstat.engine.general.repeated import Repeated
    from snstat.engine.general.tangents import Tangents
    from snstat.network.rows import Row
    from snstat.sources.weights.chain import Chain

LESS = "use fewer --threads or --layers{batch}, or a narrower network"
FEWER = "use fewer --threads or --steps{batch}, or a narrower network"
DOUBLE = 8.0
# Operations of a decomposition take so much longer than those of products.
SLOW = 8.0
# Matrices of the size of the small problem, and rows of a step, that are there at once.
SMALL, ROWS = 6.0, 6.0


Done = Callable[[float], None]


class Found(NamedTuple):
    """The singular values of the layer `number` (trials, values), and what the Lanczos method tells
    of them."""

    number: int
    values: FloatArray
    lanczos: Lanczos | None


@dataclass(frozen=True)
class Method(ABC):
    """How the Jacobians of `rows` of the `network` of a `plan` by layer `source` are decomposed, of
    the first sample of its batch by itself."""

    plan: AnyPlan
    network: Network
    rows: Sequence[Row]
    source: int

    @property
    def running(self) -> int:
        """The number of trials at once."""
        from snstat.engine.simulate import available_cores

        return min(self.plan.threads or available_cores(), self.plan.trials)

    @property
    def depth(self) -> int:
        """The number of the last of the rows."""
        return self.rows[-1].number

    @property
    def before(self) -> int:
        """The number of units of the source."""
        return self.network.shape_after(self.source).units

    @abstractmethod
    def require_memory(self) -> None:
        """Raise InvalidValueError if memory does not suffice."""

    @abstractmethod
    def trial(self, number: int, done: Done) -> list[Any]:
        """Return what a trial finds of each row, of no rows after a stop. `done` is told which
        share of its work is done."""

    @property
    @abstractmethod
    def work(self) -> float:
        """The operations of a trial, about."""

    @abstractmethod
    def found(self, trials: Sequence[list[Any]]) -> Iterator[Found]:
        """Yield for each row what all trials have found together."""

    @abstractmethod
    def stop(self) -> None:
        """End all trials that run."""

    @property
    def batch(self) -> int:
        """The number of samples."""
        return self.plan.inputs.batch

    @cached_property
    def _multiplications(self) -> float:
        """The multiplications of one batch through all layers, about, and of one read-out back."""
        rows = islice(self.network.rows(), self.depth)
        each = (row.layer.parameters(row.before) * row.after.positions for row in rows)
        return 2.0 * self.batch * max(sum(each), 1)

    @property
    def given(self) -> Chain | None:
        """The weights, where they are given."""
        return self.plan.given if isinstance(self.plan, NetworkPlan) else None

    def _require_memory(self, needed: float, less: str) -> None:
        if self.given is not None:
            needed += self.given.bytes(self.plan.dtype)
        require_memory(needed, less.format(batch=", a smaller --batch" if self.batch > 1 else ""))

    def _copies(self, most: int, least: int = 1) -> tuple[int, bool, float]:
        """Return how many read-outs of up to `most` to pull back at once, `least` at least, whether
        what the way back needs is kept, and the bytes of that."""
        from snstat.engine.general.repeated import copies_for

        dtype, running = self.plan.dtype, self.running
        return copies_for(
            self.network, self.depth, most, dtype, running, batch=self.batch, least=least
        )

    def _sampler(self, kind: type[Repeated], copies: int, *, whole: bool) -> Any:
        plan = self.plan
        given = {} if self.given is None else self.given.read(plan.dtype)
        return kind(
            self.network, plan.inputs, plan.trials, plan.seed, plan.dtype,
            train=plan.train, depth=self.depth, copies=copies, whole=whole, source=self.source,
            given=given,
        )  # fmt: skip


class Exact(Method):
    """Whole Jacobians, row by row."""

    def require_memory(self) -> None:
        """See Method: of all of a trial, and what a decomposition takes beside the largest."""
        before = self.before
        sizes = [DOUBLE * before * row.after.units for row in self.rows]
        needed = self.running * (sum(sizes) + 2.0 * max(sizes)) + self._own[2]
        self._require_memory(needed, LESS)

    def trial(self, number: int, done: Done) -> list[FloatArray]:
        """See Method."""
        from snstat.engine.general.jacobian import jacobians, singular_values

        numbers, shapes = zip(*((row.number, row.after) for row in self.rows), strict=True)
        pulled, decomposed = self._works
        part, whole = pulled / self.work, self.work
        every = jacobians(self._samples, number, numbers, shapes, lambda share: done(share * part))
        found = []
        for own, work in zip(every or (), decomposed, strict=False):
            if self._samples.stop[0]:
                return []
            found.append(singular_values(own))
            part += work / whole
            done(part)
        return found

    @property
    def work(self) -> float:
        """See Method."""
        pulled, decomposed = self._works
        return pulled + sum(decomposed)

    @cached_property
    def _works(self) -> tuple[float, list[float]]:
        """The operations of the way back of all read-outs, and of each decomposition."""
        sizes = [sorted((self.before, row.after.units)) for row in self.rows]
        decomposed = [SLOW * 4.0 * most * least**2 for least, most in sizes]
        most = max(row.after.units for row in self.rows)
        return most * self._multiplications, decomposed

    def found(self, trials: Sequence[list[FloatArray]]) -> Iterator[Found]:
        """See Method."""
        for row, own in zip(self.rows, zip(*trials, strict=True), strict=True):
            yield Found(row.number, np.array(own), None)

    def stop(self) -> None:
        """See Method."""
        self._samples.stop[0] = 1

    @cached_property
    def _own(self) -> tuple[int, bool, float]:
        return self._copies(max(row.after.units for row in self.rows))

    @cached_property
    def _samples(self) -> Repeated:
        from snstat.engine.general.repeated import Repeated

        copies, whole, _ = self._own
        found: Repeated = self._sampler(Repeated, copies, whole=whole)
        return found


@dataclass(frozen=True)
class ByLanczos(Method):
    """Products with the Jacobian of the one row, in so many `steps`."""

    steps: int

    def require_memory(self) -> None:
        """See Method."""
        from snstat.engine.general.lanczos import sizes
        from snstat.engine.general.repeated import BESIDE

        (row,), before = self.rows, self.before
        starts, steps = sizes(row.after.units, before, self.steps)
        basis, small = starts * steps, (starts * steps) ** 2
        most = max(before, row.after.units)
        numbers = basis * min(before, row.after.units) + SMALL * small + ROWS * starts * most
        # On the way forward one layer at a time is there, with twice as many copies.
        largest = max(
            row.layer.kept * row.after.units
            + row.layer.gathered(row.before)
            + row.layer.beside(row.before)
            + BESIDE * max(row.after.units, *(shape.units for shape in row.before))
            for row in islice(self.network.rows(), self.depth)
        )
        numbers += (2 * starts + 1) * self.batch * largest
        needed = self.running * DOUBLE * numbers + self._copies(starts, starts)[2]
        self._require_memory(needed, FEWER)

    def trial(self, number: int, done: Done) -> list[Ritz]:
        """See Method. Starts depend on the seed, the trial and the layer."""
        from snstat.engine.general.lanczos import ritz_values
        from snstat.engine.general.products import Products

        (row,) = self.rows
        products = Products(*self._samples, number, row.after)
        shape = row.after.units, self.before
        random = np.random.default_rng([self.plan.seed, number, row.number])
        found = ritz_values(products, shape, self.steps, random, done)
        return [] if found is None else [found.scaled(0.5 * (products.log or 0.0))]

    @property
    def work(self) -> float:
        """See Method."""
        from snstat.engine.general.lanczos import sizes

        (row,) = self.rows
        starts, steps = sizes(row.after.units, self.before, self.steps)
        return 2.0 * starts * steps * self._multiplications

    def found(self, trials: Sequence[list[Ritz]]) -> Iterator[Found]:
        """See Method."""
        (row,) = self.rows
        values, *others = (np.array(part) for part in zip(*(own for (own,) in trials), strict=True))
        count = min(self.before, row.after.units)
        yield Found(row.number, values, Lanczos(count, *others))

    def stop(self) -> None:
        """See Method."""
        for sampler in self._samples:
            sampler.stop[0] = 1

    @cached_property
    def _samples(self) -> tuple[Repeated, Tangents]:
        from snstat.engine.general.lanczos import sizes
        from snstat.engine.general.repeated import Repeated
        from snstat.engine.general.tangents import Tangents

        (row,) = self.rows
        starts, _ = sizes(row.after.units, self.before, self.steps)
        copies, whole, _ = self._copies(starts, starts)
        made = [self._sampler(kind, copies, whole=whole) for kind in (Repeated, Tangents)]
        return made[0], made[1]
