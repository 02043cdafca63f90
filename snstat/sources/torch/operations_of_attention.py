"""Attention in PyTorch: its own function, or products and a softmax, as a kind of layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch

from snstat.layers.dot_product_attention import DotProductAttention
from snstat.sources.torch.graph import Ref
from snstat.sources.torch.layout import CHANNELS, SAMPLES, Digit, Layout, NotMappedError
from snstat.sources.torch.operation import OTHERS, Made, Map, Operation, Scores

DROPPED = "it drops what is read in eval mode"
MASKED = "what it hides, or adds to scores, is not known"
OTHER_AXES = "its tokens, heads or units are along other axes than those of attention"
OTHER_HEADS = "queries, keys and values have different numbers of heads"
OTHER_ORDER = "queries, keys and values have samples or heads along other axes"
NO_SOFTMAX = "it multiplies values of the input"
OF_SCORES = "it does more with scores than a softmax of them"
# Scores that are less than this are those of nothing that is read.
NOTHING = -1e4


class _Parts(NamedTuple):
    """How a tensor is divided into samples × heads × tokens × units: the first two in their order,
    and the number of heads and of units of each."""

    before: tuple[tuple[Digit | int, ...], ...]
    heads: int
    units: int


def _parts(op: Operation, value: Ref, *, swapped: bool = False) -> _Parts:
    """Return the parts of a value, whose last two axes may be `swapped`. Raises NotMappedError."""
    entry = op.entry_of(value, None)
    axes, channels = op.layouts.of(value.name).axes, op.layouts.shapes[entry].channels
    if len(axes) <= 1:
        raise NotMappedError(OTHER_AXES)
    *first, tokens, units = axes[:-2] + axes[:-3:-1] if swapped else axes
    count = math.prod(digit.size for digit in units)
    # Those of size 1 are left out, and heads may have other numbers of units.
    heads = Digit(CHANNELS, count, channels // count)
    before = tuple(
        tuple(digit if digit.axis == SAMPLES else digit.axis for digit in merged)
        for merged in first
    )
    rest = [digit for merged in first for digit in merged if digit.axis != SAMPLES]
    if (
        {digit.axis for digit in tokens} - {0}
        or len(op.layouts.shapes[entry].grid) != 1
        or math.prod(digit.size for digit in tokens) != op.layouts.shapes[entry].positions
        or units != ((Digit(CHANNELS, 1, count),) if count > 1 else ())
        or rest != ([heads] if heads.size > 1 else [])
    ):
        raise NotMappedError(OTHER_AXES)
    return _Parts(before, heads.size, count)


def _read(op: Operation, scores: Scores, values: Ref) -> Made:
    """Return what heads read of `values`."""
    queries, keys = _parts(op, scores.queries), _parts(op, scores.keys, swapped=scores.swapped)
    own = _parts(op, values)
    if not queries.heads == keys.heads == own.heads:
        raise NotMappedError(OTHER_HEADS)
    if not queries.before == keys.before == own.before:
        raise NotMappedError(OTHER_ORDER)
    entries = tuple(op.entry_of(ref) for ref in (scores.queries, scores.keys, values))
    layer = DotProductAttention(heads=own.heads, causal=scores.causal, dropout=scores.dropout)
    layout = op.layouts.of(scores.queries.name)
    after = [_of_values(merged, own) for merged in layout.axes[:-1]]
    units = (Digit(CHANNELS, 1, own.units),) if own.units > 1 else ()
    factors = scores.factor * math.sqrt(queries.units), 1.0, 1.0
    return Made(layer, entries, factors, layout=Layout((*after, units)))


def _of_values(merged: tuple[Digit, ...], own: _Parts) -> tuple[Digit, ...]:
    """Return digits of queries with the heads of values in the place of theirs."""
    heads = Digit(CHANNELS, own.units, own.heads)
    return tuple(heads if digit.axis == CHANNELS else digit for digit in merged)


def _attention(op: Operation) -> Made:
    rate, units = op["dropout_p"], op.shape("query")[-1]
    if rate and not op.train:
        raise NotMappedError(DROPPED)
    scale = 1.0 / math.sqrt(units) if op["scale"] is None else float(op["scale"])
    causal = bool(op["is_causal"])
    if op["attn_mask"] is not None:
        mask = _constant(op, "attn_mask")
        causal = _is_causal(~mask if mask.dtype == torch.bool else _hidden(mask))
    scores = Scores(op["query"], op["key"], scale, swapped=False, causal=causal, dropout=rate)
    return _read(op, scores, op["value"])


def _constant(op: Operation, name: str) -> torch.Tensor:
    found = op.constant(name)
    if found is None:
        raise NotMappedError(MASKED)
    return found


def _hidden(added: torch.Tensor) -> torch.Tensor:
    """Return where so much is taken from scores that nothing is read. Raises NotMappedError for
    what changes others."""
    hidden = added <= NOTHING
    if bool((added[~hidden] != 0).any()):
        raise NotMappedError("it adds numbers to scores")
    return hidden


def _is_causal(hidden: torch.Tensor) -> bool:
    """Return whether tokens do not read what is after them, or read all: where it is `hidden` from
    those that read, (…, tokens that read, tokens that are read). Raises NotMappedError."""
    if not bool(hidden.any()):
        return False
    own = hidden.shape[-2:]
    square = len(own) > 1 and own[0] == own[1]
    if not square or not bool((hidden.cpu() == torch.ones(own, dtype=torch.bool).triu(1)).all()):
        raise NotMappedError("it reads some of the tokens, and not those before it")
    return True


def scored(op: Operation, other: str, first: str = "self") -> Made:
    """Return the scores that a product of two values is."""
    for name in (first, other):
        if op.value(name).entry is None:
            raise NotMappedError(OTHERS)
    queries, keys = _parts(op, op[first]), _parts(op, op[other], swapped=True)
    if queries.before != keys.before or queries.units != keys.units:
        raise NotMappedError(NO_SOFTMAX)
    return Made(None, (), scores=Scores(op[first], op[other], 1.0, swapped=True))


def _of(op: Operation) -> tuple[Scores, str]:
    """Return the scores among the first two arguments, and the name of the other argument."""
    first, *others = op.node.arguments
    found = op.value(first).scores
    if found is not None:
        return found, next(iter(others), "")
    found = op.value(others[0]).scores
    if found is None:
        raise NotMappedError(OF_SCORES)
    return found, first


def _times(*, inverse: bool = False) -> Map:
    def made(op: Operation) -> Made:
        scores, other = _of(op)
        factor = op.number(other)
        if factor is None or scores.soft:
            raise NotMappedError(OF_SCORES)
        if inverse and (not factor or other == "self" or op["rounding_mode"] is not None):
            raise NotMappedError(OF_SCORES)
        factor = 1.0 / factor if inverse else factor
        return Made(None, (), scores=scores._replace(factor=scores.factor * factor))

    return made


def _filled(op: Operation) -> Made:
    scores, other = _of(op)
    filled = op.number("value")
    if other != "mask" or filled is None or not filled <= NOTHING:
        raise NotMappedError(OF_SCORES)
    return _masked(scores, _constant(op, "mask"))


def _where(op: Operation) -> Made:
    scores = op.value("self").scores
    other = op.number("other")
    if scores is None or other is None or not other <= NOTHING:
        raise NotMappedError(OF_SCORES)
    return _masked(scores, ~_constant(op, "condition"))


def _added(op: Operation) -> Made:
    scores, other = _of(op)
    if op["alpha"] != 1:
        raise NotMappedError(OF_SCORES)
    return _masked(scores, _hidden(_constant(op, other)))


def _masked(scores: Scores, hidden: torch.Tensor) -> Made:
    if scores.soft or scores.causal:
        raise NotMappedError(OF_SCORES)
    return Made(None, (), scores=scores._replace(causal=_is_causal(hidden)))


def _scored_and_masked(op: Operation) -> Made:
    if (op["beta"], op["alpha"]) != (1, 1):
        raise NotMappedError(OF_SCORES)
    found = scored(op, "batch2", "batch1").scores
    assert found is not None  # noqa: S101  # that is what it returns
    return _masked(found, _hidden(_constant(op, "self")))


def _softmax(op: Operation) -> Made:
    scores, _ = _of(op)
    if scores.soft or op["dim"] % len(op.shape("self")) != len(op.shape("self")) - 1:
        raise NotMappedError(OF_SCORES)
    return Made(None, (), scores=scores._replace(soft=True))


def _dropped(op: Operation) -> Made:
    scores, _ = _of(op)
    if op["train"] and op["p"] and not op.train:
        raise NotMappedError(DROPPED)
    if not scores.soft or scores.dropout:
        raise NotMappedError(OF_SCORES)
    return Made(None, (), scores=scores._replace(dropout=op["p"] if op["train"] else 0.0))


def _times_values(op: Operation) -> Made:
    scores, other = _of(op)
    if not scores.soft or op.value(other).entry is None or other in ("self", "input"):
        raise NotMappedError(OF_SCORES)
    return _read(op, scores, op[other])


def _same(op: Operation) -> Made:
    return Made(None, (), scores=_of(op)[0])


OF_ATTENTION: Mapping[str, Map] = {
    "scaled_dot_product_attention": _attention,
    "baddbmm": _scored_and_masked,
}
# What is done with scores.
ON_SCORES: Mapping[str, Map] = {
    "mul": _times(),
    "div": _times(inverse=True),
    "add": _added,
    "masked_fill": _filled,
    "where": _where,
    "softmax": _softmax,
    "dropout": _dropped,
    **dict.fromkeys(("bmm", "matmul"), _times_values),
    **dict.fromkeys(("alias", "contiguous", "clone", "to", "_to_copy"), _same),
}
