"""Which axis of a tensor holds the units: told by the kind of module that returned it.

Modules that keep shapes, such as activations, have the units of the last tensor of that shape, or
of the last one with as many axes.
"""

from __future__ import annotations

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

Sizes = tuple[int, ...]

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

# Tensors of more axes than sequences have are images, if there are convolutions.
SEQUENCE = 3


class Units:
    """Tells the units of tensors in the order of calls."""

    def __init__(self) -> None:
        # Units of the last tensor of each shape, and of each number of axes.
        self._by_shape: dict[Sizes, int] = {}
        self._by_ndim: dict[int, int] = {}
        self._images = False

    def of(self, module: nn.Module, shape: Sizes, taken: Sizes) -> int | None:
        """Return the axis of units of what a module returned, None if there is none left beside
        the `taken` ones, of samples."""
        free = [axis for axis in range(len(shape)) if axis not in taken]
        if not free:
            return None
        # Alike for every batch.
        shape = tuple(0 if axis in taken else size for axis, size in enumerate(shape))
        own = _decided(module, len(shape))
        if own is not None and own in free:
            self._by_shape[shape], self._by_ndim[len(shape)] = own, own
            self._images |= own == 1 and len(shape) > SEQUENCE
            return own
        known = self._by_shape.get(shape, self._by_ndim.get(len(shape)))
        if known is None:
            known = 1 if self._images and len(shape) > SEQUENCE else len(shape) - 1
        return known if known in free else free[-1]

    def of_input(self, shape: Sizes, taken: Sizes) -> int | None:
        """Return the axis of units of an input, after all calls were seen."""
        free = [axis for axis in range(len(shape)) if axis not in taken]
        known = self._by_ndim.get(len(shape), len(shape) - 1)
        if len(shape) > SEQUENCE and self._images:
            known = 1
        return None if not free else known if known in free else free[-1]


def _decided(module: nn.Module, ndim: int) -> int | None:
    """Return the axis of units that the kind of module decides, or None."""
    if isinstance(module, KEEP):
        return None
    if isinstance(module, CHANNELS_FIRST):
        return 1
    if isinstance(module, NORMS) and len(module.normalized_shape) > 1:
        return None
    return ndim - 1 if isinstance(module, LAST + NORMS) else None
