"""Count false alarms of SN501 in narrow networks and small batches over thousands of runs.

Theory of a stack does not depend on the seed, so it is computed once and only the simulation is
repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from snstat.checks.bounds import Bounds
from snstat.checks.chance import disagrees
from snstat.checks.stack_case import StackCase
from snstat.engine.simulate import simulate
from snstat.experiment.plan import Plan
from snstat.experiment.record import gradient_statistic
from snstat.results import GRADIENT, STATISTICS, Run


def uneven(width: int) -> npt.NDArray[np.float64]:
    """Return 60 samples (60, width), every twentieth of which is 60 times as large."""
    data = np.random.default_rng(0).standard_normal((60, width))
    data[::20] *= 60.0
    return data


# Stacks with few trials, skewed trials, or both.
NARROW: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("identity, 3 layers of 8, batch 1, 16 trials",
     {"activation": "identity", "depth": 3, "width": 8, "batch": 1, "trials": 16}),
    ("identity, 6 layers of 16, batch 1",
     {"activation": "identity", "depth": 6, "width": 16, "batch": 1}),
    ("ReLU, 4 layers of 8, batch 2",
     {"activation": "relu", "depth": 4, "width": 8, "batch": 2}),
    ("ReLU, 8 layers of 32, batch 1",
     {"activation": "relu", "depth": 8, "width": 32, "batch": 1}),
    ("tanh, 8 layers of 16, batch 4",
     {"activation": "tanh", "depth": 8, "width": 16, "batch": 4}),
    ("SELU, 8 layers of 16, batch 2, 4 trials",
     {"activation": "selu", "depth": 8, "width": 16, "batch": 2, "trials": 4}),
    ("ReLU, 30 layers of 64, batch 8 (first order fails)",
     {"activation": "relu", "depth": 30, "width": 64, "batch": 8}),
    ("ReLU, 24 layers of 16, batch 1, 16 trials (first order fails)",
     {"activation": "relu", "depth": 24, "width": 16, "batch": 1, "trials": 16}),
    ("tanh, 16 layers of 16, batch 8 (cosines near 0)",
     {"activation": "tanh", "depth": 16, "width": 16, "batch": 8}),
    ("ReLU, 6 layers of 16, data with 3 large samples of 60",
     {"activation": "relu", "depth": 6, "width": 16, "batch": 60, "inputs": uneven(16)}),
    ("ReLU with gradients, 4 layers of 64, batch 4, 3 trials",
     {"activation": "relu", "depth": 4, "width": 64, "batch": 4, "trials": 3, "backward": True}),
)  # fmt: skip


def alarms(options: Mapping[str, Any], repetitions: int, seed: int = 1) -> int:
    """Return how many of `repetitions` runs SN501 reports, with seeds from `seed` on."""
    plan = Plan.build(**options, threads=1)
    moments = plan.inputs.moments()
    theory, corrected, _ = plan.predict(moments)
    first = plan.run()
    found = 0
    for number in range(seed, seed + repetitions):
        measured = simulate(
            plan.stack,
            plan.inputs,
            trials=plan.trials,
            seed=number,
            dtype=plan.dtype,
            sampler=plan.sampler,
            threads=1,
            backward=plan.backward,
        )
        statistics = {
            name: replace(
                first.statistics[name],
                estimate=measured.estimate[:, column].copy(),
                stderr=measured.stderr[:, column].copy(),
            )
            for column, name in enumerate(STATISTICS)
        }
        if measured.log_gradient is not None:
            statistics[GRADIENT] = gradient_statistic(
                measured.log_gradient,
                theory.log_gradient,
                corrected.log_gradient,
                corrected.log_gradient_residual,
            )
        run = Run(first.subject, first.simulation, measured.finite, MappingProxyType(statistics))
        case = StackCase(plan.stack, plan.inputs.batch, moments, Bounds(), run)
        found += disagrees(case) is not None
    return found
