"""Compile the kernels into numba's cache, which all processes of the tests share.

    python -m tests.kernels

Otherwise several workers of pytest-xdist would compile the same kernels at the same time.
"""

from __future__ import annotations

from itertools import product

import snstat

SMALL = {"depth": 2, "width": 4, "batch": 3, "trials": 2, "backward": True}


def main() -> None:
    """Run small networks of every kind."""
    for dtype, sampler in product(("float32", "float64"), ("dense", "matrix-free")):
        snstat.propagate("tanh", **SMALL, dtype=dtype, sampler=sampler, bias_std=0.1)
    snstat.propagate("tanh", **SMALL, init="orthogonal")


if __name__ == "__main__":
    main()
