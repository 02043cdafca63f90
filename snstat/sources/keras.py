"""Traces a Keras model, on whatever backend it runs: every call of a layer is a row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras

from snstat.engine.tensor import square_norm
from snstat.errors import SnstatError
from snstat.results.network import INPUT
from snstat.sources.calls.framework import Arguments, Array, Gradients, Part, Seen
from snstat.sources.calls.inputs import arguments_of, examples_of
from snstat.sources.calls.maker import Maker
from snstat.sources.calls.recorder import leaves_of, plain

Layer = keras.layers.Layer
# The backend of which gradients are measured: that of tensors with hooks.
TORCH = "torch"
# Attributes of layers that drop something, and of the cells within recurrent ones.
RATES = ("rate", "dropout", "recurrent_dropout")


class KerasModel:
    """A Keras model, or the function that builds one, as a Framework."""

    name = "keras"

    def __init__(
        self, target: Any, settings: Mapping[str, Any], *, mode: str, dropout: str, backward: bool
    ) -> None:
        self._maker = Maker.of(target, settings, Layer, "a Keras model or layer")
        self.target, self.settings = self._maker.name, settings
        self.builds, self.mode, self._dropout = self._maker.builds, mode, dropout
        backend = keras.backend.backend()
        self.version = f"{keras.__version__} ({backend})"
        self._hooks = backend == TORCH
        words = f"no gradients: Keras runs on {backend}; they are measured on {TORCH} only"
        self.notes = [words] if backward and not self._hooks else []
        self._first: list[Part] = []

    @contextmanager
    def model(self, seed: int) -> Iterator[Any]:
        """See Framework."""
        with ExitStack() as stack:
            if self._hooks:
                from snstat.sources.torch.restore import random_states

                stack.enter_context(random_states())
            keras.utils.set_random_seed(seed)
            model = self._maker.make() if self.builds else self._maker.target
            if not self.builds:
                if not model.built:
                    raise SnstatError(
                        f"{self.target} is not built yet; call it once, or name its function"
                    )
                stack.enter_context(_restored(model))
            if self._dropout == "off":
                stack.enter_context(_kept(model))
            yield model

    @contextmanager
    def still(self, model: Any) -> Iterator[None]:  # noqa: ARG002
        """See Framework."""
        before, self.mode = self.mode, "eval"
        try:
            yield
        finally:
            self.mode = before

    def parts(self, model: Any) -> tuple[Sequence[Part], Mapping[str, str]]:
        """See Framework."""
        layers, aliases = _named(model)
        return self._named_as_before(list(layers.values())), aliases

    def _named_as_before(self, parts: list[Part]) -> list[Part]:
        """Return parts with the names of the first model: Keras counts the layers of all models."""
        same = [part.kind for part in parts] == [part.kind for part in self._first]
        self._first = self._first if same else parts
        return self._first

    def parameters(self, model: Any) -> int:
        """See Framework."""
        return sum(math.prod(weight.shape) for weight in model.weights)

    def device(self, model: Any) -> str:
        """See Framework. Other backends than PyTorch do not tell it alike."""
        places = {variable.value.device.type for variable in model.variables} if self._hooks else ()
        return str(next(iter(places), "cpu"))

    def arguments(self, model: Any) -> Sequence[str]:
        """See Framework."""
        if isinstance(model, keras.Model) and getattr(model, "inputs", None):
            return [entry.name for entry in model.inputs]
        return [name for name in arguments_of(model.call) if name not in ("training", "mask")]

    def examples(self, model: Any) -> Any:
        """Return what the model offers itself, or inputs of the shapes that it declares."""
        if not hasattr(model, "example_inputs") and getattr(model, "inputs", None):
            shapes = [entry.shape for entry in model.inputs]
            if all(None not in shape[1:] for shape in shapes):
                return ["x".join(["B", *map(str, shape[1:])]) for shape in shapes]
        return examples_of(model, self.arguments(model))

    def dtype(self, name: str | int, *, floating: bool) -> str | None:  # noqa: ARG002
        """See Framework."""
        return keras.config.floatx() if floating else None

    def array(self, value: Any) -> Array | str | None:
        """See Framework."""
        if isinstance(value, keras.KerasTensor):
            return "symbolic tensor"
        if not keras.ops.is_tensor(value):
            return None
        try:
            found: Array = keras.ops.convert_to_numpy(value)
        except Exception:  # noqa: BLE001  # each backend has its own
            return "compiled"
        return found

    def run(self, model: Any, arguments: Arguments, seen: Seen, gradients: Gradients) -> None:
        """See Framework."""
        training = {"training": self.mode == "train"}
        if any(not layer.built for layer in model._flatten_layers()):  # noqa: SLF001
            model(*arguments.positional, **arguments.by_name, training=False)
        layers, _ = _named(model)
        parts = dict(zip(layers, self._named_as_before([*layers.values()]), strict=True))
        hooks = None
        if self._hooks and gradients.read_out is not None:
            hooks = _Hooks(self, gradients, gradients.read_out)
        positional, by_name = arguments
        if hooks is not None:
            positional = [hooks.entered(value, arguments.first) for value in positional]
            by_name = {key: hooks.entered(v, arguments.first) for key, v in by_name.items()}
        with ExitStack() as stack:
            if not self.builds and hooks is not None:
                stack.enter_context(_gradients_restored(model))
            with _wrapped(parts, seen, hooks):
                output = model(*positional, **by_name, **training)
            if hooks is not None:
                hooks.send_back(output)


class _Hooks:
    """Gradients on the backend of PyTorch, whose tensors have hooks."""

    def __init__(self, framework: KerasModel, gradients: Gradients, generator: Any) -> None:
        self._array, self._gradients, self._generator = framework.array, gradients, generator

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


def _named(model: Any) -> tuple[dict[int, Part], dict[str, str]]:
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
        found[id(layer)] = Part(own, kind, unit, _activation(layer), bool(children))
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


def _activation(layer: Any) -> str:
    """Return the name of the activation that ends a layer."""
    kind = type(layer).__name__
    if kind == "ReLU" and (layer.max_value, layer.negative_slope, layer.threshold) == (None, 0, 0):
        return "relu"
    ends = kind in ("Dense", "EinsumDense", "Activation") or kind.startswith("Conv")
    own = getattr(layer, "activation", None) if ends else None
    return str(getattr(own, "__name__", ""))


@contextmanager
def _wrapped(parts: Mapping[int, Part], seen: Seen, hooks: _Hooks | None) -> Iterator[None]:
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


@contextmanager
def _restored(model: Any) -> Iterator[None]:
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
def _gradients_restored(model: Any) -> Iterator[None]:
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
def _kept(model: Any) -> Iterator[None]:
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
