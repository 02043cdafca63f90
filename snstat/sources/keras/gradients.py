"""Gradients of a Keras model that runs on PyTorch, whose tensors have hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from snstat.engine.tensor import square_norm
from snstat.results.network import INPUT
from snstat.sources.calls.framework import Array, Gradients
from snstat.sources.calls.recorder import leaves_of, plain


class Hooks:
    """Hooks of one call of a model. `array` is that of the Framework."""

    def __init__(
        self, array: Callable[[Any], Array | str | None], gradients: Gradients, generator: Any
    ) -> None:
        self._array, self._gradients, self._generator = array, gradients, generator

    def entered(self, value: Array, first: Array | None) -> Any:
        """Return an input as a tensor; the gradient of the first floating one is measured."""
        tensor = keras.ops.convert_to_tensor(value)
        if value is first:
            tensor.requires_grad_()
            self.on((INPUT, 1, ""), tensor)
        return tensor

    def on(self, key: Any, tensor: Any) -> None:
        """Measure the gradient of a tensor once it comes."""

        def take(gradient: Any) -> None:
            self._gradients.squares[key] = _square(gradient)

        if tensor.requires_grad:
            tensor.register_hook(take)

    def send_back(self, output: Any) -> None:
        """Send back the gradient of a random read-out of every floating output."""
        loss = None
        for _, tensor, array in leaves_of(output, self._array):
            if isinstance(array, str) or not tensor.requires_grad:
                continue
            drawn = self._generator.standard_normal(array.shape).astype(array.dtype)
            self._gradients.reference += square_norm(plain(drawn))
            read = keras.ops.sum(tensor * keras.ops.convert_to_tensor(drawn))
            loss = read if loss is None else loss + read
        if loss is not None:
            loss.backward()


def _square(gradient: Any) -> float:
    return square_norm(plain(keras.ops.convert_to_numpy(gradient)))
