"""What weights are, in words and columns that all formats share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from snstat.errors import escaped, name_words, printable
from snstat.report.columns import Column
from snstat.report.numbers import plain, score
from snstat.report.words import SEPARATOR, count
from snstat.results import Rows, Scheme, Spread, TensorWeights, Weights

# Digits of a number in the table, and names of tensors.
DIGITS, MOST_TENSORS = 4, 10
NO_SCHEME = "no named scheme"
# Fields of the record that have a column, by their names.
NAME, SCHEMES, THEOREM_1 = "name", "schemes", "in_theorem_1"
# Several that fit differ in their variance.
EQUAL, OR = " = ", " or "
THEOREM = (
    "theorem 1: rows with sum within ±0.1 and square sum within 0.95 to 1.1. Independent weights"
    " with square sum 1 have sums of standard deviation 1, so most rows are outside."
)


def heading(found: Weights) -> str:
    """Return "model.safetensors · 3 weight matrices · 2 tensors not judged"."""
    parts = [] if found.file is None else [printable(escaped(found.file), 200)]
    many = "matrix" if len(found.tensors) == 1 else "matrices"
    parts.append(f"{len(found.tensors):,} weight {many}")
    if found.skipped:
        parts.append(f"{count(len(found.skipped), 'tensor')} not judged")
    return SEPARATOR.join(parts)


def scheme_words(schemes: Sequence[Scheme], most: int | None = None) -> str:
    """Return the names that fit, each with its z: "lecun_normal = glorot_normal, z +0.3 or
    he_normal, z -2.9". Of more than `most`, the number of the others is told."""
    if not schemes:
        return NO_SCHEME
    shown = schemes[:most]
    words = shown[0].name
    for before, scheme in pairwise(shown):
        same = scheme.z == before.z
        words += (EQUAL if same else _z(before) + OR) + scheme.name
    words += _z(shown[-1])
    more = len(schemes) - len(shown)
    return f"{words} or {more} more" if more else words


def _z(scheme: Scheme) -> str:
    return "" if scheme.z is None else f", z {score(scheme.z)}"


def columns_of(tensors: Sequence[TensorWeights], most: int | None = None) -> list[Column]:
    """Return all columns, of which each has the name of a field of the record as its `group`. Of
    initialisers that fit, at most so many are named."""
    cells: dict[str, tuple[str, list[str]]] = {
        NAME: ("tensor", [name_words(tensor.name) for tensor in tensors]),
        "shape": ("shape", ["×".join(map(str, tensor.shape)) for tensor in tensors]),
        "fan_in": ("fan in", [str(tensor.fan_in) for tensor in tensors]),
        "gain": ("gain", [_number(tensor.gain) for tensor in tensors]),
        SCHEMES: ("looks like", [scheme_words(tensor.schemes, most) for tensor in tensors]),
        "weight_square_sum": ("square sum", [_spread(t.weight_square_sum) for t in tensors]),
        "spectral_norm": ("σ max", [_number(tensor.spectral_norm) for tensor in tensors]),
        THEOREM_1: ("in theorem 1", [_share(tensor.in_theorem_1) for tensor in tensors]),
        "weight_sum": ("sum", [_spread(tensor.weight_sum) for tensor in tensors]),
        "kurtosis": ("kurtosis", [_number(tensor.kurtosis) for tensor in tensors]),
        "dtype": ("dtype", [tensor.dtype for tensor in tensors]),
    }
    words = (NAME, SCHEMES, "dtype")
    return [
        Column(header, tuple(own), name, words=name in words)
        for name, (header, own) in cells.items()
    ]


def complaints(found: Weights) -> Iterator[str]:
    """Yield a sentence for each tensor with rows that are dead, duplicate or not finite."""
    for tensor in found.tensors:
        name = name_words(tensor.name)
        if tensor.non_finite.count:
            yield f"{name}: {_rows(tensor.non_finite)} not finite"
        if tensor.dead_rows.count:
            yield f"{name}: {_rows(tensor.dead_rows)} 0"
        if tensor.duplicate_rows.count:
            yield f"{name}: {_rows(tensor.duplicate_rows)} equal to an earlier row or its negative"
    for entry in found.skipped:
        if entry.non_finite:
            values = count(entry.non_finite, "value")
            yield f"{name_words(entry.name)}: {values} not finite"


def skipped_words(found: Weights) -> str:
    """Return "not judged: features.0.bias (1-D), embed (int8)", or nothing if all are."""
    named = [f"{name_words(e.name)} ({e.reason})" for e in found.skipped[:MOST_TENSORS]]
    left = len(found.skipped) - len(named)
    more = f" and {left:,} more" if left else ""
    return f"not judged: {', '.join(named)}{more}" if named else ""


def _rows(rows: Rows) -> str:
    if rows.count == 1:
        return f"row {rows.first[0]} is"
    shown = ", ".join(map(str, rows.first[:MOST_TENSORS]))
    more = ", ..." if rows.count > MOST_TENSORS else ""
    return f"{rows.count:,} rows ({shown}{more}) are"


def _number(value: float | None) -> str:
    return "" if value is None else plain(value, DIGITS)


def _spread(spread: Spread) -> str:
    """Return "0.333 [0.302, 0.364]"."""
    if spread.median is None:
        return ""
    low, high = (_short(value) for value in (spread.low, spread.high))
    return f"{_short(spread.median)} [{low}, {high}]"


def _short(value: float | None) -> str:
    return "infinite" if value is None else plain(value, 3)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"
