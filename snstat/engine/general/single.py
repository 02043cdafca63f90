"""Whether a network computes each sample by itself, as the Jacobian of one sample needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from snstat.engine.general.gradient import Slope, parts
from snstat.engine.general.repeated import Repeated
from snstat.engine.general.sampler import General, Link, Walk
from snstat.engine.inputs import Inputs
from snstat.engine.sampler import quiet
from snstat.errors import InvalidValueError, LayerError
from snstat.layers.draw import Values
from snstat.network.network import Network

# Columns of one sample may differ by rounding alone, relative to the largest value.
ALIKE = 1e-3
REMEDY = "take eval mode (--eval), where statistics of batches are off, or leave it out"


class _Pair(Repeated):
    """Two different samples: those of the first two trials."""

    def first(self, number: int) -> Values:
        return np.concatenate([General.first(self, n) for n in (number, number + 1)], axis=1)


def require_single(
    network: Network, inputs: Inputs, seed: int, dtype: str, *, train: bool, depth: int
) -> None:
    """Raise LayerError for the first of `depth` layers in which a sample depends on others of its
    batch, or in which equal samples get different values.

    One small trial is sampled for it, and equal layers are looked at once. `inputs` have one
    sample.
    """
    options: dict[str, Any] = {"train": train, "depth": depth, "columns": 2}
    samplers = [kind(network, inputs, 1, seed, dtype, **options) for kind in (_Pair, Repeated)]
    pair, same = (Walk(sampler, 0, {0: sampler.first(0)}) for sampler in samplers)
    random, seen = np.random.default_rng(0), set[tuple[int, tuple[tuple[int, ...], ...]]]()
    with quiet():
        for place in samplers[0].order.since(1):
            if place.number > depth:
                return
            link, _ = pair.step()
            same.step()
            key = id(place.layer), link.shapes
            if key in seen:
                continue
            seen.add(key)
            # Numbers of tokens have no gradients.
            tokens = network.input.tokens and 0 in link.sources
            words = "" if tokens else _mixes(samplers[0], link, pair.values[place.number], random)
            words = words or _differs(same.values[place.number])
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
    return "one whose samples do not depend on each other"


def _differs(values: Values) -> str:
    """Return what is wrong if equal samples have become different ones."""
    first, second = values[:, 0], values[:, 1]
    if not np.isfinite(values).all() or np.allclose(
        first, second, rtol=0.0, atol=ALIKE * float(np.abs(first).max(initial=0.0))
    ):
        return ""
    return "one that draws the same numbers for all samples"
