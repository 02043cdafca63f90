"""The singular values of a network's Jacobian: sample it, predict it, put both into one record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from snstat.errors import InvalidValueError, UnknownNameError
from snstat.experiment.plan import Plan
from snstat.experiment.plans import AnyPlan, plan_again, plan_of
from snstat.experiment.spectrum_methods import ByLanczos, Exact, Found, Method
from snstat.experiment.spectrum_progress import Progress
from snstat.experiment.spectrum_settings import AUTO, LANCZOS, SpectrumSettings, usual_depths
from snstat.network.mixing import mixing, require_batch
from snstat.network.network import Network
from snstat.network.rows import Row
from snstat.network.run_settings import DENSE, RunSettings
from snstat.network.sources import sourced
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
FROM_LAYER = "from_layer"


@dataclass(frozen=True)
class SpectrumPlan:
    """A validated request: the `run` of a network with one sample, or a batch where samples depend
    on each other, the numbers of the layers at which the Jacobian of its first sample by layer
    `source` is taken, ascending, and the bound of what is near zero."""

    run_plan: AnyPlan
    layers: tuple[int, ...]
    near_zero: float
    method: str = AUTO
    lanczos_steps: int = SpectrumSettings().steps
    source: int = 0

    @classmethod
    def of_settings(
        cls,
        settings: SpectrumSettings,
        network: Network | None = None,
        layers: Sequence[int] | Callable[[AnyPlan], Sequence[int]] | None = None,
    ) -> SpectrumPlan:
        """Return the plan of `settings` for a network, or for the stack that they describe.

        `layers` ascend, or choose those of a plan; by default they are 1, 8, 64, ... and the last,
        of those after the layer by which the Jacobian is. The batch of the settings counts only
        where samples depend on each other. Raises SnstatError for invalid settings, for layers
        beyond the depth or not after that layer, for a batch of which nothing comes back, and for
        a Jacobian that is too large for the method.
        """
        names = {entry.name for entry in fields(RunSettings)} - {"batch"}
        given = {
            entry.name: getattr(settings, entry.name)
            for entry in fields(SpectrumSettings)
            if entry.name in names
        }
        if network is not None:
            del given["activation"]
        plan = plan_of(RunSettings(**given, batch=1, sampler=DENSE), network)
        source = source_of(plan, settings.from_layer)
        if layers is None:
            layers = [layer for layer in usual_depths(plan.depth) if layer > source]
        found = tuple(layers(plan) if callable(layers) else layers)
        if found[-1] > plan.depth:
            remedy = "choose a layer within the depth, or a deeper network"
            bound = f"at most the depth, {plan.depth}"
            raise InvalidValueError("layers", found[-1], bound, remedy)
        if found[0] <= source:
            bound = f"layers after {source}, by whose output the Jacobian is"
            raise InvalidValueError("layers", found[0], bound, "choose other --layers")
        made = cls(plan, found, settings.near_zero, settings.method, settings.steps, source)
        if made.mixing:
            of_batch = RunSettings(**given, batch=settings.batch, sampler=DENSE)
            made = replace(made, run_plan=plan_of(of_batch, network))
        made.require_jacobian()
        return made

    @classmethod
    def of_run(cls, run: Run, near_zero: float) -> SpectrumPlan:
        """Return the plan to take the Jacobian of the last layer of the network of `run`, as often
        as that has trials. Raises SnstatError where it cannot be sampled again, as `of_settings`
        does too."""
        plan = replace(plan_again(run), sampler=DENSE, backward=False, keep_trials=False)
        made = cls(plan, (plan.depth,), near_zero, source=source_of(plan, None))
        if not made.mixing:
            one: Any = replace(plan.inputs, batch=1)  # type: ignore[type-var]  # are dataclasses
            plan = replace(plan, inputs=one)
            made = replace(made, run_plan=plan)
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

    @cached_property
    def mixing(self) -> list[Row]:
        """The layers in which samples depend on each other; see `mixing`."""
        return mixing(self.network, self.layers[-1], train=self.run_plan.train)

    @property
    def steps(self) -> int:
        """The parts of the work that a progress bar counts: trials."""
        return self.run_plan.trials

    @cached_property
    def methods(self) -> list[Method]:
        """How the singular values of the layers are found. Raises InvalidValueError for a Jacobian
        that is too large for the method that is asked for."""
        from snstat.engine.general.lanczos import STARTS

        plan, network, source = self.run_plan, self.network, self.source
        before, exact, found = network.shape_after(source).units, list[Row](), list[Method]()
        for row in self.rows:
            units = min(before, row.after.units)
            by_lanczos = self.method == LANCZOS or (self.method == AUTO and units > MOST_UNITS)
            # So many products of the starts are as many as there are units: nothing is left out.
            if by_lanczos and units > STARTS * self.lanczos_steps:
                found.append(ByLanczos(plan, network, [row], source, self.lanczos_steps))
                continue
            if units > MOST_UNITS:
                bound = f"at most {MOST_UNITS:,} units in the layer or in the input"
                size = f"{row.after.units:,} × {before:,}, of layer {row.number},"
                remedy = "choose other --layers, or --method lanczos"
                raise InvalidValueError("Jacobian", size, bound, remedy)
            exact.append(row)
        return [*([Exact(plan, network, exact, source)] if exact else []), *found]

    def require_jacobian(self) -> None:
        """Raise InvalidValueError for a Jacobian whose singular values would take too long, too
        much memory, or more precision."""
        require_batch(self.mixing, self.inputs.batch)
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

    def run(self, progress: Callable[[float], None] | None = None) -> Spectrum:
        """Sample and predict; see `snstat.spectrum`. `progress` is called with the trials done,
        parts of them too, by several threads but one at a time.

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
        return Spectrum(self.subject, simulation, self.near_zero, layers, self.source)

    def _sampled(self, progress: Callable[[float], None] | None) -> list[Found]:
        """Return what is found of every layer."""
        from snstat.engine.general.single import require_single
        from snstat.engine.simulate import one_blas_thread

        plan, methods = self.run_plan, self.methods
        trials: list[list[list[Any]]] = []

        done, whole = Progress(progress), sum(method.work for method in methods)

        def trial(number: int) -> list[list[Any]]:
            found, before = list[list[Any]](), 0.0
            for method in methods:
                part = method.work / whole
                found.append(method.trial(number, done.of(number, before, part)))
                before += part
            return found

        # After an interrupt nobody waits for a decomposition, which does not see it.
        pool = ThreadPoolExecutor(methods[0].running)
        with one_blas_thread():
            try:
                require_single(
                    self.network, plan.inputs, plan.seed, plan.dtype,
                    train=plan.train, depth=self.layers[-1],
                )  # fmt: skip
                trials += pool.map(trial, range(plan.trials))
            except BaseException:
                for method in methods:
                    method.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        pool.shutdown()
        every = zip(methods, zip(*trials, strict=True), strict=True)
        return [found for method, own in every for found in method.found(own)]

    def theory(self) -> list[SpectrumTheory]:
        """Return theory of each layer at which the Jacobian is taken."""
        from snstat.theory.spectrum import network_theory, stack_theory

        plan, moments = self.run_plan, self.inputs.moments()
        if isinstance(plan, Plan) and not self.source:
            return stack_theory(plan.stack, moments, self.layers, self.near_zero)
        return network_theory(
            self.network, moments, self.layers, train=plan.train, source=self.source
        )


def require_use_of(batch: int | None, plans: Sequence[SpectrumPlan]) -> None:
    """Raise InvalidValueError for a `batch` that is asked for and none of the `plans` takes."""
    if batch is not None and batch > 1 and all(plan.inputs.batch == 1 for plan in plans):
        bound = "1, or left out, where no sample depends on the rest of its batch"
        raise InvalidValueError("batch", batch, bound)


def source_of(plan: AnyPlan, given: int | str | None) -> int:
    """Return the number of the layer that is `given` by its number or its name.

    By default it is the input, or the embedding of tokens, which have no small changes. Raises
    InvalidValueError for no layer, for the last one, for tokens, and for several embeddings.
    """
    network = plan.network
    tokens = network is not None and network.input.tokens
    if given is None:
        if network is None or not tokens:
            return 0
        given = _embedding(network)
    last = plan.depth
    if isinstance(given, str):
        if network is None:
            bound = f"a number from 0 to {last - 1:,}, as the layers of a stack have no names"
            raise InvalidValueError(FROM_LAYER, given, bound)
        numbers = {row.name: row.number for row in network.rows()}
        if given not in numbers:
            near = UnknownNameError(FROM_LAYER, given, numbers).suggestions
            remedy = f"did you mean {near[0]!r}?" if near else "snstat show lists them"
            raise InvalidValueError(FROM_LAYER, given, "the name of a layer", remedy)
        given = numbers[given]
    if tokens and not given:
        bound = "a layer: tokens have no small changes"
        raise InvalidValueError(FROM_LAYER, given, bound, "leave it out for the embedding")
    if given >= last:
        bound = f"before the last layer, {last:,}, whose Jacobian by itself is the identity"
        raise InvalidValueError(FROM_LAYER, given, bound)
    return given


def _embedding(network: Network) -> int:
    """Return the number of the one layer that reads tokens."""
    found = [own.number for own in sourced(network.block) if 0 in own.sources]
    if len(found) > 1:
        bound = f"given where several layers read tokens: {', '.join(map(str, found[:8]))}"
        raise InvalidValueError(FROM_LAYER, "none", bound)
    return found[0]
