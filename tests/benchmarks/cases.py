"""The table of what is measured, beside whom, and what is to be reached.

Networks are SELU with LeCun-normal weights in float32. To measure one row:
`pytest -m bench tests/benchmarks/test_rows.py -k NAME`.
"""

from __future__ import annotations

from dataclasses import dataclass

# Layers that a peer runs, and how many times faster than it snstat is to be (None: no target).
Peer = tuple[int, int | None]


@dataclass(frozen=True)
class Network:
    """One network: its shape, what is run, and beside which peers.

    `runs` is "forward", "backward" (forward, then gradients) or "propagate" (forward, theory and
    the record: all that a user waits for). A peer's time is proportional to its layers, so a slow
    one runs few of them. `of_floor` is how many times the floor snstat may take.
    """

    name: str
    width: int
    batch: int
    depth: int
    runs: str
    torch: Peer | None
    numpy: Peer | None
    sampler: str = "matrix-free"
    trials: int = 1
    rounds: int = 7
    of_floor: float | None = None

    @property
    def peers(self) -> dict[str, Peer]:
        """The peers that can run this network, by name."""
        found = {"torch": self.torch, "numpy": self.numpy}
        return {name: peer for name, peer in found.items() if peer is not None}


@dataclass(frozen=True)
class Process:
    """One whole process, and the one that it is compared with; `below` is the ratio to reach."""

    name: str
    program: str
    beside: str
    below: float | None
    rounds: int = 7


# fmt: off
NETWORKS = (
    #       name           width batch depth  runs         torch       numpy
    Network("wide",         4096,  64,   64, "forward",   (16, 80),   (4, None)),
    Network("wide-256",     4096, 256,   64, "forward",   (16, 25),   (4, None)),
    Network("very-wide",   16384,  64,   64, "forward",   (2, None),  (1, 1000), rounds=5),
    Network("deep",          256,  64, 5000, "forward",   (500, 100), (200, None)),
    Network("backward",     1024, 256,   64, "backward",  (64, 10),   (16, None)),
    Network("million", 1_000_000,  64,   64, "forward",   None,       None, rounds=5, of_floor=1.5),
    Network("dense",        4096, 256,   64, "forward",   (16, 4),    (4, 8), "dense", rounds=5),
    Network("default",      1024,  64,   64, "propagate", (128, 50),  (64, None), trials=8),
)
PROCESSES = (
    #       name       program                      beside                   ratio to reach
    Process("process", "snstat propagate --depth 64", 'python -c "import numba"', 2.5),
    Process("help",    "snstat --help",               'python -c "import click"', 3.0),
)
# fmt: on
# Kernels compiled into an empty cache, in seconds.
COMPILE_BELOW = 15.0
COMPILE_ROUNDS = 5
# Peak memory of the widest network, in arrays of batch × width.
MEMORY_WIDTH, MEMORY_BATCH, MEMORY_BELOW = 1_000_000, 64, 3.0
# Variables that would let thread pools fight; the default run must not notice them.
THREAD_VARIABLES = {"OMP_NUM_THREADS": "8", "OPENBLAS_NUM_THREADS": "8"}
