"""What is measured, which peers it is compared with, and which ratios are required.

Networks are SELU with LeCun-normal weights in float32. To measure one row:
`pytest -m bench tests/benchmarks/test_rows.py -k NAME`.
"""

from __future__ import annotations

from dataclasses import dataclass

# Layers that a peer runs, and the required speed-up of snstat over it (None: no requirement).
Peer = tuple[int, int | None]


@dataclass(frozen=True)
class Network:
    """One network: its shape, what is run and the peers.

    `runs` is "forward", "backward" (forward, then gradients) or "propagate" (forward, theory and
    the record: a whole call by a user). A peer's time is proportional to its number of layers, so a
    slow peer runs few. `of_floor` is the largest allowed ratio of snstat's time to the floor.
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
    """A process and the process that it is compared with; `below` bounds the ratio of their
    times."""

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
    Network("deep",          256,  64, 5000, "forward",   (500, 12),  (200, None)),
    Network("backward",     1024, 256,   64, "backward",  (64, 5),    (16, None)),
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
# Bound on the seconds to compile the kernels into an empty cache.
COMPILE_BELOW = 15.0
COMPILE_ROUNDS = 5
# Bound on the peak memory of the widest network, in arrays of batch × width.
MEMORY_WIDTH, MEMORY_BATCH, MEMORY_BELOW = 1_000_000, 64, 3.0
# Variables that make thread pools compete for cores; they must not slow the default run.
THREAD_VARIABLES = {"OMP_NUM_THREADS": "8", "OPENBLAS_NUM_THREADS": "8"}
