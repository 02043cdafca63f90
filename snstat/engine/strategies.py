"""The choice of the strategy that samples a stack."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from snstat.activation import require_functions, resolve
from snstat.engine.dense.strategy import Dense
from snstat.engine.matrix_free.strategy import MatrixFree
from snstat.engine.strategy import Strategy
from snstat.errors import InvalidValueError
from snstat.network.stack import Stack

AUTO = "auto"
# Strategies by name. If two cost the same, the first is used.
STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {strategy.name: strategy for strategy in (MatrixFree(), Dense())}
)


def choose(stack: Stack, batch: int, asked: str, *, backward: bool = False) -> Strategy:
    """Return the strategy called `asked`, or for "auto" the exact strategy with the least work.

    `backward` means that gradients are needed too.

    Raises InvalidValueError if the strategy is not exact for the stack, and for a pair of functions
    of which only the name is known.
    """
    for name in stack.activations:
        require_functions(resolve(name))
    if asked != AUTO:
        strategy = STRATEGIES[asked]
        obstacle = strategy.obstacle(stack, batch, backward=backward)
        if obstacle:
            others = " or ".join(name for name in STRATEGIES if name != asked)
            raise InvalidValueError("sampler", asked, f"{others} {obstacle}", "use --sampler auto")
        return strategy
    exact = [s for s in STRATEGIES.values() if not s.obstacle(stack, batch, backward=backward)]
    return min(exact, key=lambda strategy: strategy.work(stack, batch, backward=backward))
