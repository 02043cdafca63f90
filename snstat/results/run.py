"""Records of `snstat propagate`: predictions and measurements, layer by layer."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from snstat.results.base import BoolArray, IntArray, Record
from snstat.results.network import LayerSummary, Simulation
from snstat.results.statistic import EVERY, Estimate, Statistic
from snstat.results.subject import OfNetwork, Subject
from snstat.results.theory_end import TheoryEnd
from snstat.results.views import views

if TYPE_CHECKING:
    from snstat.results.module import Call
    from snstat.results.norms import DataSummary, NormClasses
    from snstat.results.samples import Samples

PROPAGATION_SCHEMA = "snstat.propagation/2"
# Files of these schemas are read too.
EARLIER_SCHEMAS = ("snstat.propagation/1",)


@dataclass(frozen=True, slots=True, eq=False)
class InputMoments(Record):
    """The expected statistics of layer 0; NaN if undefined or unknown.

    `cosine` is the mean over pairs of different samples at infinite width. `length_variance` is the
    variance of one sample's second moment divided by the square of its mean (0 for data of equal
    norm, NaN for other data). `drawn` is True for drawn samples with independent units, False for
    data. `largest` is the largest absolute value of data, NaN if unknown. `norms` are the classes
    of data whose samples differ in norm, None otherwise. `cosine_spread` is the standard deviation
    of the cosine over pairs of data, NaN if unknown. `samples` are those of data that theory
    follows one by one, None where it needs none, or where only the record of a run is there.
    """

    mean: float
    variance: float
    second_moment: float
    variance_over_batch: float
    variance_over_units: float
    cosine: float
    kurtosis: float
    length_variance: float = math.nan
    drawn: bool = False
    largest: float = math.nan
    norms: NormClasses | None = None
    cosine_spread: float = math.nan
    samples: Samples | None = None

    def scaled(self, square: float) -> InputMoments:
        """Return the moments of inputs divided by √`square`."""
        return replace(
            self,
            mean=self.mean / math.sqrt(square),
            variance=self.variance / square,
            second_moment=self.second_moment / square,
            variance_over_batch=self.variance_over_batch / square,
            variance_over_units=self.variance_over_units / square,
            largest=self.largest / math.sqrt(square),
            norms=None if self.norms is None else self.norms.scaled(square),
            samples=None if self.samples is None else self.samples.scaled(square),
        )

    @property
    def silent(self) -> bool:
        """Whether every input is exactly 0, and not merely too small to be squared."""
        return self.second_moment == 0 and self.mean == 0 and not self.length_variance > 0


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a run: `layer.mean.estimate`, `layer.cosine.theory`, ...

    `name` is "input" or the number of the layer, `kind` is "input" or "dense"; in a network of any
    layers, they are those of its file. `shape` holds the units after the layer, grid first, and
    `sampler` names its sampler, None for the input. `call` says what a row of a traced module is,
    None for its input and for other networks.
    """

    layer: int
    finite: bool
    statistics: Mapping[str, Estimate]
    name: str
    kind: str
    shape: tuple[int, ...]
    sampler: str | None
    call: Call | None = None

    def __getattr__(self, name: str) -> Estimate:
        """Return the statistic called `name`."""
        try:
            return self.statistics[name]
        except KeyError:
            raise AttributeError(name) from None

    def to_json(self) -> dict[str, Any]:
        """Return the layer in its JSON form."""
        form: dict[str, Any] = {
            "layer": self.layer,
            "name": self.name,
            "kind": self.kind,
            "shape": list(self.shape),
            "sampler": self.sampler,
            "finite": self.finite,
        }
        if self.call is not None:
            form |= self.call.to_json()
        form |= {name: dict(value) for name, value in self.statistics.items()}
        return form


class Layers(Sequence[Layer]):
    """The layers of a run, made on access: a `Run` of 100,000 layers holds only arrays."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __len__(self) -> int:
        return len(self._run.finite)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Layers):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = None  # type: ignore[assignment]  # as a list

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> list[Layer]: ...
    @overload
    def __getitem__(self, index: str) -> Layer: ...
    def __getitem__(self, index: int | slice | str) -> Layer | list[Layer]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if isinstance(index, str):
            index = self._run.numbered(index)
        layer = range(len(self))[index]
        values = {name: column.at(layer) for name, column in self._run.statistics.items()}
        row = self._run.row(layer)
        return Layer(
            layer,
            bool(self._run.finite[layer]),
            MappingProxyType(values),
            name=row.name,
            kind=row.kind,
            shape=row.shape,
            sampler=row.sampler,
            call=self._run.call(layer),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Outlook(Record):
    """What theory predicts for the stack as a whole (ensemble map at infinite width).

    `kind` is one of "converges", "vanishes", "explodes", "neutral" (every second moment is a
    fixed point), "drifts" (no attracting fixed point is reached) or "silent" (inputs and biases
    are 0, so every layer is 0; rate and gradients are None). `mean` and `variance` are
    those of the limit, `rate` the factor by which the distance to it changes per layer,
    `gradient_growth` χ at the limit, and `gradient_factor` the theory of
    `gradient` at layer 0: the factor by which it grows from the last layer back to the input.
    """

    kind: str
    mean: float | None = None
    variance: float | None = None
    rate: float | None = None
    gradient_growth: float | None = None
    gradient_factor: float | None = None


@dataclass(frozen=True, slots=True)
class LayerMean(Record):
    """The mean over layers 1.. of one number per trial: its mean over trials, and the standard
    error of that. Layers depend on each other, so no column of single layers tells the error."""

    estimate: float
    stderr: float


@dataclass(frozen=True, slots=True, eq=False)
class Run(OfNetwork):
    """One network, simulated and predicted.

    `subject` says what it is, by its layers (`network`), as a uniform `stack`, or both, or as a
    traced `module`. `finite`
    has shape (layers,); `statistics` maps a name of `STATISTICS` to its columns, also reachable as
    attributes: `run.variance.estimate[64]`. `partial` means that the run was interrupted and has
    only the layers that every trial completed. `data` describes the user's own samples; it is None
    for drawn inputs and for older saved runs. `log_kurtosis` averages ln of the kurtosis over
    layers; it is None for one trial, if not finite, and for older saved runs. `theory_ends` are
    the layers of a network at which theory ends, with the reasons; it is empty for uniform stacks,
    for traced modules, which have their own, and for older saved runs. Runs are equal if their
    subject, simulation and all their numbers are; a run equals its copy and what `load` reads back.
    """

    subject: Subject
    simulation: Simulation
    finite: BoolArray
    statistics: Mapping[str, Statistic]
    outlook: Outlook | None = None
    partial: bool = False
    data: DataSummary | None = None
    log_kurtosis: LayerMean | None = None
    theory_ends: tuple[TheoryEnd, ...] = field(default=(), compare=False)

    def __getattr__(self, name: str) -> Statistic:
        """Return the statistic called `name`."""
        if name in EVERY and name in self.statistics:
            return self.statistics[name]
        raise AttributeError(f"a run has no {name!r}")

    def __getitem__(self, key: str) -> Any:
        """Return the field called `key`, or the layer of that name; KeyError if there is none."""
        return Record.__getitem__(self, key) if key in self.keys() else self.layers[key]

    @property
    def layers(self) -> Layers:
        """The run layer by layer: `run.layers[3].mean.estimate`, or `run.layers["encoder.norm"]`
        where layers have names."""
        return Layers(self)

    def numbered(self, name: str) -> int:
        """Return the number of the layer called `name`; KeyError if there is none."""
        for layer in range(len(self.finite)):
            if self.subject.row(layer).name == name:
                return layer
        raise KeyError(name)

    def call(self, layer: int) -> Call | None:
        """Return what a row of a traced module is, None for the input and for other networks."""
        return self.module.rows[layer - 1] if self.module is not None and layer else None

    @property
    def trials_had(self) -> IntArray:
        """How many trials had each layer, (layers,): all of them, unless it is a call of a module
        that some trials did not make."""
        had = np.full(len(self.finite), self.simulation.trials)
        if self.module is not None:
            had[1:] = [row.trials for row in self.module.rows[: len(had) - 1]]
        return had

    def row(self, layer: int) -> LayerSummary:
        """Return what a layer is. Layer 0 is the input."""
        row = self.subject.row(layer)
        if self.network is None and self.module is None and layer:  # one sampler for all layers
            return replace(row, sampler=self.simulation.sampler)
        return row

    @property
    def depth(self) -> int:
        """The layers of the network, more than those of an interrupted run."""
        return self.subject.depth

    @property
    def first_nonfinite(self) -> int | None:
        """The first layer with a value that is not finite, or None."""
        bad = np.flatnonzero(~self.finite)
        return int(bad[0]) if bad.size else None

    def __dir__(self) -> list[str]:
        """Return the attributes, the statistics among them, for completion at a prompt."""
        return sorted({*object.__dir__(self), *self.statistics})

    def __repr__(self) -> str:
        """Return the table of `snstat propagate`, with the verdict above it."""
        return views().run_text(self)

    def plot(self, kind: str = "trajectory", ax: Any = None) -> Any:
        """Draw the run and return matplotlib axes.

        `kind` is "trajectory" (mean, variance, and others if known; an array of axes),
        "histogram" (the network is simulated again), or the name of a statistic. With `ax` one
        statistic is drawn there, the variance for "trajectory". Raises SnstatError for an unknown
        kind.
        """
        return views().run_plot(self, kind, ax)

    def to_frame(self) -> Any:
        """Return the run as a pandas DataFrame in long form, a row for each statistic and layer.

        The columns are layer, name, statistic, finite, estimate, stderr, theory, expected,
        neglected and z; NaN if missing. A run that kept its trials has a row for each trial, with
        the further columns trial (0, 1, ...) and value. Raises SnstatError without pandas.
        """
        return views().run_frame(self)

    def _repr_html_(self) -> str:
        """Return the table as HTML, for notebooks."""
        return views().run_html(self)
