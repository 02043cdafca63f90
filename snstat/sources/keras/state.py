"""What a trace changes in a Keras model for a while, and puts back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

# Attributes of layers that drop something, and of the cells within recurrent ones.
RATES = ("rate", "dropout", "recurrent_dropout")


@contextmanager
def restored(model: Any) -> Iterator[None]:
    """Put the values of a model back, those of its random numbers and moving means included."""
    before = [
        (variable, keras.ops.convert_to_numpy(variable.value).copy())
        for variable in model.variables
    ]
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)


@contextmanager
def gradients_restored(model: Any) -> Iterator[None]:
    """Put back the gradients that parameters of PyTorch have."""
    tensors = [variable.value for variable in model.variables]
    before = [(tensor, tensor.grad) for tensor in tensors]
    for tensor in tensors:
        tensor.grad = None
    try:
        yield
    finally:
        for tensor, gradient in before:
            tensor.grad = gradient


@contextmanager
def kept(model: Any) -> Iterator[None]:
    """Drop nothing, for a while."""
    before = []
    try:
        for layer in model._flatten_layers():  # noqa: SLF001
            for name in RATES:
                rate = getattr(layer, name, None)
                drops = name != "rate" or "Dropout" in type(layer).__name__
                if drops and isinstance(rate, float) and rate:
                    before.append((layer, name, rate))
                    setattr(layer, name, 0.0)
        yield
    finally:
        for layer, name, rate in before:
            setattr(layer, name, rate)
