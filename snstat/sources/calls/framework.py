"""What the tracer needs to know of a framework other than PyTorch, and of its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from snstat.sources.calls.row import Row

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Part:
    """Something that can be called: its path, its kind, the axis of units that its kind decides (1
    or -1), the name of the activation function that ends it, and whether it contains others."""

    path: str
    kind: str
    unit: int | None = None
    activation: str = ""
    contains: bool = False


class Arguments(NamedTuple):
    """What a model is called with. `first` is the first floating one."""

    positional: list[Any]
    by_name: dict[str, Any]

    @property
    def first(self) -> Array | None:
        """The first floating input, or None."""
        values = (*self.positional, *self.by_name.values())
        return next((value for value in values if value.dtype.kind == "f"), None)


class Seen(Protocol):
    """Sees calls, from the outermost to the innermost."""

    def before(self, part: Part) -> None:
        """See a call begin."""

    def after(self, part: Part, arguments: Any, output: Any) -> list[tuple[Row, Any]]:
        """See what a call returned, and return the rows that are its own, with their arrays."""
        ...

    def failed(self) -> None:
        """See a call end without a result."""


@dataclass
class Gradients:
    """Where a framework leaves gradients: the squared norm of that of each row, by its key, and
    of those of the outputs together. `read_out` draws what is sent back, None without backward."""

    read_out: np.random.Generator | None
    squares: dict[Any, float] = field(default_factory=dict)
    reference: float = 0.0


class Framework(Protocol):
    """A framework with a model, or with the function that builds one in every trial.

    `target` is what to call it, `settings` are the arguments of the function, `mode` and `dropout`
    how it runs. `notes` are what there is to say, such as why there are no gradients.
    """

    name: str
    version: str
    target: str
    settings: Mapping[str, Any]
    builds: bool
    mode: str
    notes: list[str]

    def model(self, seed: int) -> AbstractContextManager[Any]:
        """Return the model of a trial, ready to run; one that is not our own is put back."""
        ...

    def still(self, model: Any) -> AbstractContextManager[None]:
        """Let a model run without chance, as in eval mode, for a while."""
        ...

    def parts(self, model: Any) -> tuple[Sequence[Part], Mapping[str, str]]:
        """Return all that can be called, and further paths of what has several."""
        ...

    def parameters(self, model: Any) -> int:
        """Return the number of parameters."""
        ...

    def device(self, model: Any) -> str:
        """Return the kind of device that the model runs on."""
        ...

    def arguments(self, model: Any) -> Sequence[str]:
        """Return the names of the arguments."""
        ...

    def examples(self, model: Any) -> Any:
        """Return the inputs that the model offers itself."""
        ...

    def dtype(self, name: str | int, *, floating: bool) -> str | None:
        """Return the type of the numbers of an input, None for what they have."""
        ...

    def array(self, value: Any) -> Array | str | None:
        """Return an array of the framework as numpy's, or why it cannot be read; None for anything
        else."""
        ...

    def run(self, model: Any, arguments: Arguments, seen: Seen, gradients: Gradients) -> None:
        """Call the model once."""
        ...
