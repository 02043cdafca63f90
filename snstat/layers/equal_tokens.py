"""Positions and samples that stand for equal tokens, beside those that do not.

Vectors of equal tokens are equal after an embedding, and stay so as long as layers treat every
position by itself and without chance. E[xx'] of such a pair is then E[x²], and pairs of other
tokens are followed by themselves, as if no two tokens were equal. A layer that does something else
takes the mean over both kinds of pairs, and so do all after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from snstat.layers.layer import Layer
from snstat.layers.signal import Signal
from snstat.layers.squares import diagonal


def whole(signal: Signal) -> Signal:
    """Return the signal with E[xx'] of all pairs, those of equal tokens among them."""
    if not signal.apart:
        return signal
    same, share = signal.same, signal.equal
    if same.ndim > 1 and same.size > 1:
        square = diagonal(same)
        same = share * 0.5 * np.add.outer(square, square) + (1.0 - share) * same
        np.fill_diagonal(same, square)
    return replace(signal, same=same, gap=(1.0 - share) * signal.gap, apart=False)


def taken(layer: Layer, signals: Sequence[Signal]) -> list[Signal]:
    """Return what a layer takes, which is no container: pairs of other tokens by themselves if
    equal ones stay equal, else those of all."""
    alike = layer.takes_tokens or (layer.per_position and layer.evaluated() == layer)
    if alike and all(signal.apart for signal in signals):
        return list(signals)
    found = {id(signal): whole(signal) for signal in signals}
    return [found[id(signal)] for signal in signals]
