"""The pipe from a stack to a run: simulate it, predict it, put both into one record."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from snstat.errors import InvalidValueError
from snstat.results import (
    STATISTICS,
    Densities,
    Run,
    Simulation,
    StackSummary,
    Statistic,
)
from snstat.stack import MAX_SCALE, Stack, integer, known, number

if TYPE_CHECKING:
    from snstat.engine.inputs import Inputs

DTYPES = ("float32", "float64")
SAMPLERS = ("auto", "dense")
DEFAULT_WIDTH = 1024
MAX_BATCH = 2**28
MAX_TRIALS = 10**7
MAX_SEED = 2**64 - 1


def propagate(
    activation: str = "selu",
    depth: int = 64,
    *,
    width: int = DEFAULT_WIDTH,
    init: str | None = None,
    weight_gain: float | None = None,
    bias_std: float | None = None,
    batch: int | None = None,
    trials: int = 8,
    inputs: str | os.PathLike[str] | npt.NDArray[Any] = "normal",
    input_mean: float | None = None,
    input_std: float | None = None,
    seed: int = 0,
    dtype: str = "float32",
    sampler: str = "auto",
    progress: Callable[[int], None] | None = None,
) -> Run:
    """Push inputs through random networks and report every layer, theory beside simulation.

    Parameters
    ----------
    activation : str
        A name of `snstat.activations`.
    depth, width : int
        Layers, and units in every layer.
    init : str, optional
        Initialiser; by default what the activation's literature uses.
    weight_gain : float, optional
        G: weights have variance G²/fan_in. By default the initialiser's.
    bias_std : float, optional
        Biases are N(0, bias_std²). By default the initialiser's (0 but for torch_default).
    batch : int, optional
        Samples per trial; 64, or all of fewer samples of data.
    trials : int
        Independent networks.
    inputs : str, path or array
        "normal", "uniform", the path of a .npy or .npz file, or an array (samples, width).
        When there are more samples than `batch`, every trial takes its own random subset.
    input_mean, input_std : float, optional
        Of drawn inputs: 0 and 1.
    seed : int
        Reproduces everything.
    dtype : str
        "float32" or "float64" of the simulated network; statistics are always float64.
    sampler : str
        "auto" or "dense".
    progress : callable, optional
        Called now and then with the number of (layer, trial) pairs finished.

    Returns
    -------
    Run
        Layers 0 (the input) to `depth`. On KeyboardInterrupt, the layers that every trial
        completed, with `partial` set.

    Raises
    ------
    snstat.errors.SnstatError
        For an argument out of bounds, an unknown name, or data that cannot be used.
    """
    plan = Plan.build(
        activation,
        depth,
        width=width,
        init=init,
        weight_gain=weight_gain,
        bias_std=bias_std,
        batch=batch,
        trials=trials,
        inputs=inputs,
        input_mean=input_mean,
        input_std=input_std,
        seed=seed,
        dtype=dtype,
        sampler=sampler,
    )
    return plan.run(progress)


@dataclass(frozen=True, slots=True)
class Plan:
    """A validated request: which stack, fed with what, simulated how often."""

    stack: Stack
    inputs: Inputs
    trials: int
    seed: int
    dtype: str

    @classmethod
    def build(
        cls,
        activation: str,
        depth: int,
        *,
        width: int = DEFAULT_WIDTH,
        init: str | None = None,
        weight_gain: float | None = None,
        bias_std: float | None = None,
        batch: int | None = None,
        trials: int = 8,
        inputs: str | os.PathLike[str] | npt.NDArray[Any] = "normal",
        input_mean: float | None = None,
        input_std: float | None = None,
        seed: int = 0,
        dtype: str = "float32",
        sampler: str = "auto",
    ) -> Plan:
        """Return the plan for the arguments of `propagate`, or raise what is wrong with them."""
        trials = integer("trials", trials, 1, MAX_TRIALS)
        seed = integer("seed", seed, 0, MAX_SEED)
        dtype = getattr(dtype, "__name__", dtype)  # numpy.float32 as well as "float32"
        known("dtype", dtype, DTYPES)
        known("sampler", sampler, SAMPLERS)
        stack = Stack.build(
            activation, depth, width, init=init, weight_gain=weight_gain, bias_std=bias_std
        )
        source = _resolve_inputs(inputs, stack.width, batch, input_mean, input_std)
        plan = cls(replace(stack, input_width=source.width), source, trials, seed, dtype)
        plan.require_memory()
        return plan

    @classmethod
    def of(cls, run: Run) -> Plan:
        """Return the plan that `run` carried out, so that it can be simulated again."""
        stack, simulation = run.stack, run.simulation
        own = Stack.build(stack.activation, stack.depth, stack.width, init=stack.init)
        return cls.build(
            stack.activation,
            stack.depth,
            width=stack.width,
            init=stack.init,
            # Left to the initialiser where it says the same: only then do biases keep its
            # distribution and a first layer of another fan-in its own gain.
            weight_gain=None if stack.weight_gain == own.hidden_gain else stack.weight_gain,
            bias_std=None if stack.bias_std == own.hidden_bias_std else stack.bias_std,
            batch=simulation.batch,
            trials=simulation.trials,
            inputs=simulation.inputs,
            input_mean=simulation.input_mean,
            input_std=simulation.input_std,
            seed=simulation.seed,
            dtype=simulation.dtype,
        )

    def require_memory(self) -> None:
        """Raise InvalidValueError if the activations of all trials cannot fit in memory."""
        units = max(self.stack.width, self.stack.input_width)
        needed = self.trials * self.inputs.batch * units * np.dtype(self.dtype).itemsize
        # Statistics of every layer, and about as much again for theory and the record.
        needed += 400 * self.stack.depth
        available = physical_memory()
        if needed > available:
            raise InvalidValueError(
                "memory needed",
                f"{needed / 2**30:,.0f} GiB",
                f"at most {available / 2**30:,.0f} GiB, what this machine has",
                "use a smaller --width, --batch, --trials or --depth",
            )

    @property
    def summary(self) -> StackSummary:
        """The stack as results describe it."""
        stack = self.stack
        return StackSummary(
            stack.activation,
            stack.depth,
            stack.width,
            stack.input_width,
            stack.init,
            stack.hidden_gain,
            stack.hidden_bias_std,
        )

    def run(self, progress: Callable[[int], None] | None = None) -> Run:
        """Predict and simulate; see `propagate`."""
        from snstat.engine.simulate import simulate
        from snstat.theory.outlook import outlook
        from snstat.theory.predict import predict

        source = self.inputs
        prediction = predict(self.stack, source.batch, source.moments())
        measured = simulate(
            self.stack,
            source,
            trials=self.trials,
            seed=self.seed,
            dtype=self.dtype,
            progress=progress,
        )
        statistics = {
            name: Statistic(
                np.ascontiguousarray(measured.estimate[:, column]),
                np.ascontiguousarray(measured.stderr[:, column]),
                prediction.statistics[name][: len(measured.finite)],
            )
            for column, name in enumerate(STATISTICS)
        }
        mean, std = source.parameters
        return Run(
            stack=self.summary,
            simulation=Simulation(
                source.batch, self.trials, self.seed, self.dtype, "dense", source.label, mean, std
            ),
            finite=measured.finite,
            statistics=MappingProxyType(statistics),
            outlook=outlook(self.stack, prediction),
            partial=measured.interrupted,
        )

    def densities(self, layers: Sequence[int]) -> Densities:
        """Simulate again and return the densities of the activations at `layers`, ascending."""
        from snstat.engine.densities import densities

        return densities(
            self.stack,
            self.summary,
            self.inputs,
            layers,
            trials=self.trials,
            seed=self.seed,
            dtype=self.dtype,
        )


def physical_memory() -> float:
    """Return the bytes of memory of this machine, infinity where it does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return math.inf


def _resolve_inputs(
    inputs: str | os.PathLike[str] | npt.NDArray[Any],
    width: int,
    batch: int | None,
    mean: float | None,
    std: float | None,
) -> Inputs:
    """Return where layer 0 comes from, validated."""
    from snstat.engine.datafile import open_array
    from snstat.engine.inputs import DEFAULT_BATCH, DRAWN, DrawnInputs, check_data

    if batch is not None:
        batch = integer("batch", batch, 1, MAX_BATCH)
    if isinstance(inputs, str) and inputs in DRAWN:
        mean = number("input_mean", 0.0 if mean is None else mean, -MAX_SCALE, MAX_SCALE)
        std = number("input_std", 1.0 if std is None else std, 0.0, MAX_SCALE)
        return DrawnInputs(inputs, width, DEFAULT_BATCH if batch is None else batch, mean, std)
    for name, value in (("input_mean", mean), ("input_std", std)):
        if value is not None:
            raise InvalidValueError(
                name, value, "left out with data of your own", "it describes drawn inputs only"
            )
    if isinstance(inputs, str | os.PathLike):
        return check_data(open_array(inputs), os.fspath(inputs), batch)
    return check_data(np.asarray(inputs), "array", batch)
