"""A network of any layers: simulate it, predict it, put both into one record."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from snstat.experiment.background import aside
from snstat.experiment.inputs import DEFAULT_BATCH, DrawnInputs
from snstat.experiment.plan import gradient_statistic
from snstat.network.network import Network
from snstat.results import (
    GRADIENT,
    MEASURED,
    FloatArray,
    InputMoments,
    LayerSummary,
    NetworkRun,
    NetworkSummary,
    Simulation,
    Statistic,
)

if TYPE_CHECKING:
    from snstat.theory.walk import Walk

# The sampler that draws networks of any layers.
SAMPLER = "general"


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """A network, and how it is simulated with inputs of the law that it states.

    `train` is whether dropout and the statistics of batches are on.
    """

    network: Network
    batch: int = DEFAULT_BATCH
    trials: int = 8
    seed: int = 0
    dtype: str = "float32"
    threads: int | None = None
    backward: bool = False
    train: bool = True

    @property
    def inputs(self) -> DrawnInputs:
        """The inputs that the network states."""
        law = self.network.law
        return DrawnInputs(law.kind, self.network.input.units, self.batch, law.mean, law.std)

    @property
    def summary(self) -> NetworkSummary:
        """The record of the network."""
        network = self.network
        rows = (LayerSummary(row.name, row.layer.kind, row.after.sizes) for row in network.rows())
        first = LayerSummary("input", "input", network.input.sizes)
        return NetworkSummary(network.name, network.form(), (first, *rows))

    @property
    def simulation(self) -> Simulation:
        """The record of how the network is simulated."""
        source = self.inputs
        return Simulation(
            self.batch,
            self.trials,
            self.seed,
            self.dtype,
            SAMPLER,
            source.label,
            *source.parameters,
            train=self.train,
        )

    def run(self, progress: Callable[[int], None] | None = None) -> NetworkRun:
        """Predict and simulate. Theory is at infinite width, and NaN where there is none.

        `progress` is called from time to time with the number of (layer, trial) pairs finished. On
        KeyboardInterrupt, the run holds the layers that every trial completed, with `partial` set.
        Raises LayerError with the path of a layer that cannot be sampled.
        """
        from snstat.engine.general.sample import sample_network
        from snstat.theory.walk import walk

        source, summary = self.inputs, self.summary
        moments = source.moments()
        theory = aside(lambda: walk(self.network, self.batch, moments, train=self.train))
        measured = sample_network(
            self.network,
            source,
            trials=self.trials,
            seed=self.seed,
            dtype=self.dtype,
            train=self.train,
            threads=self.threads,
            backward=self.backward,
            progress=progress,
        )
        walked = theory()
        unknown = np.full(self.network.depth + 1, math.nan)
        predicted = predicted_statistics(walked, self.batch, moments)
        statistics = {
            name: Statistic(
                np.ascontiguousarray(measured.estimate[:, column]),
                np.ascontiguousarray(measured.stderr[:, column]),
                predicted.get(name, unknown)[: len(measured.finite)],
            )
            for column, name in enumerate(MEASURED)
        }
        if measured.log_gradient is not None:
            statistics[GRADIENT] = gradient_statistic(
                measured.log_gradient, walked.log_gradient, unknown, unknown
            )
        return NetworkRun(
            summary,
            self.simulation,
            measured.finite,
            MappingProxyType(statistics),
            partial=measured.interrupted,
        )


def predicted_statistics(
    walked: Walk, batch: int, inputs: InputMoments
) -> Mapping[str, FloatArray]:
    """Return what theory predicts of `batch` samples, each array (depth + 1,).

    At infinite width the mean over the units of a sample is E[x], so the variance over units is
    that of all values. The mean over a batch is not E[x | unit]: its variance takes 1/batch away.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        variance = np.maximum(walked.second_moment - walked.mean**2, 0.0)
        found = {
            "mean": walked.mean.copy(),
            "second_moment": walked.second_moment.copy(),
            "variance": variance,
            "variance_over_units": variance.copy(),
            "variance_over_batch": walked.gap * (1.0 - 1.0 / batch),
            "cosine": 1.0 - walked.gap / walked.second_moment,
            "kurtosis": np.full_like(variance, math.nan),
        }
    # Those of the input are known exactly: the difference above cancels if its mean is large.
    for name, values in found.items():
        values[0] = inputs[name]
    if batch == 1:  # one sample has no angle with another
        found["cosine"][:] = math.nan
    return found
