"""The inputs of a traced module as tensors: drawn, given, or the module's own examples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from snstat.errors import InvalidValueError
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
    batch: int,
    generator: torch.Generator,
    dtype: torch.dtype,
    device: torch.device,
) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
    """Return positional and named arguments for one call."""

    def one(source: Source) -> torch.Tensor:
        try:
            return _drawn(source, batch, generator).to(device, dtype if source.floating else None)
        except RuntimeError:  # torch has no kind of its own for too many values
            bound = f"a shape that fits in memory with a batch of {batch}"
            raise InvalidValueError("input", source.text, bound) from None

    return inputs.draw(one)


def _drawn(source: Source, batch: int, generator: torch.Generator) -> torch.Tensor:
    """Return one input, on the CPU."""
    if isinstance(source, Given):
        values: torch.Tensor = source.take(torch.arange(batch))
        return values
    shape = source.shape(batch)
    if source.kind == "tokens":
        return torch.randint(source.tokens, shape, generator=generator)
    if source.kind == "normal":
        return torch.randn(shape, generator=generator, dtype=torch.float32)
    if source.kind == "uniform":  # of variance 1, as uniform inputs of other networks
        uniform = torch.rand(shape, generator=generator, dtype=torch.float32)
        return uniform.mul(2.0).sub(1.0).mul(math.sqrt(3.0))
    return torch.full(shape, float(source.kind == "ones"), dtype=torch.float32)


def _given(value: Any) -> Given | None:
    values = torch.from_numpy(value) if isinstance(value, np.ndarray) else value
    if not isinstance(values, torch.Tensor):
        return None
    text = given_text(dtype_name(values), values.shape) if values.ndim else ""
    return Given(text, values.detach(), values.is_floating_point())
