"""Which axis of a tensor holds the units: told by the class of the module that returned it, or by
the name of the function."""

from __future__ import annotations

from collections.abc import Iterable

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

from snstat.sources.calls.units import Sizes, Units
from snstat.sources.torch.called import Called, Function

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
# The functions of these modules.
FUNCTIONS_FIRST = frozenset(
    f"{name}{axes}d"
    for name in (
        *("conv", "conv_transpose", "max_pool", "avg_pool", "lp_pool"),
        *("adaptive_avg_pool", "adaptive_max_pool"),
    )
    for axes in (1, 2, 3)
) | {"batch_norm", "instance_norm", "group_norm", "interpolate", "pixel_shuffle"}
_LAST = """
linear bilinear embedding layer_norm rms_norm lstm gru scaled_dot_product_attention
multi_head_attention_forward
"""
FUNCTIONS_LAST = frozenset(_LAST.split())
# Attributes that are the number of units which a module reads.
READ = ("in_channels", "num_features", "num_channels", "in_features", "input_size", "embed_dim")
# Never decide, whatever they derive from.
KEEP = (dropout._DropoutNd, padding._ConstantPadNd)  # noqa: SLF001


class UnitsOfBoth(Units):
    """Tells the units of what modules and functions return. Modules have those that they have
    without functions."""

    def __init__(self) -> None:
        super().__init__(decided, reads)
        self._of_functions = Units(decided, reads)

    def begin(self, calls: Iterable[tuple[Called, Sizes]]) -> None:
        """See Units."""
        every = [*calls]
        self._of_functions.begin(every)
        super().begin(own for own in every if not isinstance(own[0], Function))

    def of(self, module: Called, shape: Sizes, taken: Sizes) -> int | None:
        """See Units."""
        unit = self._of_functions.of(module, shape, taken)
        return unit if isinstance(module, Function) else super().of(module, shape, taken)


def decided(module: Called, shape: Sizes) -> int | None:
    """Return the axis of units that the kind of module decides, or None."""
    last = len(shape) - 1
    if isinstance(module, Function):
        if module.original_name in FUNCTIONS_FIRST:
            return 1
        return last if module.original_name in FUNCTIONS_LAST else None
    if isinstance(module, KEEP):
        return None
    if isinstance(module, CHANNELS_FIRST):
        return 1
    if isinstance(module, NORMS):
        return _normalized(module, shape)
    return last if isinstance(module, LAST) else None


def reads(module: Called) -> int | None:
    """Return how many units a module reads, None if that is not known."""
    found = (getattr(module, name, None) for name in READ)
    return next((size for size in found if isinstance(size, int)), None)


def _normalized(module: nn.LayerNorm | normalization.RMSNorm, shape: Sizes) -> int | None:
    """Return the axis of units of a norm over one axis. One of the user's own may turn channels
    that come first to the end and back, as those of ConvNeXt do: its sizes tell that, or else the
    name by which such classes call it."""
    if len(module.normalized_shape) > 1:
        return None
    last, own = len(shape) - 1, tuple(module.normalized_shape)
    if type(module).forward in {kind.forward for kind in NORMS}:
        return last
    axes = [axis for axis in (1, last) if shape[axis : axis + 1] == own]
    if len(set(axes)) < 2:
        return axes[0] if axes else None
    order = {"channels_first": 1, "channels_last": last}
    return order.get(getattr(module, "data_format", ""))
