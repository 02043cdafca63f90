"""The number of each activation in the kernels: its place in the table. And their constants."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any, NamedTuple

from snstat.activation import ACTIVATIONS

if TYPE_CHECKING:
    from snstat.activation import Activation

# In capitals: KIND.RELU is the number of "relu".
KIND: Any = namedtuple("KIND", map(str.upper, ACTIVATIONS))(*range(len(ACTIVATIONS)))  # noqa: PYI024
# gelu_tanh is x·σ(ROOT_8_PI·(x + CUBIC·x³)).
ROOT_8_PI, CUBIC = 1.5957691216057308, 0.044715


class Code(NamedTuple):
    """An activation as kernels take it: its number, and its parameter if it has one."""

    number: int
    parameter: float = 0.0


def code_of(activation: Activation) -> Code:
    """Return the code of an activation of the table, or of one with another parameter."""
    return Code(getattr(KIND, activation.family.upper()), *activation.parameters)
