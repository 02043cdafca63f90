"""Gradients of a module of Flax NNX."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from snstat.engine.tensor import square_norm
from snstat.results.network import INPUT
from snstat.sources.calls.framework import Arguments, Gradients, Part
from snstat.sources.calls.recorder import plain
from snstat.sources.nnx.calls import swapped_calls

FIRST = (INPUT, 1, "")


def send_back(
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

        with swapped_calls(again, None, after):
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
