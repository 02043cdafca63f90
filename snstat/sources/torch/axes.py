"""What the axes of a tensor are: samples, positions and units.

Which axes are samples is probed: the module runs with batches of 2 and of 3, and an axis that goes
from 2k to 3k holds samples, k > 1 if merged with positions. Which axis holds the units follows from
the kind of module; modules that keep shapes have the units of those before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules import (
    activation,
    batchnorm,
    conv,
    dropout,
    fold,
    instancenorm,
    normalization,
    padding,
    pixelshuffle,
    pooling,
    rnn,
    sparse,
    transformer,
    upsampling,
)

from snstat.errors import InvalidValueError
from snstat.results.module import Axes

PROBED, KIND, GIVEN = "probed", "kind", "given"
BATCHES = (2, 3)
# Where units are axis 1.
CHANNELS_FIRST = (
    conv._ConvNd,  # noqa: SLF001  # the public classes are many
    batchnorm._NormBase,  # noqa: SLF001
    instancenorm._InstanceNorm,  # noqa: SLF001
    nn.GroupNorm,
    nn.LocalResponseNorm,
    pooling._MaxPoolNd,  # noqa: SLF001
    pooling._AvgPoolNd,  # noqa: SLF001
    pooling._AdaptiveAvgPoolNd,  # noqa: SLF001
    pooling._AdaptiveMaxPoolNd,  # noqa: SLF001
    upsampling.Upsample,
    pixelshuffle.PixelShuffle,
    pixelshuffle.PixelUnshuffle,
    fold.Unfold,
    fold.Fold,
)
# Where units are the last axis.
LAST = (
    nn.Linear,
    nn.Bilinear,
    rnn.RNNBase,
    rnn.RNNCellBase,
    activation.MultiheadAttention,
    transformer.TransformerEncoderLayer,
    transformer.TransformerDecoderLayer,
    sparse.Embedding,
    sparse.EmbeddingBag,
)
NORMS = (nn.LayerNorm, normalization.RMSNorm)
# Never decide, whatever they derive from.
KEEP = (dropout._DropoutNd, padding._ConstantPadNd)  # noqa: SLF001

Key = tuple[str, int, str]
Sizes = tuple[int, ...]


class Reader:
    """Tells axes in the order of calls. `probed` are the sizes of each tensor for both batches
    (None if that was not possible), `batch` is that of the trace, and `given` are axes by globs of
    names."""

    def __init__(
        self,
        probed: Mapping[Key, tuple[Sizes | None, Sizes | None]] | None,
        batch: int,
        given: Mapping[str, str],
    ) -> None:
        self._probed, self._batch, self._given = probed, batch, given
        # Units of the last tensor of each shape, and of each number of axes.
        self._by_shape: dict[Sizes, int] = {}
        self._by_ndim: dict[int, int] = {}
        self._images = False

    def axes(self, key: Key, module: nn.Module, shape: Sizes, *, packed: bool) -> Axes | None:
        """Return the axes of a tensor, None if unknown."""
        for glob, letters in self._given.items():
            if fnmatchcase(key[0], glob):
                return read_axes(letters, len(shape), key[0])
        if packed:
            return None
        found = self._samples(key, shape)
        if found is None or not shape:
            return None
        sample, merged, how = found
        unit = self._unit(module, shape, (*sample, *merged))
        positions = tuple(axis for axis in range(len(shape)) if axis not in sample and axis != unit)
        return Axes((*sample, *merged), positions, () if unit is None else (unit,), how)

    def _samples(self, key: Key, shape: Sizes) -> tuple[Sizes, Sizes, str] | None:
        """Return the axis of samples, the one merged with positions, and how they were found."""
        low, high = BATCHES
        if self._probed is None:
            return self._by_size(shape)
        small, large = self._probed.get(key, (None, None))
        if small is None or large is None or not len(small) == len(large) == len(shape):
            return None
        sample: list[int] = []
        merged: list[int] = []
        for axis, sizes in enumerate(zip(small, large, shape, strict=True)):
            if sizes[0] == sizes[1] == sizes[2]:
                continue
            share = sizes[0] // low
            if sizes != (share * low, share * high, share * self._batch) or share < 1:
                return None
            if sample or merged:
                continue  # a second one, as of products between samples, is no sample axis
            (sample if share == 1 else merged).append(axis)
        return tuple(sample), tuple(merged), PROBED

    def _by_size(self, shape: Sizes) -> tuple[Sizes, Sizes, str] | None:
        if self._batch in shape:
            return (shape.index(self._batch),), (), KIND
        return None

    def _unit(self, module: nn.Module, shape: Sizes, taken: Sizes) -> int | None:
        """Return the axis of units, None if there is none."""
        free = [axis for axis in range(len(shape)) if axis not in taken]
        if not free:
            return None
        own = self._decided(module, shape)
        if own is not None and own in free:
            self._by_shape[shape], self._by_ndim[len(shape)] = own, own
            self._images |= own == 1 and len(shape) > 3
            return own
        known = self._by_shape.get(shape, self._by_ndim.get(len(shape)))
        if known is None:
            known = 1 if self._images and len(shape) > 3 else len(shape) - 1
        return known if known in free else free[-1]

    def _decided(self, module: nn.Module, shape: Sizes) -> int | None:
        """Return the axis of units that the kind of module decides, or None."""
        if isinstance(module, KEEP):
            return None
        if isinstance(module, CHANNELS_FIRST):
            return 1
        if isinstance(module, NORMS) and len(module.normalized_shape) > 1:
            return None
        return len(shape) - 1 if isinstance(module, LAST + NORMS) else None

    def input_axes(self, shape: Sizes, sample: int | None) -> Axes | None:
        """Return the axes of an input, after all calls were seen."""
        taken = () if sample is None else (sample,)
        free = [axis for axis in range(len(shape)) if axis not in taken]
        known = self._by_ndim.get(len(shape), len(shape) - 1)
        if len(shape) > 3 and self._images:
            known = 1
        unit = None if not free else known if known in free else free[-1]
        positions = tuple(axis for axis in free if axis != unit)
        return Axes(taken, positions, () if unit is None else (unit,), PROBED)


def read_axes(letters: str, ndim: int, path: str) -> Axes:
    """Read axes as they are typed: a letter or "SP" for each axis, "S,U,P,P"."""
    words = letters.upper().split(",") if "," in letters else list(letters.upper())
    if len(words) != ndim or any(word not in ("S", "P", "U", "SP") for word in words):
        bound = f"S, P, U or SP for each of the {ndim} axes of {path}, such as S,P,U"
        raise InvalidValueError("axes", letters, bound)

    def having(letter: str) -> Sizes:
        return tuple(axis for axis, word in enumerate(words) if letter in word)

    if len(having("S")) > 1:
        raise InvalidValueError("axes", letters, "axes of which one holds samples")
    return Axes(having("S"), having("P"), having("U"), GIVEN)


def shape_of(shape: Sizes, axes: Axes | None, batch: int) -> tuple[int | str, ...]:
    """Return a shape with S for the batch, "4S" for samples merged with 4 positions."""
    if axes is None:
        return shape

    def size(axis: int) -> int | str:
        if axis not in axes.sample or shape[axis] % batch:
            return shape[axis]
        share = shape[axis] // batch
        return "S" if share == 1 else f"{share}S"

    return tuple(size(axis) for axis in range(len(shape)))
