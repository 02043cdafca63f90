"""The states of a run of equal layers, computed layer by layer as far as they are needed.

Second moments and correlations are computed separately: statistics of one sample never compute
pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from threading import Lock

from snstat.activation import resolve
from snstat.gaussian.centred import centred_moments
from snstat.gaussian.tabulated import tabulated_moments
from snstat.layers.dense_layer import DenseLayer, DenseStep, PairStep

# The number of input gaps for which one chain keeps its pairs.
_KEPT_PAIRS = 4
# Powers of two: the length of the longest chain that is cached, the length up to which all chains
# share one cache, and the number of layers in one cache.
_DEEPEST, _SHALLOW, _LAYERS_KEPT = 17, 14, 20
# The number of layers whose moments are evaluated directly. If the state still moves after them, it
# converges slowly and tables save time.
DIRECT = 256


class Chain:
    """The steps of equal layers from a given state, safe to use from any thread.

    The chain ends where the state overflows or repeats. After `direct` layers it uses tables.
    """

    def __init__(
        self,
        layer: DenseLayer,
        second_moment: float,
        silent: bool,  # noqa: FBT001  # a key of a cache
        direct: int = DIRECT,
    ) -> None:
        self.layer, self._direct = layer, direct
        self._input = second_moment, silent
        self._steps: list[DenseStep] = []
        self._settled: bool | None = None  # None: not at the end yet
        self._pairs: dict[float, PairChain] = {}
        self._lock = Lock()

    def until(self, depth: int) -> tuple[list[DenseStep], bool]:
        """Return the steps up to `depth` layers, and whether the state repeats before `depth`."""
        with self._lock:
            while len(self._steps) < depth and self._settled is None:
                self._advance()
            return self._steps[:depth], len(self._steps) < depth and bool(self._settled)

    def pairs(self, gap: float) -> PairChain:
        """Return the steps of the same layers for two samples whose initial gap is `gap`."""
        with self._lock:
            if gap not in self._pairs:
                if len(self._pairs) >= _KEPT_PAIRS:
                    del self._pairs[next(iter(self._pairs))]
                self._pairs[gap] = PairChain(self, gap)
            return self._pairs[gap]

    def _advance(self) -> None:
        """Add a step as one change of state, so that an interrupt cannot leave half of it."""
        steps = self._steps
        previous = steps[-1] if steps else None
        second_moment, silent = self._input
        if previous is not None:
            second_moment, silent = previous.second_moment, previous.silent
        moments_at = centred_moments if len(steps) < self._direct else tabulated_moments
        step = self.layer.step(second_moment, previous, silent=silent, moments_at=moments_at)
        if step is None:
            self._settled = False
        elif step is previous:
            self._settled = True
        else:
            steps.append(step)


class PairChain:
    """The steps of two samples along a chain."""

    def __init__(self, chain: Chain, gap: float) -> None:
        self._chain, self._gap = chain, gap
        self._steps: list[PairStep] = []
        self._settled = False
        self._lock = Lock()

    def until(self, depth: int) -> list[PairStep]:
        """Return the steps up to `depth` layers, or fewer where the state overflows or repeats."""
        sizes, settled = self._chain.until(depth)
        with self._lock:
            steps = self._steps
            while len(steps) < depth and not self._settled:
                number = len(steps)
                if number >= len(sizes) and not (settled and sizes):
                    break
                size = sizes[min(number, len(sizes) - 1)]
                repeated = steps[-1] if number >= len(sizes) else None
                gap = steps[-1].gap if steps else self._gap
                step = self._chain.layer.pair_step(size, gap, repeated)
                if step is repeated:
                    self._settled = True
                else:
                    steps.append(step)
            return steps[:depth]


@cache
def _kept(power: int) -> Callable[[DenseLayer, float, bool], Chain]:
    """Return the cache of the chains of more than half of 2 to the `power` layers, or fewer."""
    return lru_cache(maxsize=1 << (_LAYERS_KEPT - power))(Chain)


def begin(layer: DenseLayer, second_moment: float, *, silent: bool, depth: int) -> Chain:
    """Return the chain of layers equal to `layer` in a stack of `depth`.

    The chain is cached unless it is too deep. The number of units and the shape of the
    distributions do not matter at infinite width.
    """
    alike = DenseLayer(
        1, 1, "normal", layer.square_gain, "normal", layer.bias_std, layer.activation
    )
    if resolve(layer.activation).custom:  # an activation named in a saved run has no functions
        return Chain(alike, second_moment, silent)
    # Stacks that differ only in depth share their first layers, and width does not matter.
    power = max((depth - 1).bit_length(), _SHALLOW)
    return (_kept(power) if power <= _DEEPEST else Chain)(alike, second_moment, silent)
