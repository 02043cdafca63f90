"""What a traced module is called with: `--input [NAME=]SPEC`, arrays, or its own examples."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from snstat.errors import InvalidValueError, SnstatError
from snstat.sources.torch.leaves import dtype_name

BATCH = "B"
KINDS = ("normal", "uniform", "zeros", "ones", "tokens")
FORM = (
    "sizes joined by x with B for the batch, such as Bx3x224x224, after a kind if it is not "
    "normal: ones:, zeros:, uniform: or tokens:50257:Bx128"
)


@dataclass(frozen=True)
class Spec:
    """An input that is drawn: its `kind`, `sizes` with "B" for the batch, and the number of
    `tokens`. `text` is what was typed."""

    text: str
    kind: str
    sizes: tuple[int | str, ...]
    tokens: int = 0

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Read a SPEC. Raises InvalidValueError for anything else."""
        *words, shape = text.split(":")
        kind = words.pop(0) if words else "normal"
        tokens = words.pop(0) if words and kind == "tokens" else "0"
        found = re.fullmatch(r"(\d{1,12}|B)(x(\d{1,12}|B))*", shape)
        numbers = found is not None and re.fullmatch(r"\d{1,12}", tokens) is not None
        if not numbers or words or kind not in KINDS or (kind == "tokens" and int(tokens) < 1):
            raise InvalidValueError("input", text, FORM)
        sizes = tuple(BATCH if size == BATCH else int(size) for size in shape.split("x"))
        if sizes.count(BATCH) > 1:
            raise InvalidValueError("input", text, "a shape with one B")
        if 0 in sizes:
            raise InvalidValueError("input", text, "a shape without 0")
        return cls(text, kind, sizes, int(tokens))

    @property
    def floating(self) -> bool:
        """Whether values are floats."""
        return self.kind != "tokens"

    def draw(self, batch: int, generator: torch.Generator) -> torch.Tensor:
        """Return an input for a batch, on the CPU."""
        shape = tuple(size if isinstance(size, int) else batch for size in self.sizes)
        if self.kind == "tokens":
            return torch.randint(self.tokens, shape, generator=generator)
        if self.kind == "normal":
            return torch.randn(shape, generator=generator, dtype=torch.float32)
        if self.kind == "uniform":  # of variance 1, as uniform inputs of other networks
            draw = torch.rand(shape, generator=generator, dtype=torch.float32)
            return draw.mul(2.0).sub(1.0).mul(math.sqrt(3.0))
        return torch.full(shape, float(self.kind == "ones"), dtype=torch.float32)

    def batch_axis(self) -> int | None:
        """Return the axis of samples."""
        return self.sizes.index(BATCH) if BATCH in self.sizes else None


@dataclass(frozen=True, eq=False)
class Given:
    """An input with given values, of which the first axis holds samples."""

    text: str
    values: torch.Tensor

    @property
    def floating(self) -> bool:
        """Whether values are floats."""
        return self.values.is_floating_point()

    def draw(self, batch: int, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG002
        """Return the first samples; those of a smaller set again and again."""
        count = self.values.shape[0]
        return self.values[torch.arange(batch) % count].clone()

    def batch_axis(self) -> int | None:
        """Return the axis of samples."""
        return 0


Source = Spec | Given
GivenInputs = Mapping[str, Any] | Sequence[Any] | str | None


@dataclass(frozen=True)
class Inputs:
    """All inputs of a module: by position, and by name."""

    by_position: tuple[Source, ...]
    by_name: dict[str, Source]

    @property
    def sources(self) -> tuple[Source, ...]:
        """All of them in order."""
        return (*self.by_position, *self.by_name.values())

    def described(self, model: torch.nn.Module) -> dict[str, str]:
        """Return what the module is called with, by the names of arguments."""
        names = _arguments(model)
        own = [names[i] if i < len(names) else str(i) for i in range(len(self.by_position))]
        texts = {name: source.text for name, source in zip(own, self.by_position, strict=True)}
        return texts | {name: source.text for name, source in self.by_name.items()}

    def draw(
        self, batch: int, generator: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
        """Return positional and named arguments for one call."""

        def one(source: Source) -> torch.Tensor:
            try:
                drawn = source.draw(batch, generator)
                return drawn.to(device, dtype if source.floating else None)
            except RuntimeError:  # torch has no kind of its own for too many values
                bound = f"a shape that fits in memory with a batch of {batch}"
                raise InvalidValueError("input", source.text, bound) from None

        positional = [one(source) for source in self.by_position]
        return positional, {name: one(source) for name, source in self.by_name.items()}


def read_inputs(given: GivenInputs, model: torch.nn.Module) -> Inputs:
    """Return the inputs of a module: texts or arrays, in order or by name; None for its own
    `example_inputs()`.

    A text "NAME=SPEC" names its argument. Raises SnstatError for what is no input.
    """
    if given is None:
        given = _examples(model)
    if isinstance(given, Mapping):
        return _checked(Inputs((), {name: _source(value) for name, value in given.items()}))
    entries = list(given) if isinstance(given, tuple | list) else [given]
    by_position, by_name = [], {}
    for entry in entries:
        name, equal, text = entry.partition("=") if isinstance(entry, str) else ("", "", entry)
        if equal and not name.isidentifier():
            raise InvalidValueError("input", entry, f"NAME=SPEC or SPEC: {FORM}")
        if equal:
            by_name[name] = _source(text)
        else:
            by_position.append(_source(entry))
    return _checked(Inputs(tuple(by_position), by_name))


def _checked(inputs: Inputs) -> Inputs:
    if all(source.batch_axis() is None for source in inputs.sources):
        texts = ", ".join(source.text for source in inputs.sources)
        raise InvalidValueError("input", texts, f"a shape that has a B: {FORM}")
    return inputs


def _source(value: Any) -> Source:
    if isinstance(value, str):
        return Spec.parse(value)
    values = torch.from_numpy(value) if isinstance(value, np.ndarray) else value
    if not isinstance(values, torch.Tensor) or values.ndim == 0 or values.shape[0] == 0:
        raise InvalidValueError("inputs", value, "texts or arrays of samples")
    sizes = "x".join(str(size) for size in ("B", *values.shape[1:]))
    return Given(f"{dtype_name(values)}:{sizes}", values.detach())


def _examples(model: torch.nn.Module) -> Any:
    """Return the inputs that a model offers itself."""
    own = getattr(model, "example_inputs", None)
    if not callable(own):
        names = _arguments(model)
        wanted = " ".join(f"--input {name}=SPEC" for name in names) or "--input SPEC"
        raise SnstatError(
            f"{type(model).__name__} has no example_inputs(), so say what it is called with: "
            f"{wanted}, where SPEC is {FORM}"
        )
    found = own()
    return found if isinstance(found, Mapping | tuple | list) else [found]


def _arguments(model: torch.nn.Module) -> list[str]:
    """Return the names of the arguments that the forward function needs."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY
    return [entry.name for entry in parameters if entry.kind in kinds]
