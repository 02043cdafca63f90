"""The memory estimate, compared with the arrays that a simulation makes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numba import config

from snstat.engine.simulate import simulate
from snstat.experiment.plan import Plan


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="needs arrays larger than all else")
@pytest.mark.parametrize("backward", [False, True])
def test_the_footprint_counts_the_arrays_of_python_functions(backward):
    def slope(z):
        t = np.tanh(z)
        return 1.0 - t * t

    options = {"trials": 1, "dtype": "float32", "sampler": "dense", "threads": 1}
    taken = []
    for activation in ("tanh", (np.tanh, slope)):
        plan = Plan.build(activation, 2, width=50, batch=2000, backward=backward, **options)
        rest = {"seed": 0, "backward": backward}
        simulate(plan.stack, plan.inputs, **options, **rest)  # compiles
        tracemalloc.start()
        simulate(plan.stack, plan.inputs, **options, **rest)
        taken.append((tracemalloc.get_traced_memory()[1], plan.footprint("dense")))
        tracemalloc.stop()
    (peak, plain), (own, counted) = taken
    state = 50 * 2000 * 4
    # Functions take more than one state more, and what is counted is enough but for small things.
    assert own - peak > state
    assert counted - plain >= own - peak - 0.1 * state
    assert own <= counted <= 2 * own
