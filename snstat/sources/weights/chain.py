"""The matrices of a file as a network: each acts on what the one before it gives."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np

from snstat.engine.general.given import GivenLayer
from snstat.errors import InputFileError, InvalidValueError, name_words
from snstat.limits import MAX_WIDTH
from snstat.results import FloatArray, GivenWeights
from snstat.results.network import AUTO
from snstat.sources.weights.arrays import tensors_of
from snstat.sources.weights.choosing import by_globs, chosen
from snstat.sources.weights.layouts import LAYOUT, fans_of, layout_of, matrix_of
from snstat.sources.weights.matrix import Matrix
from snstat.sources.weights.moments import finite_rows, moments_of
from snstat.sources.weights.opening import open_weights
from snstat.sources.weights.pairing import natural, paired, stem_of
from snstat.sources.weights.tensor import Tensor

# What the record calls weights that are no file.
ARRAYS = "arrays"
# Matrices of one chain; a network of more cannot be written to a file.
MOST_MATRICES = 100_000
CHOOSE = "choose tensors, and their order, with --only"
# Values that are hashed at once, 2 MiB in float64.
HASHED = 2**18


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """One matrix (units, fan_in) of a chain, and its bias if it has one.

    `sums` and `squares` are ω = Σ w and τ = Σ w² of the rows, `offsets` the biases, 0 without any,
    each (units,).
    """

    matrix: Tensor
    bias: Tensor | None
    layout: str
    fan_in: int
    sums: FloatArray
    squares: FloatArray
    offsets: FloatArray

    @property
    def name(self) -> str:
        """What the names of its tensors share, or that of the matrix if only a number is left."""
        stem, number = stem_of(self.matrix.name)
        return stem + number if stem else self.matrix.name

    @property
    def units(self) -> int:
        """The number of rows."""
        return len(self.sums)

    @property
    def gain(self) -> float:
        """G, where weights have mean square G²/fan_in."""
        return float(np.sqrt(self.squares.mean()))

    @property
    def bias_std(self) -> float:
        """The root of the mean square of the biases."""
        return float(np.sqrt(np.mean(self.offsets**2)))

    def read(self, dtype: str) -> GivenLayer:
        """Return the numbers in `dtype`, mapped into memory where the file holds them so."""
        with np.errstate(over="ignore"):  # what is out of range shows in the layer
            biases = self.offsets.astype(dtype)[:, None] if self.bias is not None else None
            matrix, read = self.matrix, self.matrix.read
            assert read is not None  # noqa: S101  # for the type checker
            values = matrix_of(np.asarray(matrix.format.widen(read())), self.layout)
            return GivenLayer(np.ascontiguousarray(values, dtype), biases)


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """Matrices of which each has as many inputs as the one before it has units."""

    links: tuple[Link, ...]
    record: GivenWeights

    def read(self, dtype: str) -> dict[int, GivenLayer]:
        """Return all matrices and biases in `dtype`, by the number of their layer from 1."""
        return {number: link.read(dtype) for number, link in enumerate(self.links, 1)}

    def bytes(self, dtype: str) -> float:
        """Return the bytes of all matrices in `dtype`, and of the largest while it is read."""
        sizes = [float(link.units) * link.fan_in for link in self.links]
        return sum(sizes) * np.dtype(dtype).itemsize + max(sizes) * np.dtype(np.float64).itemsize


def read_chain(
    source: str | os.PathLike[str] | Mapping[str, Any] | Any,
    only: Collection[str] = (),
    layout: str = AUTO,
    max_bytes: int | None = None,
) -> Chain:
    """Return the chain that the tensors of a file are, or arrays by name, those whose names match
    the globs `only` if there are any.

    Tensors are in the order of these globs, else in that of the file; where its format has none,
    names count as people count them. A tensor of one axis whose name differs from that of a matrix
    in "bias" or "b" alone is its bias. `layout` and `max_bytes` are as in `snstat.weights`.

    Raises InputFileError for a file that cannot be read, for tensors that are neither, and for
    matrices that do not fit or hold values that are not finite.
    """
    if isinstance(source, str | os.PathLike):
        file, tensors = os.fsdecode(source), open_weights(source, max_bytes)
    elif isinstance(source, Mapping) or is_dataclass(source):  # as a module of Equinox is
        file, tensors = ARRAYS, tensors_of(source)
    else:
        raise InvalidValueError("weights", source, "a file, or arrays by name")
    return _Reader(file, only, LAYOUT.read("layout", layout)).chain(tensors)


class _Reader:
    """Reads the chain of one file. What it refuses names the file."""

    def __init__(self, file: str, only: Collection[str], layout: str) -> None:
        self.file, self.only, self.layout = file, tuple(only), layout
        self._digest = hashlib.sha256()

    def chain(self, tensors: Sequence[Tensor]) -> Chain:
        pairs, others = paired(self._ordered(chosen(tensors, self.only)))
        for tensor in [*(matrix for matrix, _ in pairs), *others]:
            self._require_matrix(tensor)
        if not pairs:
            self._refuse("holds no matrix", CHOOSE)
        if len(pairs) > MOST_MATRICES:
            self._refuse(f"holds {len(pairs):,} matrices, at most {MOST_MATRICES:,}", CHOOSE)
        for before, after in pairwise(matrix for matrix, _ in pairs):
            (units, _), (_, inputs) = self._sides(before), self._sides(after)
            if units != inputs:
                self._refuse(
                    f"{_words(before)} does not fit {_words(after)}: it has {units:,} units, and"
                    f" the next one {inputs:,} inputs",
                    f"{CHOOSE}, or say --layout",
                )
        links = tuple(self._link(matrix, bias) for matrix, bias in pairs)
        names = [tensor.name for pair in pairs for tensor in pair if tensor is not None]
        digest = f"sha256:{self._digest.hexdigest()}"
        return Chain(links, GivenWeights(self.file, digest, tuple(names), self.layout))

    def _ordered(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        if not all(tensor.placed for tensor in tensors):
            tensors = sorted(tensors, key=lambda tensor: natural(tensor.name))
        return by_globs(tensors, self.only)

    def _require_matrix(self, tensor: Tensor) -> None:
        """Raise InputFileError for a tensor that is no matrix of numbers."""
        if tensor.read is None:
            self._refuse(f"{_words(tensor)} is not read: {tensor.reason}", CHOOSE)
        if len(tensor.shape) != 2:
            axes = "neither a matrix nor the bias of one" if len(tensor.shape) < 2 else "no matrix"
            self._refuse(f"{_words(tensor)} is {axes}", CHOOSE)
        if not all(0 < side <= MAX_WIDTH for side in tensor.shape):
            self._refuse(f"{_words(tensor)} has a side outside 1 to {MAX_WIDTH:,}", CHOOSE)

    def _link(self, matrix: Tensor, bias: Tensor | None) -> Link:
        units, fan_in = self._sides(matrix)
        if bias is not None and (bias.read is None or bias.shape != (units,)):
            self._refuse(f"{_words(bias)} is no bias of {_words(matrix)}", CHOOSE)
        assert matrix.read is not None  # noqa: S101  # for the type checker
        layout = layout_of(matrix, self.layout)
        whole = Matrix(matrix_of(matrix.read(), layout), matrix.format)
        with np.errstate(all="ignore"):  # what is not finite is looked for
            moments = moments_of(whole)
            finite = finite_rows(whole, moments)
        if not finite.all():
            row = int(np.flatnonzero(~finite)[0])
            self._refuse_value(matrix, f"row {row:,}")
        offsets = np.zeros(units)
        if bias is not None and bias.read is not None:
            offsets = np.asarray(bias.format.widen(bias.read()), np.float64)
            if not np.isfinite(offsets).all():
                self._refuse_value(bias, f"entry {np.flatnonzero(~np.isfinite(offsets))[0]:,}")
        self._count(f"{units} {fan_in}\n", (block for _, _, block in whole.blocks(HASHED)))
        self._count(f"{int(bias is not None)}\n", [offsets])
        return Link(matrix, bias, layout, fan_in, moments.sums, moments.squares, offsets)

    def _sides(self, tensor: Tensor) -> tuple[int, int]:
        """Return units and inputs of a matrix."""
        fans = fans_of(tensor.shape, layout_of(tensor, self.layout))
        return fans.fan_out, fans.fan_in

    def _count(self, head: str, blocks: Iterator[FloatArray] | list[FloatArray]) -> None:
        """Add numbers to the digest. Equal ones have equal digests, whatever their dtype."""
        self._digest.update(head.encode())
        for block in blocks:
            # Adding 0 turns negative zeros into positive ones, which compare equal.
            self._digest.update(np.add(block, 0.0, dtype="<f8", order="C").data)

    def _refuse_value(self, tensor: Tensor, where: str) -> NoReturn:
        remedy = "snstat weights lists the rows of every matrix that are not"
        self._refuse(f"{where} of {_words(tensor)} is not finite", remedy)

    def _refuse(self, reason: str, remedy: str) -> NoReturn:
        raise InputFileError(self.file, reason, remedy)


def _words(tensor: Tensor) -> str:
    """Return the name and the shape of a tensor: "fc1.weight (128, 784)"."""
    return f"{name_words(tensor.name)} {tensor.shape}"
