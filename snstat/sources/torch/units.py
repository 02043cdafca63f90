"""Which axis of a tensor holds the units: told by the class of the module that returned it."""

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


def decided(module: nn.Module, ndim: int) -> int | None:
    """Return the axis of units that the kind of module decides, or None."""
    if isinstance(module, KEEP):
        return None
    if isinstance(module, CHANNELS_FIRST):
        return 1
    if isinstance(module, NORMS) and len(module.normalized_shape) > 1:
        return None
    return ndim - 1 if isinstance(module, LAST + NORMS) else None
