"""A network of any layers: simulate it, predict it, put both into one record."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from snstat.errors import InvalidValueError
from snstat.experiment.background import aside
from snstat.experiment.network_theory import at_width, predicted_statistics
from snstat.experiment.record import (
    data_summary,
    gradient_statistic,
    layer_mean,
    measured_statistics,
    simulation_of,
)
from snstat.experiment.samples import followed, with_samples
from snstat.experiment.source import source_of, tokens_of
from snstat.experiment.theory_room import theory_bytes, theory_takes
from snstat.limits import require_memory
from snstat.network.description import network_summary
from snstat.network.network import Network
from snstat.network.population import Population
from snstat.network.run_settings import AUTO, DENSE, MATRIX_FREE, RunSettings
from snstat.network.settings import NetworkSettings
from snstat.results import GRADIENT, FloatArray, InputMoments, NetworkSummary, Run, Simulation
from snstat.results.theory_end import TheoryEnd
from snstat.values.option import options_of

if TYPE_CHECKING:
    from snstat.engine.general.given import GivenLayer
    from snstat.engine.inputs import Inputs
    from snstat.sources.weights.chain import Chain
    from snstat.theory.start import Followed
    from snstat.theory.walk import Walk

    Predicted = tuple[Walk, Mapping[str, FloatArray], Mapping[str, FloatArray]]

# Seconds that an interrupted run waits for its theory, which may take longer than the simulation.
PATIENCE = 1.0
LESS = "use a smaller --batch, --trials or --threads, or fewer or narrower layers"


@dataclass(frozen=True)
class NetworkPlan:
    """A validated request: a network, its inputs, and how it is simulated.

    `train` is whether dropout and the statistics of batches are on. Where weights are `given`, the
    network is that of independent weights with their mean squares: see experiment/given.py. A
    `population` of the network is sampled in its place, and is what `expected` is of.
    """

    network: Network
    inputs: Inputs
    trials: int = 8
    seed: int = 0
    dtype: str = "float32"
    sampler: str = AUTO
    threads: int | None = None
    backward: bool = False
    keep_trials: bool = False
    train: bool = True
    given: Chain | None = None
    population: Population | None = None

    @classmethod
    def of_settings(cls, network: Network, settings: RunSettings) -> NetworkPlan:
        """Return the plan to simulate `network` as `settings` say.

        Raises SnstatError for invalid ones, and for those that describe a stack.
        """
        source, units = network_source(network, settings), settings.infinite_width
        plan = cls(
            network,
            source,
            settings.trials,
            settings.seed,
            settings.dtype,
            settings.sampler,
            settings.threads,
            settings.backward,
            bool(settings.keep_trials),
            settings.train,
            population=None if units is None else Population.of(network, units),
        )
        plan.require_memory()
        return replace(plan, sampler=plan.name_of_samplers())

    @property
    def simulated(self) -> Network:
        """The network that is sampled: the population's if there is one."""
        return self.network if self.population is None else self.population.wide

    def require_memory(self, more: float = 0.0) -> None:
        """Raise InvalidValueError if the simulation, with as many bytes `more`, cannot fit in
        memory."""
        needed, where = self.needed()
        less = LESS
        if self.population is not None:
            less = LESS.replace("--batch", "--infinite-width, --batch")
        require_memory(needed + more, f"{less}; {where}" if where else less)

    def needed(self) -> tuple[float, str]:
        """Return the bytes that the simulation needs, and in words which layer needs most of
        them."""
        from snstat.engine.general.footprint import footprint

        needed, where = footprint(
            self.simulated,
            self.inputs,
            trials=self.trials,
            dtype=self.dtype,
            threads=self.threads,
            backward=self.backward,
            keep_trials=self.keep_trials,
            population=self.population,
            sampler=self.sampler,
        )
        if self.given is not None:
            needed += self.given.bytes(self.dtype)
        pairs = theory_bytes(self.network, self.followed)
        if pairs > needed:
            where = "theory of pairs of positions takes most of it: use a smaller grid"
        return needed + pairs, where

    @property
    def followed(self) -> Followed:
        """The samples of data that theory follows one by one."""
        return followed(self.network, self.inputs, self.trials)

    @property
    def depth(self) -> int:
        """The number of layers."""
        return self.network.depth

    @property
    def steps(self) -> int:
        """The parts of the work that a progress bar counts: pairs of a layer and a trial."""
        return self.depth * self.trials

    @property
    def widest(self) -> int:
        """The units of the widest layer, the input included."""
        return max(row.units for row in self.subject.layers)

    @cached_property
    def subject(self) -> NetworkSummary:
        """The record of the network."""
        if self.given is not None:
            return replace(network_summary(self.network), weights=self.given.record)
        if self.population is not None:  # all ways to sample it have one law
            return network_summary(self.network)
        return network_summary(self.network, (None, *self.samplers))

    @cached_property
    def samplers(self) -> tuple[str | None, ...]:
        """How the matrices of each layer are sampled, None for a layer without matrices."""
        from snstat.engine.general.samplers import samplers

        return samplers(self.network, self.inputs.batch, self.sampler, backward=self.backward)

    def name_of_samplers(self) -> str:
        """Return the shortest name of what samples all layers: "dense", "matrix-free" if no matrix
        is drawn that need not be, or "auto" if some are, because that takes less work. Of a
        population it is what was asked for."""
        if self.population is not None:
            return self.sampler
        used = set(self.samplers) - {None}
        if used <= {DENSE}:
            return DENSE
        free = replace(self, sampler=MATRIX_FREE)
        return MATRIX_FREE if free.samplers == self.samplers else AUTO

    @property
    def simulation(self) -> Simulation:
        """The record of how the network is simulated."""
        found = simulation_of(
            self.inputs,
            trials=self.trials,
            seed=self.seed,
            dtype=self.dtype,
            sampler=self.sampler,
            train=self.train,
        )
        units = None if self.population is None else self.population.units
        return replace(found, infinite_width=units)

    def warm(self, notice: Callable[[str], None] | None = None) -> None:
        """Prepare the kernels, see `compile_kernels`; say what theory takes where that is much."""
        from snstat.experiment.warmup import compile_network_kernels

        if notice is not None and (words := theory_takes(self.network, self.followed)):
            notice(words)
        compile_network_kernels(
            self.dtype,
            self.sampler,
            backward=self.backward,
            grid=bool(self.network.input.grid),
            notice=notice,
        )

    def run(
        self,
        progress: Callable[[int], None] | None = None,
        predict: Callable[[InputMoments], Predicted] | None = None,
    ) -> Run:
        """Predict and simulate; see `snstat.propagate`. Theory is NaN where there is none.
        `predict` stands for the method `theory`, where several runs share what it returns.

        Raises LayerError with the path of a layer that cannot be sampled.
        """
        from snstat.engine.general.sample import sample_network

        source = self.inputs
        moments = self.moments()
        theory = aside(lambda: (predict or self.theory)(moments))
        digest = aside(source.digest)
        measured = sample_network(
            self.network,
            source,
            trials=self.trials,
            seed=self.seed,
            dtype=self.dtype,
            train=self.train,
            sampler=self.sampler,
            given=self.given_layers(),
            population=self.population,
            threads=self.threads,
            backward=self.backward,
            keep_trials=self.keep_trials,
            progress=progress,
        )
        interrupted = measured.interrupted
        try:
            found = theory.result(PATIENCE if interrupted else None)
        except (TimeoutError, KeyboardInterrupt):
            interrupted, found = True, self._unfinished(moments)
        walked, expected, neglected = found
        predicted = predicted_statistics(walked, source.batch, moments)
        statistics = measured_statistics(measured, predicted, expected, neglected)
        if measured.log_gradient is not None:
            unknown = np.full(self.depth + 1, math.nan)
            statistics[GRADIENT] = gradient_statistic(
                measured.log_gradient,
                walked.log_gradient,
                expected.get(GRADIENT, unknown),
                unknown,
                keep_trials=self.keep_trials,
            )
        return Run(
            subject=self.subject,
            simulation=replace(self.simulation, inputs_digest=digest.result()),
            finite=measured.finite,
            statistics=MappingProxyType(statistics),
            partial=interrupted,
            data=data_summary(moments),
            log_kurtosis=layer_mean(measured.log_kurtosis),
            theory_ends=self.theory_ends(walked, predicted, expected),
        )

    def _unfinished(self, moments: InputMoments) -> Predicted:
        """Return what stands for theory that an interrupted run does not wait for."""
        from snstat.theory.walk import Walk

        walked = Walk.unknown(self.network.input, self.depth, "it was not finished")
        return walked, *at_width(walked, self.inputs.batch, moments)

    def moments(self) -> InputMoments:
        """Return those of the inputs. Reads all data, and raises if they cannot be used."""
        found, own = self.inputs.moments(), (self.trials, self.seed)
        return with_samples(found, self.network, self.inputs, *own)

    def predict(self, moments: InputMoments) -> Walk:
        """Return theory of every layer."""
        from snstat.theory.walk import walk

        return walk(self.network, self.inputs.batch, moments, train=self.train)

    def theory(self, moments: InputMoments) -> Predicted:
        """Return theory of every layer at infinite width, what is expected at this width, in the
        population or with the given weights, and what the latter neglects, as far as that is
        known."""
        from snstat.theory.given_units import Units, given_statistics

        walked, batch = self.predict(moments), self.inputs.batch
        if self.population is not None:
            return walked, *self._in_population(moments)
        expected, neglected = at_width(walked, batch, moments)
        if self.given is not None:
            layers = [
                Units(row.activation or "", link.sums, link.squares, link.offsets)
                for row, link in zip(self.network.rows(), self.given.links, strict=True)
            ]
            of_units = given_statistics(layers, batch, moments, backward=self.backward)
            for name, found in expected.items():  # the input is the same
                found[1:], neglected[name][1:] = of_units[name][1:], math.nan
            expected[GRADIENT] = of_units[GRADIENT]
        return walked, expected, neglected

    def theory_ends(
        self, walked: Walk, predicted: Mapping[str, FloatArray], expected: Mapping[str, FloatArray]
    ) -> tuple[TheoryEnd, ...]:
        """Return where theory ends, and why, of what `theory` and `predicted_statistics` return."""
        from snstat.theory.ends import ends_of

        # What is expected of given weights, or in a population, is not of the network's width.
        own = expected if self.population is None and self.given is None else None
        return ends_of(walked.ends, walked.variance, predicted, own)

    def _in_population(
        self, moments: InputMoments
    ) -> tuple[Mapping[str, FloatArray], Mapping[str, FloatArray]]:
        """Return what is expected in the population, and what that neglects."""
        if self.population is None or not self.population.alike:
            return {}, {}
        wide = replace(self, network=self.simulated, population=None)
        walked = wide.predict(replace(moments, samples=None))  # which are not of its width
        return at_width(walked, self.inputs.batch, moments)

    def given_layers(self) -> Mapping[int, GivenLayer]:
        """Return the matrices that are given, by the number of their layer."""
        return {} if self.given is None else self.given.read(self.dtype)


def network_source(network: Network, settings: RunSettings) -> Inputs:
    """Return the validated inputs of a network.

    Raises InvalidValueError for options that describe a stack, and for data of another width.
    """
    own = RunSettings()
    for name in options_of(NetworkSettings):
        value = getattr(settings, name)
        if value != getattr(own, name):
            raise InvalidValueError(name, value, "left out beside a network, which says it")
    shape, units = network.input, network.input.units
    if shape.tokens:
        source = tokens_of(settings, shape.tokens, shape.positions)
    else:
        source = source_of(settings, units, network.law, shape.grid)
    if source.width != units:
        bound = f"{units:,} units, as the input of the network has"
        raise InvalidValueError("inputs", f"{source.width:,} units", bound)
    return source
