"""The inputs of a traced module as tensors: drawn, given, or the module's own examples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from snstat.errors import InvalidValueError
from snstat.sources.calls.content import content_of
from snstat.sources.calls.inputs import (
    Given,
    GivenInputs,
    Inputs,
    Source,
    arguments_of,
    examples_of,
    given_text,
    needed_by,
    read_inputs,
)
from snstat.sources.calls.samples import Rows
from snstat.sources.torch.leaves import dtype_name


def inputs_of(given: GivenInputs, model: torch.nn.Module) -> Inputs:
    """Return the inputs of a module, None for its own `example_inputs()` (see read_inputs)."""
    if given is None:
        given = examples_of(model, needed_by(model.forward))
    return read_inputs(given, _given)


def arguments(model: torch.nn.Module) -> list[str]:
    """Return the names of the arguments that the forward function needs."""
    return arguments_of(model.forward)


def draw(
    inputs: Inputs,
    rows: Rows,
    generator: torch.Generator,
    dtype: torch.dtype,
    device: torch.device,
) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
    """Return positional and named arguments for one call, with the samples `rows` of given arrays,
    and as many drawn ones."""

    def one(source: Source) -> torch.Tensor:
        try:
            return _drawn(source, rows, generator).to(device, dtype if source.floating else None)
        except RuntimeError:  # torch has no kind of its own for too many values
            bound = f"a shape that fits in memory with a batch of {len(rows)}"
            raise InvalidValueError("input", source.text, bound) from None

    return inputs.draw(one)


def content(inputs: Inputs, names: Sequence[str]) -> str | None:
    """Return the digest of the given arrays, None for none (see content_of)."""

    def as_numpy(values: Any) -> Any:
        if not isinstance(values, torch.Tensor):
            return values
        dtype = torch.complex128 if values.is_complex() else torch.float64
        return values.to("cpu", dtype).numpy()

    return content_of(inputs.named(names), as_numpy)


def _drawn(source: Source, rows: Rows, generator: torch.Generator) -> torch.Tensor:
    """Return one input, on the CPU."""
    if isinstance(source, Given):
        values = source.take(rows if isinstance(source.values, np.ndarray) else _tensor(rows))
        return values if isinstance(values, torch.Tensor) else _tensor(values)
    shape = source.shape(len(rows))
    if source.kind == "tokens":
        return torch.randint(source.tokens, shape, generator=generator)
    if source.kind == "normal":
        return torch.randn(shape, generator=generator, dtype=torch.float32)
    if source.kind == "uniform":  # of variance 1, as uniform inputs of other networks
        uniform = torch.rand(shape, generator=generator, dtype=torch.float32)
        return uniform.mul(2.0).sub(1.0).mul(math.sqrt(3.0))
    return torch.full(shape, float(source.kind == "ones"), dtype=torch.float32)


def _given(value: Any) -> Given | None:
    """Return an array as an input. One of numpy stays one, of which each trial reads its samples
    only, because a file may be larger than memory."""
    values = value.detach() if isinstance(value, torch.Tensor) else value
    if not isinstance(values, torch.Tensor | np.ndarray):
        return None
    # A copy, because torch takes no array that is read-only or runs backwards.
    some = _tensor(values[:1].copy()) if isinstance(values, np.ndarray) and values.ndim else values
    if not isinstance(some, torch.Tensor):
        return Given("", values, floating=False)  # a number, which is refused
    text = given_text(dtype_name(some), values.shape) if values.ndim else ""
    return Given(text, values, some.is_floating_point())


def _tensor(values: np.ndarray[Any, Any]) -> torch.Tensor:
    return torch.from_numpy(values)
