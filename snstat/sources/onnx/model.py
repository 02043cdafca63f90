"""A file of ONNX as a framework."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import onnx
import onnxruntime

from snstat.errors import InvalidValueError, SnstatError, printable
from snstat.sources.calls.framework import Arguments, Array, Gradients, Part, Seen
from snstat.sources.calls.inputs import FORM
from snstat.sources.onnx.opening import MOST_OF_A_FAILURE, living, opened, told

# Operators whose results may be masks, of which −∞ is no accident.
MASKING = frozenset(
    {"Add", "Cast", "Concat", "Expand", "Mul", "Reshape", "Slice", "Tile", "Trilu", "Where"}
)
NO_GRADIENTS = "no gradients: an ONNX file has no backward pass"


class OnnxFile:
    """A file as a Framework."""

    name, builds, mode = "onnx", False, "eval"
    version = f"{onnx.__version__} (onnxruntime {onnxruntime.__version__})"

    def __init__(self, path: str, settings: Mapping[str, Any], *, backward: bool) -> None:
        if settings:
            raise InvalidValueError("set", [*settings], "left out beside a file")
        self.target, self.settings = path, settings
        self.notes = [NO_GRADIENTS] if backward else []
        self._graph, self._session, self._kept = opened(path)
        weights = {entry.name for entry in self._graph.initializer}
        self._inputs = [entry for entry in self._session.get_inputs() if entry.name not in weights]
        self._nodes = living(self._graph, [entry.name for entry in self._inputs])

    @contextmanager
    def model(self, seed: int) -> Iterator[Any]:  # noqa: ARG002  # a file has the weights that it has
        """See Framework."""
        yield self._session

    def still(self, model: Any) -> AbstractContextManager[None]:  # noqa: ARG002
        """See Framework. A file has no other mode."""
        return nullcontext()

    def parts(self, model: Any) -> tuple[Sequence[Part], Mapping[str, str]]:  # noqa: ARG002
        """See Framework."""
        return [part for part, _ in self._nodes], {}

    def parameters(self, model: Any) -> int:  # noqa: ARG002
        """Return the number of floats among the initialisers."""
        floats = [entry for entry in self._graph.initializer if entry.data_type in (1, 10, 11, 16)]
        return sum(math.prod(entry.dims) for entry in floats)

    def device(self, model: Any) -> str:  # noqa: ARG002
        """See Framework."""
        return "cpu"

    def arguments(self, model: Any) -> Sequence[str]:  # noqa: ARG002
        """See Framework."""
        return [entry.name for entry in self._inputs]

    def examples(self, model: Any) -> Any:  # noqa: ARG002
        """Return inputs of the shapes that the file declares, if its first axes alone are open."""
        found = []
        for entry in self._inputs:
            sizes = [size if isinstance(size, int) else None for size in entry.shape]
            if not sizes or None in sizes[1:] or "float" not in entry.type:
                name = printable(entry.name, MOST_OF_A_FAILURE)
                raise SnstatError(
                    f"{self.target} declares {name} as {entry.type} of shape {entry.shape}, so say "
                    f"what it is called with: --input {name}=SPEC, where SPEC is {FORM}"
                )
            found.append("x".join(["B", *map(str, sizes[1:])]))
        return found

    def dtype(self, name: str | int, *, floating: bool) -> str | None:
        """See Framework."""
        places = {entry.name: entry for entry in self._inputs} | dict(enumerate(self._inputs))
        if name not in places:
            known = ", ".join(entry.name for entry in self._inputs)
            raise InvalidValueError("input", name, f"an input of the file, which has {known}")
        declared: str = places[name].type.removeprefix("tensor(").removesuffix(")")
        found = {"float": "float32", "double": "float64"}.get(declared, declared)
        is_float = found.startswith("float")
        if floating != is_float:
            words = "normal or other floats" if is_float else "tokens:N:SHAPE"
            given = "floats" if floating else "tokens"
            raise InvalidValueError(f"input {name}", given, f"{words}: it is declared as {found}")
        return found

    def array(self, value: Any) -> Array | str | None:
        """See Framework."""
        if isinstance(value, Mask):
            return "−∞, as a mask has"
        return value if isinstance(value, np.ndarray) else None

    def run(
        self,
        model: Any,
        arguments: Arguments,
        seen: Seen,
        gradients: Gradients,  # noqa: ARG002
    ) -> None:
        """See Framework."""
        names = [entry.name for entry in self._inputs]
        values = dict(zip(names, arguments.positional, strict=False)) | arguments.by_name
        wanted = [name for _, node in self._nodes for name in node.output if name]
        try:
            found = model.run(wanted, values)
        except Exception as error:  # noqa: BLE001  # as in opening.py
            raise SnstatError(f"{self.target} cannot be run: {told(error)}") from None
        values |= dict(zip(wanted, found, strict=True))
        for part, node in self._nodes:
            own = [values[name] for name in node.output if name]
            if part.kind in MASKING:
                own = [Mask() if _masks(value) else value for value in own]
            seen.before(part)
            entered = [values[name] for name in node.input if name in values]
            seen.after(part, entered, own[0] if len(own) == 1 else own)


class Mask:
    """A result that is left out."""


def _masks(value: Any) -> bool:
    """Return whether −∞ is the only value of an array that is not finite, and there is one."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return False
    odd = value[~np.isfinite(value)]
    return odd.size > 0 and bool((odd == -np.inf).all())
