"""A validated request and its execution: simulate, predict, put both into one record."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.errors import InvalidValueError
from snstat.experiment.background import aside
from snstat.limits import require_memory
from snstat.network.description import settings_of, summary_of
from snstat.network.run_settings import DRAWN, RunSettings
from snstat.network.stack import Stack
from snstat.results import (
    GRADIENT,
    MEASURED,
    DataSummary,
    FloatArray,
    InputMoments,
    LayerMean,
    Outlook,
    Run,
    Simulation,
    StackSummary,
    Statistic,
)

if TYPE_CHECKING:
    from snstat.engine.inputs import Inputs
    from snstat.theory.finite_width import FiniteWidth
    from snstat.theory.prediction import Prediction

LESS = "use a smaller --width, --batch, --trials, --threads or --depth"


@dataclass(frozen=True, slots=True)
class Plan:
    """A validated request: a stack, its inputs, and how it is simulated."""

    stack: Stack
    inputs: Inputs
    trials: int
    seed: int
    dtype: str
    sampler: str
    threads: int | None
    backward: bool
    keep_trials: bool = False

    @classmethod
    def build(cls, *settings: Any, **options: Any) -> Plan:
        """Return the plan of `RunSettings(*settings, **options)`: see `of_settings`."""
        return cls.of_settings(RunSettings(*settings, **options))

    @classmethod
    def of_settings(cls, settings: RunSettings) -> Plan:
        """Return the plan that `settings` describe. Raises SnstatError for invalid ones."""
        from snstat.engine.strategies import choose

        stack = Stack.of(settings)
        source = _resolve_inputs(settings, stack.width_of(0))
        if settings.widths is not None and source.width != stack.width_of(0):
            bound = f"a list that begins with {source.width}, the width of the inputs"
            raise InvalidValueError("widths", settings.widths, bound)
        stack = stack.fed(source.width)
        chosen = choose(stack, source.batch, settings.sampler, backward=settings.backward)
        plan = cls(
            stack,
            source,
            settings.trials,
            settings.seed,
            settings.dtype,
            chosen.name,
            settings.threads,
            settings.backward,
            bool(settings.keep_trials),
        )
        plan.require_memory()
        return plan

    @classmethod
    def of(cls, run: Run) -> Plan:
        """Return the plan of `run`, so that it can be simulated again.

        Raises InvalidValueError if its data have changed.
        """
        plan = cls.build(**options_of(run))
        was = run.simulation.inputs_digest
        if was is not None and plan.inputs.digest() != was:
            raise InvalidValueError(
                "inputs", run.simulation.inputs, "the data of the run", "their content has changed"
            )
        return plan

    def require_memory(self) -> None:
        """Raise InvalidValueError if the simulation cannot fit in memory."""
        require_memory(self.footprint(self.sampler), LESS)

    def footprint(self, sampler: str) -> float:
        """Return the bytes that the simulation needs with `sampler`, "dense" or "matrix-free"."""
        from snstat.engine.footprint import footprint
        from snstat.engine.simulate import available_cores

        return footprint(
            self.stack,
            self.inputs,
            trials=self.trials,
            dtype=self.dtype,
            sampler=sampler,
            threads=self.threads or available_cores(),
            backward=self.backward,
            keep_trials=self.keep_trials,
        )

    @property
    def summary(self) -> StackSummary:
        """The record of the stack."""
        return summary_of(self.stack)

    @property
    def simulation(self) -> Simulation:
        """The record of how the network is simulated."""
        source = self.inputs
        mean, std = source.parameters
        return Simulation(
            source.batch,
            self.trials,
            self.seed,
            self.dtype,
            self.sampler,
            source.label,
            mean,
            std,
            standardize=source.prepared["standardize"],
            flatten=source.prepared["flatten"],
        )

    def run(self, progress: Callable[[int], None] | None = None) -> Run:
        """Predict and simulate; see `propagate`."""
        from snstat.engine.simulate import simulate

        source = self.inputs
        moments = source.moments()  # reads all data, and raises if they cannot be used
        theory, digest = aside(lambda: self.predict(moments)), aside(source.digest)
        measured = simulate(
            self.stack,
            source,
            trials=self.trials,
            seed=self.seed,
            dtype=self.dtype,
            sampler=self.sampler,
            threads=self.threads,
            backward=self.backward,
            keep_trials=self.keep_trials,
            progress=progress,
        )
        prediction, corrected, outlook = theory()
        unknown = np.full(self.stack.depth + 1, math.nan)
        statistics = {
            name: Statistic(
                np.ascontiguousarray(measured.estimate[:, column]),
                np.ascontiguousarray(measured.stderr[:, column]),
                prediction.statistics.get(name, unknown)[: len(measured.finite)],
                corrected.expected.get(name, unknown)[: len(measured.finite)],
                corrected.residual.get(name, unknown)[: len(measured.finite)],
                trials=None if measured.values is None else measured.values[:, :, column],
            )
            for column, name in enumerate(MEASURED)
        }
        if measured.log_gradient is not None:
            statistics[GRADIENT] = gradient_statistic(
                measured.log_gradient,
                prediction.log_gradient,
                corrected.log_gradient,
                corrected.log_gradient_residual,
                keep_trials=self.keep_trials,
            )
        return Run(
            stack=self.summary,
            simulation=replace(self.simulation, inputs_digest=digest()),
            finite=measured.finite,
            statistics=MappingProxyType(statistics),
            outlook=outlook,
            partial=measured.interrupted,
            data=None
            if moments.drawn
            else DataSummary(moments.largest, moments.norms, moments.cosine_spread),
            log_kurtosis=layer_mean(measured.log_kurtosis),
        )

    def predict(self, moments: InputMoments) -> tuple[Prediction, FiniteWidth, Outlook | None]:
        """Return what theory predicts for every layer, at infinite width and at this width, and
        for the stack as a whole."""
        from snstat.theory.finite_width import finite_width
        from snstat.theory.outlook import outlook
        from snstat.theory.predict import predict

        batch = self.inputs.batch
        prediction = predict(self.stack, batch, moments)
        corrected = finite_width(self.stack, batch, moments, prediction, backward=self.backward)
        return prediction, corrected, outlook(self.stack, prediction)


def options_of(run: Run) -> dict[str, Any]:
    """Return the arguments of `propagate` that reproduce `run`."""
    simulation = run.simulation
    return settings_of(run.stack) | {
        "batch": simulation.batch,
        "trials": simulation.trials,
        "inputs": simulation.inputs,
        "input_mean": simulation.input_mean,
        "input_std": simulation.input_std,
        "standardize": simulation.standardize,
        "flatten": simulation.flatten,
        "seed": simulation.seed,
        "dtype": simulation.dtype,
        "sampler": simulation.sampler,
        "backward": GRADIENT in run.statistics,
    }


def layer_mean(values: FloatArray | None) -> LayerMean | None:
    """Return mean and standard error of one number per trial (trials,), None if not finite."""
    if values is None or len(values) < 2 or not np.isfinite(values).all():
        return None
    return LayerMean(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)))


def gradient_statistic(
    log_gradient: FloatArray,
    log_theory: FloatArray,
    log_expected: FloatArray,
    log_neglected: FloatArray,
    *,
    keep_trials: bool = False,
) -> Statistic:
    """Return the geometric mean over trials of `log_gradient` (trials, layers), with theory at
    infinite width and at this width, and the size of the terms that the latter neglects."""
    trials = len(log_gradient)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = log_gradient.mean(axis=0)
        stderr = np.full_like(mean, math.nan)
        if trials > 1:
            stderr = log_gradient.std(axis=0, ddof=1) / math.sqrt(trials)
        return Statistic(
            np.exp(mean),
            stderr,
            np.exp(log_theory),
            np.exp(log_expected),
            log_neglected,
            logarithmic=True,
            trials=np.exp(log_gradient) if keep_trials else None,
        )


def _resolve_inputs(settings: RunSettings, width: int) -> Inputs:
    """Return the validated source of layer 0."""
    from snstat.experiment.inputs import DEFAULT_BATCH, DrawnInputs, check_data
    from snstat.files.arrays import as_array
    from snstat.files.datafile import open_array

    inputs, batch = settings.inputs, settings.batch
    mean, std = settings.input_mean, settings.input_std
    prepared = {"standardize": settings.standardize, "flatten": settings.flatten}
    if isinstance(inputs, str) and inputs in DRAWN:
        for name, asked in prepared.items():
            if asked:
                raise InvalidValueError(
                    name, asked, "left out with drawn inputs", "it applies to data of your own only"
                )
        batch = DEFAULT_BATCH if batch is None else batch
        mean, std = 0.0 if mean is None else mean, 1.0 if std is None else std
        return DrawnInputs(inputs, width, batch, mean, std)
    for name, value in (("input_mean", mean), ("input_std", std)):
        if value is not None:
            raise InvalidValueError(
                name, value, "left out with data of your own", "it applies to drawn inputs only"
            )
    if isinstance(inputs, str | os.PathLike):
        return check_data(open_array(inputs), os.fspath(inputs), batch, **prepared)
    return check_data(as_array(inputs), "array", batch, **prepared)
