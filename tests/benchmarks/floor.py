"""The machine's own floor: what a layer costs in BLAS and memory alone, whoever drives them.

A layer without its weights needs its Gram matrix (a symmetric rank-k product), the product of the
Cholesky factor with normals (triangular), and these normals written once; a backward pass needs at
least as much again.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.linalg import blas
from threadpoolctl import threadpool_limits

# Operations of BLAS in one measurement, some 20 ms: short calls are repeated.
OPERATIONS = 4e9
# Values written to measure bandwidth: far beyond any cache.
WRITTEN = 2**26


class Floor:
    """The floor of one shape on `cores` cores, of which `lanes` could carry a trial each."""

    def __init__(self, width: int, batch: int, cores: int, lanes: int) -> None:
        self.size, self.cores, self.lanes = width * batch, cores, lanes
        random = np.random.default_rng(0)
        self.x = np.asfortranarray(random.standard_normal((batch, width), np.float32))
        # In place of a Cholesky factor: BLAS spares itself nothing, and values keep their size
        # however often they are multiplied, far from slow subnormal numbers.
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
        """Return the seconds of writing batch × width values once, all cores together."""
        parts = np.array_split(self.written, self.cores)
        with ThreadPoolExecutor(self.cores) as pool:
            list(pool.map(lambda part: part.fill(0.0), parts))  # threads are there now
            start = time.perf_counter()
            list(pool.map(lambda part: part.fill(1.0), parts))
            elapsed = time.perf_counter() - start
        return elapsed * self.size / WRITTEN

    def layer(self) -> float:
        """Return the seconds of one layer, the cores sharing a product or having one each."""
        products = min(self.products(self.cores), self.products(1) / self.lanes)
        return products + self.write()
