"""Whether a network computes each sample by itself but where it says otherwise, and alike in all
copies, as Jacobians of one sample need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snstat.engine.general.gradient import Slope, parts
from snstat.engine.general.repeated import Repeated
from snstat.engine.general.sampler import General, Link, Walk
from snstat.engine.inputs import Inputs
from snstat.engine.sampler import quiet
from snstat.errors import InvalidValueError, LayerError
from snstat.layers.draw import Values
from snstat.network.network import Network

# Copies of one sample may differ by rounding alone, relative to the largest value.
ALIKE = 1e-3
# Samples of a batch, and copies of it.
PAIR, COPIES = 2, 2
REMEDY = "take eval mode (--eval), where statistics of batches are off, or leave it out"


class _Pairs(Repeated):
    """Two copies of two different samples: the first ones of the first two trials."""

    def one_batch(self, number: int) -> Values:
        """See Repeated."""
        pair = [General.first(self, n)[:, :1] for n in (number, number + 1)]
        return np.concatenate(pair, axis=1)


def require_single(
    network: Network, inputs: Inputs, seed: int, dtype: str, *, train: bool, depth: int
) -> None:
    """Raise LayerError for the first of `depth` layers in which a sample depends on others of its
    batch without its kind's saying so, or in which equal batches get different values.

    One small trial is sampled for it, and equal layers are looked at once.
    """
    sampler = _Pairs(network, inputs, 1, seed, dtype, train=train, depth=depth, copies=COPIES)
    sampler.batch = PAIR
    walk = Walk(sampler, 0, {0: sampler.first(0)})
    random, seen = np.random.default_rng(0), set[tuple[int, tuple[tuple[int, ...], ...]]]()
    with quiet():
        for place in sampler.order.since(1):
            if place.number > depth:
                return
            link, _ = walk.step()
            key = id(place.layer), link.shapes
            if key in seen:
                continue
            seen.add(key)
            values, words = walk.values[place.number], ""
            # Numbers of tokens have no gradients.
            if not place.layer.mixes and not (network.input.tokens and 0 in link.sources):
                words = _mixes(sampler, link, values, random)
            words = words or _differs(values)
            if words:
                error = InvalidValueError("layer", place.layer.kind, words, REMEDY)
                raise LayerError.of(place.path, error)


def _mixes(sampler: General, link: Link, values: Values, random: np.random.Generator) -> str:
    """Return what is wrong if the gradient of one sample is that of another one too."""
    if not np.isfinite(values).all():  # what comes after has no gradients at all
        return ""
    slope = random.standard_normal(values.shape).astype(values.dtype)
    slope[:, 1] = 0.0
    found: Sequence[Values] = parts(sampler, link, Slope(slope, 0.0))
    if not any(part[:, 1].any() for part in found):
        return ""
    return "one whose samples do not depend on each other, or whose kind says that they do (mixes)"


def _differs(values: Values) -> str:
    """Return what is wrong if equal batches have become different ones."""
    first, second = values[:, :PAIR], values[:, PAIR:]
    if not np.isfinite(values).all() or np.allclose(
        first, second, rtol=0.0, atol=ALIKE * float(np.abs(first).max(initial=0.0))
    ):
        return ""
    return "one that draws the same numbers for all samples"
