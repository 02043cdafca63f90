"""The activations: one table from name to function, derivative, structure and citation.

Each family has a file. No argument gives NaN, not even ±inf: the exponential of a branch is
evaluated on arguments clipped to that branch, never multiplied by a mask (0·inf is NaN). At a kink
the derivative is the one of PyTorch's backward pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from snstat.activation.base import Activation
from snstat.activation.clipped import HARD_SIGMOID, HARD_SWISH, HARD_TANH, RELU6, RELU_SQUARED
from snstat.activation.exponential import ELU, SELU
from snstat.activation.half_linear import IDENTITY, LEAKY_RELU, RELU
from snstat.activation.logistic import SIGMOID, SILU, SOFTPLUS, TANH
from snstat.activation.normal import ERF, GELU
from snstat.activation.sine import SINE
from snstat.activation.smooth import GELU_TANH, MISH, SOFTSIGN

# Lists show this order, kernels number the activations by it, and the last ones take the next look
# in figures: append new ones.
_ENTRIES = (
    *(SELU, RELU, LEAKY_RELU, ELU, GELU, SILU, TANH, SIGMOID, SOFTPLUS, ERF),
    *(HARD_TANH, IDENTITY, MISH, GELU_TANH, SOFTSIGN, RELU6, HARD_SIGMOID, HARD_SWISH),
    *(RELU_SQUARED, SINE),
)

ACTIVATIONS: Mapping[str, Activation] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
