"""One tensor of a file: known from the header, read when its values are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from snstat.sources.weights.dtypes import DTYPES, Array, Dtype

# Names of layouts: (out, in, ...) of PyTorch and ONNX, (..., in, out) of JAX and Keras.
TORCH, JAX = "torch", "jax"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor: name, shape, name of the dtype, and `read`, which returns the raw values in that
    shape.

    `read` is None for a tensor that is not read; `reason` says why. `layout` is given where the
    file tells it. Where not `placed`, the order of the file says nothing: its writer sorts tensors.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], Array] | None
    reason: str = ""
    layout: str | None = None
    placed: bool = True

    @property
    def format(self) -> Dtype:
        """The type of its numbers."""
        return DTYPES[self.dtype]
