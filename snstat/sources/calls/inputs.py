"""What a traced module is called with: `--input [NAME=]SPEC`, arrays, or its own examples."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snstat.errors import InvalidValueError, SnstatError

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

    def shape(self, batch: int) -> tuple[int, ...]:
        """Return the shape for a batch."""
        return tuple(size if isinstance(size, int) else batch for size in self.sizes)

    def batch_axis(self) -> int | None:
        """Return the axis of samples."""
        return self.sizes.index(BATCH) if BATCH in self.sizes else None


@dataclass(frozen=True, eq=False)
class Given:
    """An input with given values, of which the first axis holds samples."""

    text: str
    values: Any
    floating: bool

    @property
    def samples(self) -> int:
        """The number of samples."""
        return int(self.values.shape[0])

    def take(self, rows: Any) -> Any:
        """Return a copy of the samples `rows`; beyond the last, from the first on again, as where
        axes are probed with more samples than there are."""
        return self.values[rows % self.samples]

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

    def named(self, names: Sequence[str]) -> dict[str, Source]:
        """Return all of them by the `names` of the arguments."""
        own = [names[i] if i < len(names) else str(i) for i in range(len(self.by_position))]
        return dict(zip(own, self.by_position, strict=True)) | self.by_name

    def described(self, names: Sequence[str]) -> dict[str, str]:
        """Return what the module is called with, by the `names` of its arguments."""
        return {name: source.text for name, source in self.named(names).items()}

    def draw(self, one: Callable[[Source], Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return positional and named arguments for one call, each drawn by `one`."""
        positional = [one(source) for source in self.by_position]
        return positional, {name: one(source) for name, source in self.by_name.items()}


def read_inputs(given: GivenInputs, given_array: Callable[[Any], Given | None]) -> Inputs:
    """Return the inputs of a module: texts or arrays, in order or by name.

    A text "NAME=SPEC" names its argument. `given_array` returns an array as an input, None for what
    is none. Raises SnstatError for what is no input.
    """

    def source(value: Any) -> Source:
        if isinstance(value, str):
            return Spec.parse(value)
        found = given_array(value)
        if found is None or found.values.ndim == 0 or found.values.shape[0] == 0:
            raise InvalidValueError("inputs", value, "texts or arrays of samples")
        if 0 in found.values.shape:
            raise InvalidValueError("inputs", found.text, "arrays of a shape without 0")
        return found

    if isinstance(given, Mapping):
        return _checked(Inputs((), {name: source(value) for name, value in given.items()}))
    entries = list(given) if isinstance(given, tuple | list) else [given]
    by_position, by_name = [], {}
    for entry in entries:
        name, equal, text = entry.partition("=") if isinstance(entry, str) else ("", "", entry)
        if equal and not name.isidentifier():
            raise InvalidValueError("input", entry, f"NAME=SPEC or SPEC: {FORM}")
        if equal:
            by_name[name] = source(text)
        else:
            by_position.append(source(entry))
    return _checked(Inputs(tuple(by_position), by_name))


def _checked(inputs: Inputs) -> Inputs:
    if all(source.batch_axis() is None for source in inputs.sources):
        texts = ", ".join(source.text for source in inputs.sources)
        raise InvalidValueError("input", texts, f"a shape that has a B: {FORM}")
    return inputs


def given_text(dtype: str, shape: Sequence[int]) -> str:
    """Return what a record says of given values."""
    return f"{dtype}:" + "x".join(str(size) for size in ("B", *shape[1:]))


def examples_of(model: Any, arguments: Sequence[str]) -> Any:
    """Return the inputs that a model offers itself by `example_inputs()`."""
    own = getattr(model, "example_inputs", None)
    if not callable(own):
        wanted = " ".join(f"--input {name}=SPEC" for name in arguments) or "--input SPEC"
        raise SnstatError(
            f"{type(model).__name__} has no example_inputs(), so say what it is called with: "
            f"{wanted}, where SPEC is {FORM}"
        )
    found = own()
    return found if isinstance(found, Mapping | tuple | list) else [found]


def needed_by(function: Any) -> list[str]:
    """Return the arguments that a function needs: those without a default, or the first one."""
    names = arguments_of(function)
    parameters = inspect.signature(function).parameters if names else {}
    needed = [name for name in names if parameters[name].default is inspect.Parameter.empty]
    return needed or names[:1]


def arguments_of(function: Any) -> list[str]:
    """Return the names of the arguments that a function takes by position."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY
    return [entry.name for entry in parameters if entry.kind in kinds]
