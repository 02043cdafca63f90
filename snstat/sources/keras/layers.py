"""The layers of a Keras model: their names, and their calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from snstat.sources.calls.framework import Part, Seen
from snstat.sources.keras.gradients import Hooks

Layer = keras.layers.Layer


def named(model: Any) -> tuple[dict[int, Part], dict[str, str]]:
    """Return all layers by their identity, and further paths of those that have several."""
    found: dict[int, Part] = {}
    aliases: dict[str, str] = {}

    def walk(layer: Any, path: str) -> None:
        children = layer._flatten_layers(include_self=False, recursive=False)  # noqa: SLF001
        children = [child for child in children if not isinstance(child, keras.layers.InputLayer)]
        kind = type(layer).__name__
        first = getattr(layer, "data_format", None) == "channels_first"
        unit = 1 if first else -1 if hasattr(layer, "kernel") else None
        own = path or kind
        found[id(layer)] = Part(own, kind, unit, activation_of(layer), bool(children))
        taken = {own}
        for child in children:
            inner = f"{path}.{child.name}" if path else child.name
            while inner in taken:
                inner += "_"
            taken.add(inner)
            if id(child) in found:
                aliases[inner] = found[id(child)].path
            else:
                walk(child, inner)

    walk(model, "")
    return found, aliases


def activation_of(layer: Any) -> str:
    """Return the name of the activation that ends a layer."""
    kind = type(layer).__name__
    if kind == "ReLU" and (layer.max_value, layer.negative_slope, layer.threshold) == (None, 0, 0):
        return "relu"
    ends = kind in ("Dense", "EinsumDense", "Activation") or kind.startswith("Conv")
    own = getattr(layer, "activation", None) if ends else None
    return str(getattr(own, "__name__", ""))


@contextmanager
def wrapped(parts: Mapping[int, Part], seen: Seen, hooks: Hooks | None) -> Iterator[None]:
    """See the calls of layers, for a while."""
    original = Layer.__call__

    def call(layer: Any, *args: Any, **named: Any) -> Any:
        part = parts.get(id(layer))
        if part is None:
            return original(layer, *args, **named)
        seen.before(part)
        try:
            output = original(layer, *args, **named)
        except BaseException:
            seen.failed()
            raise
        for row, value in seen.after(part, [args, named], output):
            if hooks is not None:
                hooks.on(row.key, value)
        return output

    Layer.__call__ = call
    try:
        yield
    finally:
        Layer.__call__ = original
