"""The interface of a strategy: one way to sample a network, forward and backward."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from snstat.activation import resolve
from snstat.engine.inputs import Inputs
from snstat.network.stack import Stack
from snstat.results import FloatArray

if TYPE_CHECKING:
    from snstat.engine.sampler import Sampler  # which loads kernels


def calls_python(stack: Stack) -> bool:
    """Return whether an activation of the stack is a pair of Python functions."""
    return any(resolve(name).custom for name in stack.activations)


class Load(NamedTuple):
    """How much is simulated at once; `size` is the number of bytes of a value in the network."""

    trials: int
    threads: int
    size: int
    backward: bool


class Strategy(Protocol):
    """One way to sample a stack.

    A strategy has no state; its samplers have. Kernels are loaded when a sampler is made.
    """

    name: str

    def obstacle(self, stack: Stack, batch: int, *, backward: bool) -> str:
        """Return why the stack cannot be sampled exactly this way, or "" if it can."""
        ...

    def work(self, stack: Stack, batch: int, *, backward: bool) -> float:
        """Return the work of all layers, used to compare strategies; see costs."""
        ...

    def bytes(self, stack: Stack, inputs: Inputs, load: Load) -> float:
        """Return the memory that a sampler needs, in bytes."""
        ...

    def sampler(
        self, stack: Stack, inputs: Inputs, trials: int, seed: int, dtype: str, threads: int
    ) -> Sampler:
        """Return a sampler, which runs the forward pass of the trials."""
        ...

    def way_back(self, sampler: Sampler, trials: range) -> FloatArray:
        """Return ln of the squared gradients of some trials over the last, (trials, depth + 1).

        `sampler` belongs to this strategy and has reached the last layer.
        """
        ...
