"""A validated request and its execution: simulate, predict, put both into one record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from snstat.errors import InvalidValueError
from snstat.experiment.background import aside
from snstat.experiment.record import (
    data_summary,
    gradient_statistic,
    layer_mean,
    measured_statistics,
    simulation_of,
)
from snstat.experiment.source import require_data_of, source_of
from snstat.limits import require_memory
from snstat.network.description import network_summary, settings_of, summary_of
from snstat.network.run_settings import RunSettings
from snstat.network.stack import Stack
from snstat.results import (
    GRADIENT,
    InputMoments,
    Outlook,
    Run,
    Simulation,
    StackSummary,
    Subject,
)

if TYPE_CHECKING:
    from snstat.engine.inputs import Inputs
    from snstat.network.network import Network
    from snstat.theory.finite_width import FiniteWidth
    from snstat.theory.prediction import Prediction

    Predicted = tuple[Prediction, FiniteWidth, Outlook | None]

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
    train: bool = True
    # The network whose file describes the stack.
    network: Network | None = None

    @classmethod
    def build(cls, *settings: Any, **options: Any) -> Plan:
        """Return the plan of `RunSettings(*settings, **options)`: see `of_settings`."""
        return cls.of_settings(RunSettings(*settings, **options))

    @classmethod
    def of_settings(cls, settings: RunSettings) -> Plan:
        """Return the plan that `settings` describe. Raises SnstatError for invalid ones."""
        stack = Stack.of(settings)
        source = source_of(settings, stack.width_of(0))
        if settings.widths is not None and source.width != stack.width_of(0):
            bound = f"a list that begins with {source.width}, the width of the inputs"
            raise InvalidValueError("widths", settings.widths, bound)
        return cls.of_stack(stack.fed(source.width), source, settings)

    @classmethod
    def of_stack(cls, stack: Stack, source: Inputs, settings: RunSettings) -> Plan:
        """Return the plan to simulate `stack`, fed by `source`, as `settings` say."""
        from snstat.engine.strategies import choose

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
            settings.train,
        )
        plan.require_memory()
        return plan

    @classmethod
    def of(cls, run: Run) -> Plan:
        """Return the plan of `run`, so that it can be simulated again.

        Raises InvalidValueError if its data have changed.
        """
        plan = cls.build(**options_of(run))
        require_data_of(run, plan.inputs)
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
    def depth(self) -> int:
        """The number of layers."""
        return self.stack.depth

    @property
    def steps(self) -> int:
        """The parts of the work that a progress bar counts: pairs of a layer and a trial."""
        return self.depth * self.trials

    @property
    def widest(self) -> int:
        """The units of the widest layer, the input included."""
        return max(self.stack.widest, self.stack.width_of(0))

    @property
    def summary(self) -> StackSummary:
        """The record of the stack."""
        return summary_of(self.stack)

    @property
    def subject(self) -> Subject:
        """The record of what is simulated: the network whose file describes the stack, or the
        stack."""
        if self.network is None:
            return self.summary
        samplers = (None, *(self.sampler,) * self.depth)
        return replace(network_summary(self.network, samplers), stack=self.summary)

    def warm(self, notice: Callable[[str], None] | None = None) -> None:
        """Prepare the kernels; see `compile_kernels`."""
        from snstat.experiment.warmup import compile_kernels

        compile_kernels(
            self.stack.init, self.dtype, self.sampler, backward=self.backward, notice=notice
        )

    @property
    def simulation(self) -> Simulation:
        """The record of how the network is simulated."""
        return simulation_of(
            self.inputs,
            trials=self.trials,
            seed=self.seed,
            dtype=self.dtype,
            sampler=self.sampler,
            train=self.train,
        )

    def run(
        self,
        progress: Callable[[int], None] | None = None,
        predict: Callable[[InputMoments], Predicted] | None = None,
    ) -> Run:
        """Predict and simulate; see `propagate`. `predict` stands for the method of this name,
        where several runs share what it returns."""
        from snstat.engine.simulate import simulate

        source = self.inputs
        moments = self.moments()
        theory = aside(lambda: (predict or self.predict)(moments))
        digest = aside(source.digest)
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
        prediction, corrected, outlook = theory.result()
        statistics = measured_statistics(
            measured, prediction.statistics, corrected.expected, corrected.residual
        )
        if measured.log_gradient is not None:
            statistics[GRADIENT] = gradient_statistic(
                measured.log_gradient,
                prediction.log_gradient,
                corrected.log_gradient,
                corrected.log_gradient_residual,
                keep_trials=self.keep_trials,
            )
        return Run(
            subject=self.subject,
            simulation=replace(self.simulation, inputs_digest=digest.result()),
            finite=measured.finite,
            statistics=MappingProxyType(statistics),
            outlook=outlook,
            partial=measured.interrupted,
            data=data_summary(moments),
            log_kurtosis=layer_mean(measured.log_kurtosis),
        )

    @property
    def followed(self) -> None:
        """The samples of data that theory follows one by one: none, but classes of them."""

    def moments(self) -> InputMoments:
        """Return the moments of the inputs. Reads all data, and raises if they cannot be used."""
        return self.inputs.moments()

    def predict(self, moments: InputMoments) -> Predicted:
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
    if run.stack is None:
        raise InvalidValueError("run", run.subject.called, "that of a uniform stack")
    return settings_of(run.stack) | sampling_of(run)


def sampling_of(run: Run) -> dict[str, Any]:
    """Return the arguments of `propagate` that say how `run` was sampled."""
    simulation = run.simulation
    return {
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
        "train": simulation.train,
        "infinite_width": simulation.infinite_width,
        "backward": GRADIENT in run.statistics,
    }
