"""Compile the kernels into numba's cache, which all processes of the tests share.

    python -m tests.kernels

Otherwise several workers of pytest-xdist would compile the same kernels at the same time.
"""

from __future__ import annotations

from itertools import product

import numpy as np

import snstat
from snstat.engine.general.sample import sample_network
from snstat.engine.tensor import measure, square_norm
from snstat.experiment.inputs import DrawnInputs
from snstat.experiment.warmup import compile_network_kernels
from snstat.network.network import Network
from snstat.network.stack import Stack

SMALL = {"depth": 2, "width": 8, "batch": 3, "trials": 2, "backward": True, "bias_std": 0.1}
INITS = ("lecun_normal", "orthogonal")


def main() -> None:
    """Run small networks of every kind."""
    for dtype, sampler, init in product(("float32", "float64"), ("dense", "matrix-free"), INITS):
        snstat.propagate("tanh", **SMALL, dtype=dtype, sampler=sampler, init=init)
    for dtype, sampler in product(("float32", "float64"), ("dense", "matrix-free")):
        compile_network_kernels(dtype, sampler, backward=True, grid=True)
    for dtype in ("float32", "float64"):
        tensor = np.ones((2, 3, 4), dtype)
        measure(tensor, "SPU")
        square_norm(tensor)
    network, inputs = Network.of(Stack.build("tanh", 2, 4)), DrawnInputs("normal", 4, 3, 0.0, 1.0)
    turned = Network.of(Stack.build("tanh", 2, 8, init="orthogonal", bias_std=0.1))
    wide = DrawnInputs("normal", 8, 3, 0.0, 1.0)
    for dtype, sampler in product(("float32", "float64"), ("dense", "matrix-free")):
        for own, source in ((network, inputs), (turned, wide)):
            sample_network(
                own, source, trials=2, seed=0, dtype=dtype, sampler=sampler, backward=True
            )


if __name__ == "__main__":
    main()
