"""Operations of PyTorch on numbers of tokens, and encodings of positions that are added."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from snstat.layers.embedding import Embedding
from snstat.layers.positions import Positions, sinusoids
from snstat.sources.torch.encodings import EMBEDDING
from snstat.sources.torch.layout import CHANNELS, Digit, NotMappedError
from snstat.sources.torch.operation import Made, Map, Operation

OF_NUMBERS = "it takes numbers that are no tokens"
CALCULATED = "it calculates with the numbers of tokens"
OTHER_AXES = "its encodings are not of times and channels"
# Rounding of sinusoids in so many ε, for a time of 1.
ROUNDED = 4.0


def _embedding(op: Operation) -> Made:
    """Return the vectors of tokens."""
    entry = op.entry("indices")
    before = op.layouts.shapes[entry]
    if not before.tokens:
        raise NotMappedError(OF_NUMBERS)
    width = op.shape("weight")[1]
    layer = Embedding(width, op.draws.vectors(op.drawn("weight", "weights"), before.tokens))
    own = (Digit(CHANNELS, 1, width),) if width > 1 else ()
    layout = op.layout("indices")
    return Made(layer, (entry,), layout=layout._replace(axes=(*layout.axes, own)))


def encoded(op: Operation) -> Made | None:
    """Return the sum of a value and of encodings of positions, which all samples have alike; None
    if that is not what an operation adds. Raises NotMappedError."""
    for one, other in (("self", "other"), ("other", "self")):
        if op.value(one).entry is None:
            continue
        encoding = op.encoding(other)
        if encoding is not None:
            entry, times = op.along(one, -1), _times(op, one)
            if times != encoding.times or not _fits(op.shape(other), op.shape(one), times):
                raise NotMappedError(OTHER_AXES)
            own = op.taken(encoding.parameter, "encodings")
            std = op.draws.vectors(own, op.shape_of(op[other])[times], "encodings")
            return Made(Positions("normal", std) if std else None, (entry,))
        values = op.constant(other)
        if values is not None and values.ndim > 1 and values.is_floating_point():
            entry, times = op.along(one, -1), _times(op, one)
            if times is None or not _fits(op.shape(other), op.shape(one), times):
                return None
            if _sinusoidal(values, times):
                return Made(Positions(), (entry,))
    return None


def _times(op: Operation, name: str) -> int | None:
    """Return the axis of all times of an argument, counted from the end; None if its positions are
    no times, or along several axes."""
    layout, shape = op.layout(name), op.layouts.shapes[op.entry(name)]
    if len(shape.grid) != 1 or shape.positions < 2:
        return None
    own = (Digit(0, 1, shape.positions),)
    axes = [number - len(layout.axes) for number, axis in enumerate(layout.axes) if axis == own]
    return axes[0] if axes else None


def _fits(shape: tuple[int, ...], like: tuple[int, ...], times: int) -> bool:
    """Return whether each of all times has one vector, whatever the sample."""
    whole = (1,) * (len(like) - len(shape)) + shape
    return len(whole) == len(like) and (whole[times], whole[-1]) == (like[times], like[-1])


def _sinusoidal(values: torch.Tensor, times: int) -> bool:
    """Return whether values are sinusoids, the same for all samples, with sines and cosines in turn
    or one after the other."""
    found = values.movedim(times, -2).reshape(-1, values.shape[times], values.shape[-1])
    if not bool((found == found[:1]).all()):
        return False
    own = found[0].to("cpu", torch.float64).numpy()
    wanted = sinusoids(own.shape[1], own.shape[0]).T
    apart = np.concatenate([wanted[:, ::2], wanted[:, 1::2]], axis=1)
    off = ROUNDED * torch.finfo(values.dtype).eps * (1.0 + own.shape[0])
    return any(np.allclose(own, like, rtol=0.0, atol=off) for like in (wanted, apart))


OF_TOKENS: Mapping[str, Map] = {EMBEDDING: _embedding}
