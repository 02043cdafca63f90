"""The floor of this machine: the time that BLAS and memory alone need for a layer.

A layer that never forms its weights needs its Gram matrix (a symmetric rank-k product), the product
of the Cholesky factor with normals (triangular), and one write of these normals. A backward pass
needs at least as much again.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.linalg import blas
from threadpoolctl import threadpool_limits

# BLAS operations in one measurement, some 20 ms; short calls are repeated.
OPERATIONS = 4e9
# Values written to measure bandwidth, far more than any cache holds.
WRITTEN = 2**26


class Floor:
    """The floor of one shape on `cores` cores, `lanes` of which could run a trial each."""

    def __init__(self, width: int, batch: int, cores: int, lanes: int) -> None:
        self.size, self.cores, self.lanes = width * batch, cores, lanes
        random = np.random.default_rng(0)
        self.x = np.asfortranarray(random.standard_normal((batch, width), np.float32))
        # The identity stands in for a Cholesky factor. BLAS does not skip its zeros, and repeated
        # products keep their size, far from slow subnormal numbers.
        self.factor = np.asfortranarray(np.eye(batch, dtype=np.float32))
        self.repeats = int(max(4, min(1000, OPERATIONS / (2 * batch * self.size))))
        self.written = np.zeros(WRITTEN, np.float32)

    def products(self, threads: int) -> float:
        """Return the seconds of both products of one layer."""
        x, factor = self.x, self.factor
        with threadpool_limits(threads, "blas"):
            start = time.perf_counter()
            for _ in range(self.repeats):
                blas.ssyrk(1.0, x, lower=1)
                blas.strmm(1.0, factor, x, lower=1, overwrite_b=1)
            return (time.perf_counter() - start) / self.repeats

    def write(self) -> float:
        """Return the seconds of writing batch × width values once, with all cores."""
        parts = np.array_split(self.written, self.cores)
        with ThreadPoolExecutor(self.cores) as pool:
            list(pool.map(lambda part: part.fill(0.0), parts))  # starts the threads
            start = time.perf_counter()
            list(pool.map(lambda part: part.fill(1.0), parts))
            elapsed = time.perf_counter() - start
        return elapsed * self.size / WRITTEN

    def layer(self) -> float:
        """Return the seconds of one layer: all cores share one product, or each lane computes its
        own."""
        products = min(self.products(self.cores), self.products(1) / self.lanes)
        return products + self.write()
