"""Traces a module of Flax NNX: every call of a module within it is a row."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from snstat.engine.tensor import square_norm
from snstat.results.network import INPUT
from snstat.sources.calls.framework import Arguments, Array, Gradients, Part, Seen
from snstat.sources.calls.inputs import arguments_of, examples_of
from snstat.sources.calls.maker import Maker
from snstat.sources.calls.recorder import plain

# The argument of functions that draw weights.
RNGS = "rngs"
# jax takes seeds of 31 bits.
LARGEST_SEED = 2**31 - 1
FIRST = (INPUT, 1, "")


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
        return [part for _, part in _named(model).values()], {}

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

        with _swapped(model, seen, after):
            model(*map(jnp.asarray, arguments.positional), **_arrays(arguments.by_name))
        if gradients.read_out is not None:
            _send_back(before, arguments, own, gradients, gradients.read_out)


def _send_back(
    model: Any,
    arguments: Arguments,
    own: Mapping[Any, Any],
    gradients: Gradients,
    generator: np.random.Generator,
) -> None:
    """Measure the gradients of a random read-out of every floating output: those of zeros that are
    added to what calls return, `own` by path and call, in a second run of the same model."""
    zeros = {key: jnp.zeros_like(like) for call in own.values() for _, key, like in call}
    if arguments.first is not None:
        zeros[FIRST] = jnp.zeros(arguments.first.shape, arguments.first.dtype)

    def entered(value: Any, added: Any) -> Any:
        return value + added[FIRST] if value is arguments.first else jnp.asarray(value)

    def perturbed(added: dict[Any, Any]) -> list[Any]:
        again = nnx.clone(model)
        counts: Counter[str] = Counter()

        def after(part: Part, _entered: Any, output: Any) -> Any:
            counts[part.path] += 1
            leaves, form = jax.tree.flatten(output)
            for number, key, _ in own.get((part.path, counts[part.path]), ()):
                leaves[number] = leaves[number] + added[key]
            return jax.tree.unflatten(form, leaves)

        with _swapped(again, None, after):
            output = again(
                *(entered(value, added) for value in arguments.positional),
                **{name: entered(value, added) for name, value in arguments.by_name.items()},
            )
        leaves = jax.tree.leaves(output)
        return [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)]

    outputs, back = jax.vjp(perturbed, zeros)
    drawn = [generator.standard_normal(leaf.shape) for leaf in outputs]
    read_out = [jnp.asarray(d, leaf.dtype) for d, leaf in zip(drawn, outputs, strict=True)]
    gradients.reference = sum(_square(values) for values in read_out)
    (found,) = back(read_out)
    gradients.squares.update({key: _square(values) for key, values in found.items()})


def _square(values: Any) -> float:
    return square_norm(plain(np.asarray(values)))


def _arrays(named: Mapping[str, Any]) -> dict[str, Any]:
    return {name: jnp.asarray(value) for name, value in named.items()}


def _parameters(function: Any) -> Mapping[str, Any]:
    """Return the parameters of a function, or of a class of modules."""
    try:
        own = function.__init__ if inspect.isclass(function) else function
        return inspect.signature(own).parameters
    except (TypeError, ValueError):
        return {}


def _named(model: Any) -> dict[int, tuple[Any, Part]]:
    """Return all modules that can be called, by their identity."""
    modules = [(".".join(map(str, path)), module) for path, module in nnx.iter_modules(model)]
    inner = {path.rpartition(".")[0] for path, _ in modules} | {""}
    found = {}
    for path, module in modules:
        if callable(module):
            kind = type(module).__name__
            contains = len(modules) > 1 if not path else path in inner
            found[id(module)] = module, Part(path or kind, kind, contains=contains)
    return found


@contextmanager
def _swapped(
    model: Any, seen: Seen | None, after: Callable[[Part, Any, Any], Any]
) -> Iterator[None]:
    """See the calls of the modules of a model, for a while; `after` returns what they return."""
    parts = _named(model)
    within: list[Any] = []
    # All are read before one is changed, because classes inherit calls of each other.
    originals = {type(module): type(module).__call__ for module, _ in parts.values()}
    own = {kind: kind.__dict__.get("__call__") for kind in originals}

    def swapped(original: Any) -> Any:
        @functools.wraps(original)
        def call(module: Any, *args: Any, **named: Any) -> Any:
            # A class that calls that of its parent makes one call.
            if id(module) not in parts or (within and within[-1] is module):
                return original(module, *args, **named)
            _, part = parts[id(module)]
            within.append(module)
            if seen is not None:
                seen.before(part)
            try:
                output = original(module, *args, **named)
            except BaseException:
                if seen is not None:
                    seen.failed()
                raise
            finally:
                within.pop()
            return after(part, [args, named], output)

        return call

    try:
        for kind, original in originals.items():
            kind.__call__ = swapped(original)
        yield
    finally:
        for kind, before in own.items():
            if before is None:
                del kind.__call__
            else:
                kind.__call__ = before
