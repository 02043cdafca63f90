"""A traced module as a run: estimates of every row over the trials that had its call."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

import numpy as np

from snstat.experiment.mapped import theory_of
from snstat.files.module_form import traced_simulation
from snstat.results import (
    ALSO_MEASURED,
    GRADIENT,
    MEASURED,
    OF_POSITIONS,
    BoolArray,
    FloatArray,
    ModuleSummary,
    Run,
    Statistic,
)
from snstat.sources.mapped import Mapped


class Traced(Protocol):
    """What a tracer returns. `values` (trials, rows + 1, statistics) are NaN for what is missing,
    and throughout for a call that a trial did not make; `names` are those of the statistics.
    `log_gradient` (trials, rows + 1) is relative to the last row. Row 0 is the input."""

    @property
    def summary(self) -> ModuleSummary:
        """What was traced."""
        ...

    @property
    def batch(self) -> int:
        """The samples of a trial."""
        ...

    @property
    def finite(self) -> BoolArray:
        """Whether every trial is finite in a row, (rows + 1,)."""
        ...

    @property
    def values(self) -> FloatArray:
        """The statistics of every trial."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """The names of the statistics."""
        ...

    @property
    def log_gradient(self) -> FloatArray | None:
        """Ln of the squared gradients of every trial, None where they were not measured."""
        ...

    @property
    def mapped(self) -> Mapped | None:
        """The layers that theory knows, None for none."""
        ...


def traced_run(
    traced: Traced,
    *,
    seed: int | None,
    dtype: str,
    inputs: Mapping[str, str] | None = None,
    keep_trials: bool = False,
    notice: Callable[[str], None] | None = None,
) -> Run:
    """Return the run that a traced module is, with theory of the layers that it is. `inputs` say
    what it was called with, where more is known than the tracer knows; `seed` is None where
    nothing was drawn. `notice` is told what theory takes where that is much."""
    values, batch = traced.values, traced.batch
    beside = theory_of(traced.mapped, traced.summary, batch, notice)
    summary = traced.summary
    if inputs is not None:
        summary = replace(summary, inputs=dict(inputs))
    if traced.mapped is not None:
        summary = replace(summary, theory_ends=beside.ends)
    trials, layers, _ = values.shape
    had: BoolArray = np.isfinite(values).any(axis=2)  # type: ignore[assignment]  # an array
    if traced.log_gradient is not None:  # masks have gradients, and no statistics
        had |= np.isfinite(traced.log_gradient)
    had[:, 0] = True  # all trials had the input, of tokens too, which have no statistics
    unknown = np.full(layers, math.nan)

    def column(
        name: str, estimate: FloatArray, stderr: FloatArray, kept: FloatArray | None
    ) -> Statistic:
        """Return a statistic with its theory."""
        known = (beside.theory, beside.expected, beside.neglected)
        theory, expected, neglected = (own.get(name, unknown) for own in known)
        return Statistic(
            estimate,
            stderr,
            theory,
            expected,
            neglected,
            logarithmic=name == GRADIENT,
            scored=beside.scored,
            trials=kept,
        )

    places = {name: place for place, name in enumerate(traced.names)}
    statistics = {}
    for name in (*MEASURED, *OF_POSITIONS):
        found = (
            values[:, :, places[name]] if name in places else np.full((trials, layers), math.nan)
        )
        # What is not measured anywhere is left out, unless every run has it.
        if name in (*ALSO_MEASURED, *OF_POSITIONS) and np.isnan(found).all():
            continue
        estimate, stderr = over_trials(np.where(traced.finite, found, math.nan), had)
        kept = found if keep_trials else None
        statistics[name] = column(name, estimate, stderr, kept)
    if traced.log_gradient is not None:
        log, stderr = over_trials(traced.log_gradient, had)
        with np.errstate(over="ignore"):
            kept = np.exp(traced.log_gradient) if keep_trials else None
            statistics[GRADIENT] = column(GRADIENT, np.exp(log), stderr, kept)
    simulation = traced_simulation(summary, batch=batch, trials=trials, seed=seed, dtype=dtype)
    return Run(summary, simulation, traced.finite, MappingProxyType(statistics))


def over_trials(values: FloatArray, had: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and standard error over the trials that `had` a layer of values, both
    (trials, layers); each is (layers,), NaN where one of these values is missing. One trial has no
    standard error."""
    count = had.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = np.where(had, values, 0.0).sum(axis=0) / count
        square = np.where(had, values - mean, 0.0) ** 2
        stderr = np.sqrt(square.sum(axis=0) / (count - 1.0) / count)
    return mean, np.where(count > 1, stderr, math.nan)
