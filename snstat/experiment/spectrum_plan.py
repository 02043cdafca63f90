"""The singular values of a network's Jacobian: sample it, predict it, put both into one record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from snstat.errors import InvalidValueError
from snstat.experiment.plan import Plan
from snstat.experiment.plans import AnyPlan, plan_again, plan_of
from snstat.experiment.spectrum_methods import ByLanczos, Exact, Found, Method
from snstat.experiment.spectrum_settings import AUTO, LANCZOS, SpectrumSettings, usual_depths
from snstat.network.network import Network
from snstat.network.rows import Row
from snstat.network.run_settings import DENSE, RunSettings
from snstat.results import (
    LayerSpectrum,
    Run,
    Simulation,
    Spectrum,
    SpectrumTheory,
    Subject,
)

if TYPE_CHECKING:
    from snstat.engine.inputs import Inputs

# Of more rows and more columns, not all singular values are found: those of 4,096 take a minute.
MOST_UNITS = 4096


@dataclass(frozen=True)
class SpectrumPlan:
    """A validated request: the `run` of a network with one sample, the numbers of the layers at
    which its Jacobian is taken, ascending, and the bound of what is near zero."""

    run_plan: AnyPlan
    layers: tuple[int, ...]
    near_zero: float
    method: str = AUTO
    lanczos_steps: int = SpectrumSettings().steps

    @classmethod
    def of_settings(
        cls,
        settings: SpectrumSettings,
        network: Network | None = None,
        layers: Sequence[int] | Callable[[AnyPlan], Sequence[int]] | None = None,
    ) -> SpectrumPlan:
        """Return the plan of `settings` for a network, or for the stack that they describe.

        `layers` ascend, or choose those of a plan; by default they are 1, 8, 64, ... and the last.
        Raises SnstatError for invalid settings, for layers beyond the depth, for inputs without
        small changes, and for a Jacobian that is too large for the method.
        """
        names = {entry.name for entry in fields(RunSettings)}
        given = {
            entry.name: getattr(settings, entry.name)
            for entry in fields(SpectrumSettings)
            if entry.name in names
        }
        if network is not None:
            del given["activation"]
        plan = plan_of(RunSettings(**given, batch=1, sampler=DENSE), network)
        if layers is None:
            layers = usual_depths(plan.depth)
        found = tuple(layers(plan) if callable(layers) else layers)
        if found[-1] > plan.depth:
            remedy = "choose a layer within the depth, or a deeper network"
            bound = f"at most the depth, {plan.depth}"
            raise InvalidValueError("layers", found[-1], bound, remedy)
        made = cls(plan, found, settings.near_zero, settings.method, settings.steps)
        made.require_jacobian()
        return made

    @classmethod
    def of_run(cls, run: Run, near_zero: float) -> SpectrumPlan:
        """Return the plan to take the Jacobian of the last layer of the network of `run`, as often
        as that has trials. Raises SnstatError where it cannot be sampled again, as `of_settings`
        does too."""
        plan = plan_again(run)
        inputs = replace(plan.inputs, batch=1)  # type: ignore[type-var]  # sources are dataclasses
        plan = replace(plan, inputs=inputs, sampler=DENSE, backward=False, keep_trials=False)
        made = cls(plan, (plan.depth,), near_zero)
        if any(isinstance(method, ByLanczos) for method in made.methods):
            made = replace(made, run_plan=replace(plan, dtype="float64"))
        made.require_jacobian()
        return made

    @property
    def network(self) -> Network:
        """The network, of any layers."""
        plan = self.run_plan
        if isinstance(plan, Plan):
            return plan.network or Network.of(plan.stack)
        return plan.network

    @property
    def inputs(self) -> Inputs:
        """The source of the input, one sample of a trial."""
        return self.run_plan.inputs

    @property
    def subject(self) -> Subject:
        """The record of the network."""
        return self.run_plan.subject

    @property
    def simulation(self) -> Simulation:
        """The record of how the network is sampled."""
        return self.run_plan.simulation

    @property
    def depth(self) -> int:
        """The number of layers."""
        return self.run_plan.depth

    @cached_property
    def rows(self) -> list[Row]:
        """The layers at which the Jacobian is taken."""
        return list(self.network.rows(self.layers))

    @property
    def steps(self) -> int:
        """The parts of the work that a progress bar counts: trials."""
        return self.run_plan.trials

    @cached_property
    def methods(self) -> list[Method]:
        """How the singular values of the layers are found. Raises InvalidValueError for a Jacobian
        that is too large for the method that is asked for."""
        from snstat.engine.general.lanczos import STARTS

        before, exact, found = self.network.input.units, list[Row](), list[Method]()
        for row in self.rows:
            units = min(before, row.after.units)
            by_lanczos = self.method == LANCZOS or (self.method == AUTO and units > MOST_UNITS)
            # So many products of the starts are as many as there are units: nothing is left out.
            if by_lanczos and units > STARTS * self.lanczos_steps:
                found.append(ByLanczos(self.run_plan, self.network, [row], self.lanczos_steps))
                continue
            if units > MOST_UNITS:
                bound = f"at most {MOST_UNITS:,} units in the layer or in the input"
                size = f"{row.after.units:,} × {before:,}, of layer {row.number},"
                remedy = "choose other --layers, or --method lanczos"
                raise InvalidValueError("Jacobian", size, bound, remedy)
            exact.append(row)
        return [*([Exact(self.run_plan, self.network, exact)] if exact else []), *found]

    def require_jacobian(self) -> None:
        """Raise InvalidValueError for inputs that have no small changes, and for a Jacobian whose
        singular values would take too long, too much memory, or more precision."""
        if self.network.input.tokens:
            (embedded,) = (row.after for row in self.network.rows([1]))
            grid = f", grid = {list(embedded.grid)}" if embedded.grid else ""
            shape = f"input = {{ channels = {embedded.channels}{grid} }}"
            raise InvalidValueError(
                "input",
                f"{self.network.input.tokens:,} tokens",
                "numbers, which have small changes",
                f"take the network without its embedding, with {shape}",
            )
        single = self.run_plan.dtype != "float64"
        for method in self.methods:
            if single and isinstance(method, ByLanczos):
                bound = "float64 with the Lanczos method, whose products are differences"
                remedy = "leave --dtype out" if self.method == LANCZOS else "choose other --layers"
                raise InvalidValueError("dtype", self.run_plan.dtype, bound, remedy)
            method.require_memory()

    def warm(self, notice: Callable[[str], None] | None = None) -> None:
        """Prepare the kernels; see `compile_kernels`."""
        from snstat.experiment.warmup import compile_network_kernels

        grid = bool(self.network.input.grid)
        dtype = self.run_plan.dtype
        compile_network_kernels(dtype, DENSE, backward=True, grid=grid, notice=notice)

    def run(self, progress: Callable[[int], None] | None = None) -> Spectrum:
        """Sample and predict; see `snstat.spectrum`. `progress` is called with the trials done.

        Raises LayerError with the path of a layer that cannot be sampled, or whose samples depend
        on each other.
        """
        sampled = {found.number: found for found in self._sampled(progress)}
        layers = tuple(
            LayerSpectrum(
                number, self.subject.row(number).name, found.values, own, lanczos=found.lanczos
            )
            for (number, found), own in zip(sorted(sampled.items()), self.theory(), strict=True)
        )
        simulation = replace(self.simulation, inputs_digest=self.inputs.digest())
        return Spectrum(self.subject, simulation, self.near_zero, layers)

    def _sampled(self, progress: Callable[[int], None] | None) -> list[Found]:
        """Return what is found of every layer."""
        from snstat.engine.general.single import require_single
        from snstat.engine.simulate import one_blas_thread

        plan, methods = self.run_plan, self.methods
        trials: list[list[list[Any]]] = []

        def trial(number: int) -> list[list[Any]]:
            return [method.trial(number) for method in methods]

        with one_blas_thread(), ThreadPoolExecutor(methods[0].running) as pool:
            try:
                require_single(
                    self.network, plan.inputs, plan.seed, plan.dtype,
                    train=plan.train, depth=self.layers[-1],
                )  # fmt: skip
                for own in pool.map(trial, range(plan.trials)):
                    trials.append(own)
                    if progress is not None:
                        progress(len(trials))
            except BaseException:
                for method in methods:
                    method.stop()  # the pool waits for trials that still run
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        every = zip(methods, zip(*trials, strict=True), strict=True)
        return [found for method, own in every for found in method.found(own)]

    def theory(self) -> list[SpectrumTheory]:
        """Return theory of each layer at which the Jacobian is taken."""
        from snstat.theory.spectrum import network_theory, stack_theory

        plan, moments = self.run_plan, self.inputs.moments()
        if isinstance(plan, Plan):
            return stack_theory(plan.stack, moments, self.layers, self.near_zero)
        return network_theory(self.network, moments, self.layers, train=plan.train)
