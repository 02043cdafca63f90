"""What heads of attention do with queries, keys and values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from snstat.layers.draw import Draw, Pass, Values


class Heads(NamedTuple):
    """How many heads there are, whether tokens read only what is not after them, and the rate of
    dropout of what they read."""

    number: int
    causal: bool
    rate: float


def attended(heads: Heads, inputs: Sequence[Values], draw: Draw) -> Pass:
    """Return softmax(q·k/√d) v of every head, (channels, batch, tokens that read).

    Of the `inputs` q, k and v, q is (channels, batch, tokens that read), the others are (channels,
    batch, tokens that are read). The gradients that are pulled back are those of the inputs.
    """
    # (batch, heads, units of a head, tokens).
    queries, keys, values = (_split(part, heads.number) for part in inputs)
    scale = queries.dtype.type(1.0 / math.sqrt(queries.shape[2]))
    queries *= scale
    weights = _softmax(queries.swapaxes(2, 3) @ keys, causal=heads.causal)
    read = weights
    if heads.rate:
        # Samples come second in what is drawn, as everywhere.
        samples, *rest = weights.shape
        kept = draw.kept((heads.number, samples, *rest[1:]), heads.rate, weights.dtype)
        read = kept.swapaxes(0, 1)
        read *= weights.dtype.type(1.0 / (1.0 - heads.rate))
        read *= weights
    found = _joined(values @ read.swapaxes(2, 3))

    def pull(slope: Values) -> tuple[Values, ...]:
        own = _split(slope, heads.number)
        of_values = own @ read
        # Of the scores: R a − A Σ R a, for what is read R of the softmax A.
        back = own.swapaxes(2, 3) @ values
        total = np.einsum("...ij,...ij->...i", read, back)[..., None]
        back *= read
        back -= weights * total
        of_queries = keys @ back.swapaxes(2, 3)
        of_queries *= scale
        of_keys = queries @ back  # queries are scaled
        return _joined(of_queries), _joined(of_keys), _joined(of_values)

    return Pass(found, pull)


def _softmax(scores: Values, *, causal: bool) -> Values:
    """Return the softmax over the last axis, written over `scores`. If `causal`, what comes after
    the diagonal of the last two axes has no weight."""
    if causal:
        later = np.triu(np.ones(scores.shape[-2:], bool), 1)
        scores[..., later] = -math.inf
    scores -= scores.max(axis=-1, keepdims=True)  # exp of nothing larger than 0
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


def _split(values: Values, heads: int) -> Values:
    """Return (batch, heads, units, tokens) of (channels, batch, tokens), as a copy."""
    parts = values.reshape(heads, -1, *values.shape[1:])
    return np.moveaxis(parts, 2, 0).copy()


def _joined(parts: Values) -> Values:
    """Return (channels, batch, tokens) of (batch, heads, units, tokens)."""
    batch, heads, units, tokens = parts.shape
    return np.moveaxis(parts, 0, 2).reshape(heads * units, batch, tokens)
