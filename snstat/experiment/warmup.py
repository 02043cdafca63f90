"""Compiles the kernels before they are needed, with a notice when that takes long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snstat.engine.simulate import Measured

# Loading compiled kernels from the cache takes well under a second; compiling them takes many.
NOTICE_AFTER_SECONDS = 3.0
# What the layers of a small network need.
KEYS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "conv": {"channels": 2, "kernel": 2},
        "dense": {"width": 2, "activation": "relu"},
        "dropout": {"rate": 0.5},
    }
)


def compile_kernels(
    init: str,
    dtype: str,
    sampler: str,
    *,
    backward: bool = False,
    notice: Callable[[str], None] | None = None,
) -> None:
    """Prepare the kernels of a run, from numba's cache or by compiling.

    `notice` is called once if this takes longer than `NOTICE_AFTER_SECONDS`, as the first run after
    installation does.
    """

    def run() -> Measured:
        from snstat.engine.simulate import simulate
        from snstat.experiment.inputs import DrawnInputs
        from snstat.network.stack import Stack

        return simulate(
            Stack.build(depth=1, width=2, init=init),
            DrawnInputs("normal", 2, 1, 0.0, 1.0),
            trials=1,
            seed=0,
            dtype=dtype,
            sampler=sampler,
            threads=1,
            backward=backward,
        )

    _compiled(run, dtype, notice)


def compile_network_kernels(
    dtype: str,
    sampler: str,
    *,
    backward: bool = False,
    grid: bool = False,
    notice: Callable[[str], None] | None = None,
) -> None:
    """Prepare the kernels of a run of a network of any layers, on a `grid` or not; see
    `compile_kernels`."""

    def run() -> Measured:
        from snstat.engine.general.sample import sample_network
        from snstat.experiment.inputs import DrawnInputs
        from snstat.network.network import Network

        kinds = ("dense", "layer_norm", "batch_norm", "dropout", "conv" if grid else "dense")
        layers = [{"kind": kind, **KEYS.get(kind, {})} for kind in kinds]
        shape = {"channels": 2, "grid": [2] if grid else []}
        return sample_network(
            Network.read({"input": shape, "layers": layers}),
            DrawnInputs("normal", 4 if grid else 2, 2, 0.0, 1.0),
            trials=1,
            seed=0,
            dtype=dtype,
            sampler=sampler,
            threads=1,
            backward=backward,
        )

    _compiled(run, dtype, notice)


def _compiled(
    run: Callable[[], Measured], dtype: str, notice: Callable[[str], None] | None
) -> None:
    """Call `run`, with a notice if that takes long."""
    from snstat.engine.environment import load_numba

    if not load_numba():
        return
    timer = None
    if notice is not None:
        message = f"compiling the {dtype} kernels once; later runs start at once"
        timer = threading.Timer(NOTICE_AFTER_SECONDS, notice, [message])
        timer.daemon = True
        timer.start()
    try:
        if run().interrupted:
            # The result of this run is not needed; the interrupt is for the run that follows.
            raise KeyboardInterrupt
    finally:
        if timer is not None:
            timer.cancel()
