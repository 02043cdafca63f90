"""Inputs as numpy arrays, for frameworks other than PyTorch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from snstat.errors import InvalidValueError
from snstat.sources.calls.framework import Arguments, Array, Framework
from snstat.sources.calls.inputs import (
    Given,
    GivenInputs,
    Inputs,
    Source,
    given_text,
    read_inputs,
)
from snstat.sources.calls.samples import Rows


def inputs_of(given: GivenInputs, framework: Framework, model: Any) -> Inputs:
    """Return the inputs of a model, None for those that it offers itself (see read_inputs)."""

    def array(value: Any) -> Given | None:
        found = value if isinstance(value, np.ndarray) else framework.array(value)
        if not isinstance(found, np.ndarray):
            return None
        text = given_text(str(found.dtype), found.shape) if found.ndim else ""
        return Given(text, found, found.dtype.kind == "f")

    return read_inputs(framework.examples(model) if given is None else given, array)


def draw(inputs: Inputs, rows: Rows, seed: int, framework: Framework) -> Arguments:
    """Return the arguments of one call, with the samples `rows` of given arrays, and as many drawn
    ones."""
    generator = np.random.default_rng(seed)
    names = {id(source): number for number, source in enumerate(inputs.by_position)}
    own = names | {id(source): name for name, source in inputs.by_name.items()}

    def one(source: Source) -> Array:
        dtype = framework.dtype(own[id(source)], floating=source.floating)
        try:
            drawn = _drawn(source, rows, generator)
        except (MemoryError, ValueError):  # numpy has two kinds of too many values
            bound = f"a shape that fits in memory with a batch of {len(rows)}"
            raise InvalidValueError("input", source.text, bound) from None
        return drawn.astype(dtype or drawn.dtype, copy=False)

    return Arguments(*inputs.draw(one))


def _drawn(source: Source, rows: Rows, generator: np.random.Generator) -> Array:
    if isinstance(source, Given):
        values: Array = source.take(rows)
        return values
    shape = source.shape(len(rows))
    if source.kind == "tokens":
        return generator.integers(source.tokens, size=shape)
    if source.kind == "normal":
        return generator.standard_normal(shape, np.float32)
    if source.kind == "uniform":  # of variance 1, as uniform inputs of other networks
        return (generator.random(shape, np.float32) * 2.0 - 1.0) * np.float32(math.sqrt(3.0))
    return np.full(shape, source.kind == "ones", np.float32)
