"""One way to sample a network: what stands in its way, what it costs, forward and back."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from snstat.engine.inputs import Inputs
from snstat.engine.sampler import Sampler
from snstat.network.stack import Stack
from snstat.results import FloatArray


class Load(NamedTuple):
    """How much is simulated at once: `size` is the bytes of a number of the network."""

    trials: int
    threads: int
    size: int
    backward: bool


class Strategy(Protocol):
    """One way to sample a stack.

    It holds nothing; its samplers do. Kernels load when a sampler is made.
    """

    name: str

    def obstacle(self, stack: Stack, batch: int, *, backward: bool) -> str:
        """Return why the stack cannot be sampled exactly this way, or ""."""
        ...

    def work(self, stack: Stack, batch: int) -> float:
        """Return the multiplications that the layers need, to compare strategies by."""
        ...

    def bytes(self, stack: Stack, inputs: Inputs, load: Load) -> float:
        """Return the memory that a sampler takes."""
        ...

    def sampler(
        self, stack: Stack, inputs: Inputs, trials: int, seed: int, dtype: str, threads: int
    ) -> Sampler:
        """Return what carries the trials forward."""
        ...

    def way_back(self, sampler: Sampler, trial: int) -> FloatArray:
        """Return ln of the squared gradients of one trial over the last, (depth + 1,).

        `sampler` is one of this strategy that went forward to the last layer.
        """
        ...
