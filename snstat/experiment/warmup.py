"""Compiles the kernels before they are needed, with a notice when that takes long."""

from __future__ import annotations

import threading
from collections.abc import Callable

# Loading compiled kernels from the cache takes well under a second; compiling them takes many.
NOTICE_AFTER_SECONDS = 3.0


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
        from snstat.engine.simulate import simulate
        from snstat.experiment.inputs import DrawnInputs
        from snstat.network.stack import Stack

        measured = simulate(
            Stack.build(depth=1, width=2, init=init),
            DrawnInputs("normal", 2, 1, 0.0, 1.0),
            trials=1,
            seed=0,
            dtype=dtype,
            sampler=sampler,
            threads=1,
            backward=backward,
        )
        if measured.interrupted:
            # The result of this run is not needed; the interrupt is for the run that follows.
            raise KeyboardInterrupt
    finally:
        if timer is not None:
            timer.cancel()
