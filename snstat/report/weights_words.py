"""What weights are, in words and columns that all formats share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from snstat.errors import escaped, name_words, printable
from snstat.report.columns import Column
from snstat.report.numbers import plain, score
from snstat.report.words import SEPARATOR, count
from snstat.results import Rows, Scheme, Spread, TensorWeights, Weights

# Digits of a number in the table, names of initialisers, and names of tensors.
DIGITS, MOST_NAMES, MOST_TENSORS = 4, 3, 10
NO_SCHEME = "no named scheme"
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


def scheme_words(schemes: Sequence[Scheme]) -> str:
    """Return the names that fit: "lecun_normal = glorot_normal, z +0.3"."""
    if not schemes:
        return NO_SCHEME
    words, z = schemes[0].name, schemes[0].z
    for before, scheme in pairwise(schemes[:MOST_NAMES]):
        words += (EQUAL if scheme.z == before.z else OR) + scheme.name
    if len(schemes) > MOST_NAMES:
        words += f" or {len(schemes) - MOST_NAMES} more"
    return words if z is None else f"{words}, z {score(z)}"


def columns_of(tensors: Sequence[TensorWeights]) -> list[Column]:
    """Return all columns, the most important first."""
    cells: dict[str, list[str]] = {
        "tensor": [name_words(tensor.name) for tensor in tensors],
        "shape": ["×".join(map(str, tensor.shape)) for tensor in tensors],
        "gain": [_number(tensor.gain) for tensor in tensors],
        "looks like": [scheme_words(tensor.schemes) for tensor in tensors],
        "square sum": [_spread(tensor.weight_square_sum) for tensor in tensors],
        "σ max": [_number(tensor.spectral_norm) for tensor in tensors],
        "in theorem 1": [_share(tensor.in_theorem_1) for tensor in tensors],
        "sum": [_spread(tensor.weight_sum) for tensor in tensors],
        "kurtosis": [_number(tensor.kurtosis) for tensor in tensors],
        "dtype": [tensor.dtype for tensor in tensors],
    }
    words = ("tensor", "looks like", "dtype")
    return [Column(name, tuple(own), name, words=name in words) for name, own in cells.items()]


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
