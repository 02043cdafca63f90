"""What the weights of a file, or of arrays, are: `snstat.weights`."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from snstat.results import (
    BoolArray,
    FloatArray,
    Rows,
    Skipped,
    Spread,
    TensorWeights,
    Weights,
    optional,
)
from snstat.results.network import AUTO
from snstat.sources.weights.arrays import tensors_of
from snstat.sources.weights.choosing import chosen
from snstat.sources.weights.duplicates import duplicate_rows
from snstat.sources.weights.identify import Looks, schemes_of
from snstat.sources.weights.layouts import LAYOUT, fans_of, layout_of, matrix_of
from snstat.sources.weights.matrix import Matrix
from snstat.sources.weights.moments import Moments, finite_rows, moments_of
from snstat.sources.weights.opening import open_weights
from snstat.sources.weights.spectral import spectral_norm
from snstat.sources.weights.tensor import Tensor

# ω and τ of the SNN paper's theorem 1.
WEIGHT_SUM = (-0.1, 0.1)
WEIGHT_SQUARE_SUM = (0.95, 1.1)
# Rows whose numbers are kept.
MOST_ROWS = 100


def weights(
    source: str | os.PathLike[str] | Mapping[str, Any] | Any,
    *,
    layout: str = AUTO,
    only: Collection[str] = (),
    max_bytes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Weights:
    """Say what weights are: which initialiser drew each matrix, and how its rows are.

    Parameters
    ----------
    source
        A file: .safetensors, its .index.json, .npz, .npy, a PyTorch state dict, .onnx, or what
        `equinox.tree_serialise_leaves` wrote. Or arrays by name, such as a state dict, a module of
        Equinox or another dataclass of arrays, or one array.
    layout
        "torch" for shapes (out, in, ...), "jax" or "keras" for (..., in, out), or "auto": that of
        JAX where the last part of a name is kernel, else that of PyTorch; ONNX files tell it.
    only
        Globs of names; other tensors are left out.
    max_bytes
        The largest tensor of a file that is read; half of the free memory by default.
    progress
        Called before each tensor with its number and how many there are.

    Returns
    -------
    Weights
        `tensors`, one record for each tensor of two or more axes, and `skipped`, the others with
        the reason.

    Raises
    ------
    InputFileError
        The file is missing, damaged, declares a tensor of more than `max_bytes`, or holds more than
        weights; nothing in it is run.
    InvalidValueError
        `layout` is none of these, or `only` matches no tensor.
    SnstatError
        A package that the format needs is missing.
    """
    wanted = LAYOUT.read("layout", layout)
    name = None
    if isinstance(source, str | os.PathLike):
        found: Sequence[Tensor] = open_weights(source, max_bytes)
        name = os.fsdecode(source)
    else:
        found = tensors_of(source)
    found = chosen(found, only)
    tensors, skipped = [], []
    for number, tensor in enumerate(found):
        if progress is not None:
            progress(number, len(found))
        looked = _looked(tensor, wanted)
        if isinstance(looked, Skipped):
            skipped.append(looked)
        else:
            tensors.append(looked)
    return Weights(name, tuple(tensors), tuple(skipped))


# Values may be anything: what overflows or is not finite is found by its result.
@np.errstate(all="ignore")
def _looked(tensor: Tensor, layout: str) -> TensorWeights | Skipped:
    """Return what a tensor is, or why it is not looked at."""
    if tensor.read is None:
        return Skipped(tensor.name, tensor.reason)
    if 0 in tensor.shape:
        return Skipped(tensor.name, "no values")
    if len(tensor.shape) < 2:
        matrix = Matrix(tensor.read().reshape(1, -1), tensor.format)
        return Skipped(tensor.name, f"{len(tensor.shape)}-D", _not_finite(matrix))
    layout = layout_of(tensor, layout)
    return _judged(tensor, Matrix(matrix_of(tensor.read(), layout), tensor.format), layout)


def _judged(tensor: Tensor, matrix: Matrix, layout: str) -> TensorWeights:
    fans = fans_of(tensor.shape, layout, tensor.name)
    moments = moments_of(matrix)
    finite = finite_rows(matrix, moments)
    bad = np.flatnonzero(~finite)
    places = np.arange(matrix.units)
    if bad.size:
        places = np.flatnonzero(finite)
        matrix = Matrix(matrix.raw[finite], tensor.format)
        moments = moments_of(matrix)
    common: dict[str, Any] = {
        "name": tensor.name,
        "shape": tensor.shape,
        "dtype": tensor.dtype,
        "layout": layout,
        "fan_in": fans.fan_in,
        "fan_out": fans.fan_out,
        "non_finite": _rows(bad),
    }
    if not matrix.units:
        return TensorWeights(
            **common,
            gain=None,
            schemes=(),
            weight_sum=Spread(None, None, None),
            weight_square_sum=Spread(None, None, None),
            in_theorem_1=None,
            spectral_norm=None,
            kurtosis=None,
            dead_rows=_rows(()),
            duplicate_rows=_rows(()),
        )
    longest = spectral_norm(matrix)
    dead = _dead(matrix, moments)
    drawn = Looks(matrix, fans, moments, longest)
    if dead.any() and not dead.all():
        # What is left of a draw after rows were set to 0.
        rest = Matrix(matrix.raw[~dead], tensor.format)
        drawn = Looks(rest, fans, moments_of(rest), longest)
    return TensorWeights(
        **common,
        gain=optional(math.sqrt(fans.fan_in * moments.mean_square)),
        schemes=schemes_of(drawn),
        weight_sum=_spread(moments.sums),
        weight_square_sum=_spread(moments.squares),
        in_theorem_1=_inside(moments),
        spectral_norm=longest,
        kurtosis=moments.kurtosis,
        dead_rows=_rows(places[dead]),
        duplicate_rows=_rows(places[duplicate_rows(matrix, moments.squares)]),
    )


def _dead(matrix: Matrix, moments: Moments) -> BoolArray:
    """Return which rows (units,) are 0; squares of tiny values may be 0 too."""
    dead: BoolArray = moments.squares == 0
    for number in np.flatnonzero(dead):
        dead[number] = not any(part.any() for part in matrix.row_parts(int(number)))
    return dead


def _inside(moments: Moments) -> float:
    """Return the share of rows with ω and τ in the domain of theorem 1."""
    (low, high), (least, most) = WEIGHT_SUM, WEIGHT_SQUARE_SUM
    sums, squares = moments.sums, moments.squares
    inside = (low <= sums) & (sums <= high) & (least <= squares) & (squares <= most)
    return float(np.mean(inside))


def _not_finite(matrix: Matrix) -> int:
    return sum(int(np.count_nonzero(~np.isfinite(block))) for _, _, block in matrix.blocks())


def _spread(values: FloatArray) -> Spread:
    median, low, high = np.median(values), np.min(values), np.max(values)
    return Spread(optional(median), optional(low), optional(high))


def _rows(numbers: Any) -> Rows:
    numbers = np.asarray(numbers, dtype=np.int64)
    return Rows(len(numbers), tuple(numbers[:MOST_ROWS].tolist()))
