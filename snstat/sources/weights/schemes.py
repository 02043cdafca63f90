"""Named initialisers: what each would draw for a matrix of given fans."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from snstat.layers.initialisers import INITIALISERS, TRUNCATED_STD
from snstat.sources.weights.laws import NORMAL, TRUNCATED, UNIFORM
from snstat.sources.weights.layouts import Fans

ORTHOGONAL, DEFAULT = "orthogonal", "torch_default"
# Cut at two standard deviations, and not divided by what is left of one (keras#8048).
UNCORRECTED = "_uncorrected"
# Gains that torch.nn.init.calculate_gain adds to 1 and √2, for SELU and for tanh. He has √2 anyway,
# but Glorot with that for ReLU differs from it unless a matrix is square.
GAINS = (("3/4", 0.75), ("5/3", 5.0 / 3.0))
# Standard deviations that do not depend on the shape: of GPT-2 and BERT, of Keras, of embeddings.
STDS = (0.001, 0.01, 0.02, 0.05, 1.0)
# GPT-2 divides that of the last weights of a branch by √(2 · blocks): its sizes have so many.
BRANCH, BLOCKS = 0.02, (6, 12, 24, 36, 48)
# Keras' RandomUniform.
LIMIT = 0.05


@dataclass(frozen=True, slots=True)
class Named:
    """A scheme: its name, the law of its weights, and their variance."""

    name: str
    law: str
    variance: float


def named(fans: Fans) -> Iterator[Named]:
    """Yield every scheme of independent weights."""
    for scheme in INITIALISERS.values():
        if scheme.distribution == ORTHOGONAL:
            continue
        variance = scheme.square_gain(fans.fan_in, fans.fan_out) / fans.fan_in
        yield Named(scheme.name, scheme.distribution, variance)
        if scheme.distribution == TRUNCATED:
            yield Named(scheme.name + UNCORRECTED, TRUNCATED, variance * TRUNCATED_STD**2)
    for word, size in fans.defaults:
        yield Named(f"{DEFAULT}({word}={size})", UNIFORM, 1.0 / (3.0 * size))
    for law in (NORMAL, UNIFORM):
        yield Named(f"he_{law}(mode=fan_out)", law, 2.0 / fans.fan_out)
        for words, gain in GAINS:
            yield Named(f"he_{law}(gain={words})", law, gain**2 / fans.fan_in)
            square = 2.0 * gain**2 / (fans.fan_in + fans.fan_out)
            yield Named(f"glorot_{law}(gain={words})", law, square)
        yield Named(f"glorot_{law}(gain=1.414)", law, 4.0 / (fans.fan_in + fans.fan_out))
    for std in STDS:
        yield Named(f"normal(std={std:g})", NORMAL, std**2)
        yield Named(f"truncated_normal(std={std:g})", TRUNCATED, (std * TRUNCATED_STD) ** 2)
    for blocks in BLOCKS:
        name = f"normal(std={BRANCH:g}/√{2 * blocks})"
        yield Named(name, NORMAL, BRANCH**2 / (2 * blocks))
    yield Named(f"uniform(limit={LIMIT:g})", UNIFORM, LIMIT**2 / 3.0)


def orthogonal_name(gain: float, tolerance: float) -> str:
    """Return the name of orthogonal weights times a gain, which is known to a relative
    tolerance."""
    if math.isclose(gain, 1.0, rel_tol=tolerance):
        return ORTHOGONAL
    return f"{ORTHOGONAL}(gain={gain:.4g})"
