"""A Keras model as a Framework."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras

from snstat.errors import SnstatError
from snstat.sources.calls.framework import Arguments, Array, Gradients, Part, Seen
from snstat.sources.calls.inputs import arguments_of, examples_of
from snstat.sources.calls.maker import Maker
from snstat.sources.keras.gradients import Hooks
from snstat.sources.keras.layers import named, wrapped
from snstat.sources.keras.state import gradients_restored, kept, restored

# The backend of which gradients are measured: that of tensors with hooks.
TORCH = "torch"


class KerasModel:
    """A Keras model, or the function that builds one, as a Framework."""

    name = "keras"

    def __init__(
        self, target: Any, settings: Mapping[str, Any], *, mode: str, dropout: str, backward: bool
    ) -> None:
        self._maker = Maker.of(target, settings, keras.layers.Layer, "a Keras model or layer")
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
                stack.enter_context(restored(model))
            if self._dropout == "off":
                stack.enter_context(kept(model))
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
        layers, aliases = named(model)
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
        layers, _ = named(model)
        parts = dict(zip(layers, self._named_as_before([*layers.values()]), strict=True))
        hooks = None
        if self._hooks and gradients.read_out is not None:
            hooks = Hooks(self.array, gradients, gradients.read_out)
        positional, by_name = arguments
        if hooks is not None:
            positional = [hooks.entered(value, arguments.first) for value in positional]
            by_name = {key: hooks.entered(v, arguments.first) for key, v in by_name.items()}
        with ExitStack() as stack:
            if not self.builds and hooks is not None:
                stack.enter_context(gradients_restored(model))
            with wrapped(parts, seen, hooks):
                output = model(*positional, **by_name, **training)
            if hooks is not None:
                hooks.send_back(output)
