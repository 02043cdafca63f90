"""Records of `snstat weights`: what the tensors of a file of weights are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import ClassVar, Literal

from snstat.results.base import Record

WEIGHTS_SCHEMA = "snstat.weights/1"


@dataclass(frozen=True, slots=True)
class Scheme(Record):
    """A named initialiser that a tensor may have been drawn with.

    `z` is the logarithm of the variance over that of the scheme, in standard errors; None where
    chance has no part in the variance, as in orthogonal or constant weights.
    """

    name: str
    z: float | None


@dataclass(frozen=True, slots=True)
class Spread(Record):
    """The median and the range of a number that every row has; None without finite rows."""

    median: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Rows(Record):
    """Some rows of a matrix: how many, and the numbers of the `first` hundred, counted from 0."""

    count: int
    first: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TensorWeights(Record):
    """What a tensor of two or more axes is, as the matrix (units, fan_in) of its layer.

    `layout` is "torch" for (out, in, ...) or "jax" for (..., in, out). `gain` is G, where the mean
    square is G²/fan_in. `schemes` are all named initialisers that fit. `weight_sum` and
    `weight_square_sum` are ω and τ of the rows, Σ w and Σ w²; `in_theorem_1` is the share of rows
    with both in the domain of the SNN paper's theorem 1. `spectral_norm` is the largest singular
    value. `dead_rows` are all 0, `duplicate_rows` equal an earlier row or its negative, and
    `non_finite` rows hold a value that is not finite; the other numbers leave these out. None is
    what such a matrix does not have.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str
    fan_in: int
    fan_out: int
    gain: float | None
    schemes: tuple[Scheme, ...]
    weight_sum: Spread
    weight_square_sum: Spread
    in_theorem_1: float | None
    spectral_norm: float | None
    kurtosis: float | None
    dead_rows: Rows
    duplicate_rows: Rows
    non_finite: Rows


@dataclass(frozen=True, slots=True)
class Skipped(Record):
    """A tensor that is no weight matrix, or cannot be read, and why. `non_finite` counts its values
    that are not finite, where it was read."""

    name: str
    reason: str
    non_finite: int = 0


@dataclass(frozen=True, slots=True)
class Weights(Record):
    """What the weights of a `file` are, tensor by tensor in its order; `file` is None for
    arrays."""

    file: str | None
    tensors: tuple[TensorWeights, ...]
    skipped: tuple[Skipped, ...]

    @property
    def called(self) -> str:
        """The name of the file without its folder, or "weights"."""
        return "weights" if self.file is None else PurePath(self.file).name

    def tensor(self, name: str) -> TensorWeights:
        """Return what the tensor of this name is; KeyError if there is none."""
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class WeightsSummary(Record):
    """What a check of weights is of: a `file`, the number of its weight `matrices` and of tensors
    that are none, and what the weights are declared to be."""

    # Tells subjects apart without an import of all of them.
    what: ClassVar[Literal["weights"]] = "weights"
    file: str | None
    matrices: int
    others: int
    activation: str | None
    init: str | None
