"""A module of Flax NNX as a Framework."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from snstat.sources.calls.framework import Arguments, Array, Gradients, Part, Seen
from snstat.sources.calls.inputs import arguments_of, examples_of
from snstat.sources.calls.maker import Maker
from snstat.sources.nnx.calls import named, swapped_calls
from snstat.sources.nnx.gradients import send_back

# The argument of functions that draw weights.
RNGS = "rngs"
# jax takes seeds of 31 bits.
LARGEST_SEED = 2**31 - 1


class NnxModel:
    """A module of Flax NNX, or the function that builds one, as a Framework."""

    name, version = "flax", str(flax.__version__)

    def __init__(
        self, target: Any, settings: Mapping[str, Any], *, mode: str, dropout: str
    ) -> None:
        self._maker = Maker.of(target, settings, nnx.Module, "a module of flax.nnx")
        self.target, self.settings = self._maker.name, settings
        self.builds, self.mode, self._dropout = self._maker.builds, mode, dropout
        self._takes_rngs = self.builds and RNGS in _parameters(self._maker.target)
        self.notes = []
        if self.builds and not self._takes_rngs:
            self.notes.append(f"the function takes no {RNGS}, so it decides what trials draw")

    @contextmanager
    def model(self, seed: int) -> Iterator[Any]:
        """See Framework."""
        drawn = {RNGS: nnx.Rngs(seed & LARGEST_SEED)} if self._takes_rngs else {}
        model = self._maker.make(**drawn) if self.builds else nnx.clone(self._maker.target)
        if self.mode == "train":
            model.train()
        else:
            model.eval()
        if self._dropout == "off":
            for _, module in nnx.iter_modules(model):
                if hasattr(module, "deterministic"):
                    module.deterministic = True
        yield model

    @contextmanager
    def still(self, model: Any) -> Iterator[None]:
        """See Framework. The model, one of a trial or a copy, stays in eval mode."""
        model.eval()
        yield

    def parts(self, model: Any) -> tuple[Sequence[Part], Mapping[str, str]]:
        """See Framework."""
        return [part for _, part in named(model).values()], {}

    def parameters(self, model: Any) -> int:
        """See Framework."""
        return sum(int(value.size) for value in jax.tree.leaves(nnx.state(model, nnx.Param)))

    def device(self, model: Any) -> str:  # noqa: ARG002
        """See Framework."""
        return str(jax.default_backend())

    def arguments(self, model: Any) -> Sequence[str]:
        """See Framework."""
        return arguments_of(model.__call__)

    def examples(self, model: Any) -> Any:
        """See Framework."""
        return examples_of(model, self.arguments(model))

    def dtype(self, name: str | int, *, floating: bool) -> str | None:  # noqa: ARG002
        """See Framework."""
        return "float32" if floating else None

    def array(self, value: Any) -> Array | str | None:
        """See Framework."""
        if not isinstance(value, jax.Array):
            return None
        return "compiled" if isinstance(value, jax.core.Tracer) else np.asarray(value)

    def run(self, model: Any, arguments: Arguments, seen: Seen, gradients: Gradients) -> None:
        """See Framework."""
        before = model if gradients.read_out is None else nnx.clone(model)
        own: dict[Any, list[tuple[int, Any, Any]]] = {}
        counts: Counter[str] = Counter()

        def after(part: Part, entered: Any, output: Any) -> Any:
            counts[part.path] += 1
            leaves = jax.tree.leaves(output)
            own[part.path, counts[part.path]] = [
                (number, row.key, jax.ShapeDtypeStruct(value.shape, value.dtype))
                for row, value in seen.after(part, entered, output)
                for number, leaf in enumerate(leaves)
                if leaf is value
            ]
            return output

        with swapped_calls(model, seen, after):
            model(*map(jnp.asarray, arguments.positional), **_arrays(arguments.by_name))
        if gradients.read_out is not None:
            send_back(before, arguments, own, gradients, gradients.read_out)


def _arrays(named: Mapping[str, Any]) -> dict[str, Any]:
    return {name: jnp.asarray(value) for name, value in named.items()}


def _parameters(function: Any) -> Mapping[str, Any]:
    """Return the parameters of a function, or of a class of modules."""
    try:
        own = function.__init__ if inspect.isclass(function) else function
        return inspect.signature(own).parameters
    except (TypeError, ValueError):
        return {}
