"""Records of a traced module: what was called, and what every row of the run is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

from snstat.results.base import Record
from snstat.results.network import INPUT, LayerSummary

# The axis of samples in a shape; "4S" is one that merges them with 4 positions.
SAMPLES = "S"
# Classes of activations, in small letters, but for those whose name ends in "Activation". Softmax
# is none: its outputs sum to 1 whatever comes in.
_ACTIVATIONS = """
relu relu6 leakyrelu prelu rrelu elu selu celu gelu silu swish mish hardswish hardtanh hardsigmoid
sigmoid tanh softplus softsign softshrink hardshrink tanhshrink logsigmoid threshold sine
"""
ACTIVATIONS = frozenset(_ACTIVATIONS.split())
_ACTIVATION = "activation"
# Why a gradient is missing that was sent back.
NOT_FINITE = "not finite"
# The class of modules that have no class of their own.
_ANY = "Sequential"


@dataclass(frozen=True, slots=True)
class Axes(Record):
    """What the axes of a tensor are, by number: samples, positions and units. A number in several
    of them is an axis that merges these. `found` is "probed", "kind" or "given"."""

    sample: tuple[int, ...]
    position: tuple[int, ...]
    unit: tuple[int, ...]
    found: str


@dataclass(frozen=True, slots=True)
class Call(Record):
    """One row: one output of one call of a module, in the order in which calls completed.

    `path` is that of the module, for the whole the name of its class, `call` counts its calls from
    1, and `output` is the path within what it returned ("" for a single tensor). `shape` is that of
    the tensor, "S" for the batch and "4S" for an axis that merges it with 4 positions.
    `axes` is None where they are not known: statistics are then pooled. `trials` had this call.
    `same_as` is the number of the row that has the very same tensor, and `gradient_missing` says
    why a gradient is missing where others have one. A `gate` matters only as a factor of other
    values, or to one.
    """

    path: str
    call: int
    output: str
    kind: str
    shape: tuple[int | str, ...]
    axes: Axes | None
    dtype: str
    trials: int
    same_as: int | None = None
    gradient_missing: str | None = None
    gate: bool = False
    repeated: bool = False

    @property
    def name(self) -> str:
        """The path, with the number of the call where there are several, and the output. That of
        the whole module is the name of its class."""
        called = f"#{self.call}" if self.repeated else ""
        return f"{self.path}{called}{self.output}"

    @property
    def shares(self) -> tuple[int, ...]:
        """The size of each axis for one sample: 1 of that of samples, 4 of "4S"."""
        return tuple(
            n if isinstance(n, int) else int(n.removesuffix(SAMPLES) or 1) for n in self.shape
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape of what belongs to one sample."""
        return tuple(n for n, own in zip(self.shares, self.shape, strict=True) if own != SAMPLES)

    @property
    def is_function(self) -> bool:
        """Whether this is the call of a function by the code of a module: "layer1:add"."""
        return self.path.endswith(f":{self.kind}")

    @property
    def activates(self) -> bool:
        """Whether this is an activation function."""
        kind = self.kind.lower().removesuffix("_" if self.is_function else "")
        return kind in ACTIVATIONS or kind.endswith(_ACTIVATION)

    def to_json(self) -> dict[str, Any]:
        """Return what a file says of the row, beside its name and its statistics."""
        left = {"repeated"} if self.gate else {"repeated", "gate"}
        form = {key: self[key] for key in self.keys() if key not in left}
        return form | {"axes": None if self.axes is None else dict(self.axes)}


def numbered(rows: Iterable[Call]) -> tuple[Call, ...]:
    """Return rows of which those of modules that are called several times are `repeated`."""
    found = tuple(rows)
    several = {row.path for row in found if row.call > 1}
    return tuple(replace(row, repeated=True) if row.path in several else row for row in found)


@dataclass(frozen=True, slots=True)
class NonFinite(Record):
    """The first value that is not finite: the call that made it, in which trial, and whether its
    inputs were finite. `before` is the next module where code between modules made it."""

    trial: int
    path: str
    call: int
    kind: str
    inputs_finite: bool
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Left(Record):
    """Something left out or ended at a module: where, and why."""

    path: str
    reason: str
    call: int = 1
    output: str = ""


@dataclass(frozen=True)
class ModuleSummary(Record):
    """A traced module. `target` is "package.module:name", or the name of the class of an instance,
    `settings` the arguments of the function, `trials_of` "model" (each trial builds one) or
    "inputs" (one module, new inputs). `weights` is the file of its weights and `weights_digest` the
    digest of their values, None if the module was built with its own; `inputs_digest` is that of
    arrays that were given as inputs, None for none. `rows` are what was called, without the input,
    layer 0."""

    # Tells subjects apart without an import of all of them.
    what: ClassVar[Literal["module"]] = "module"
    target: str
    settings: dict[str, Any] = field(hash=False)
    framework: str
    framework_version: str
    parameters: int
    mode: str
    dropout: str
    trials_of: str
    inputs: dict[str, str] = field(hash=False)
    input_shape: tuple[int, ...]
    rows: tuple[Call, ...]
    device: str = "cpu"
    loss: str | None = None
    weights: str | None = None
    weights_digest: str | None = None
    inputs_digest: str | None = None
    theory_ends: tuple[Left, ...] = ()
    nonfinite: NonFinite | None = None
    not_called: tuple[str, ...] = ()
    skipped: tuple[Left, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def depth(self) -> int:
        """The number of rows after the input."""
        return len(self.rows)

    @property
    def called(self) -> str:
        """The shortest name of the module."""
        return self.target

    @property
    def title(self) -> str:
        """The class of the whole module, if it is among the rows and says anything, else the
        target."""
        return self.target if self._whole in ("", _ANY) else self._whole

    @property
    def _whole(self) -> str:
        """The path of the whole module, which is its class, empty if it has no row. Its call is the
        last to end."""
        last = next((row for row in reversed(self.rows) if not row.is_function), None)
        return last.path if last is not None and last.path == last.kind else ""

    @property
    def modules(self) -> int:
        """The number of modules that were called, the whole one included."""
        return len({row.path for row in self.rows if not row.is_function})

    @property
    def calls(self) -> int:
        """The number of calls of modules. One with several outputs has several rows."""
        return len({(row.path, row.call) for row in self.rows if not row.is_function})

    @property
    def functions(self) -> int:
        """The number of calls of functions that have rows."""
        return len({(row.path, row.call) for row in self.rows if row.is_function})

    @property
    def wild_gradients(self) -> tuple[int, ...]:
        """The layers whose gradients came back infinite or NaN."""
        rows = enumerate(self.rows, 1)
        return tuple(n for n, row in rows if row.gradient_missing == NOT_FINITE)

    @cached_property
    def distinct(self) -> tuple[int, ...]:
        """The layers, from 0 on, without the rows that have the tensor of another row."""
        return (0, *(n for n, row in enumerate(self.rows, 1) if row.same_as is None))

    @cached_property
    def main(self) -> tuple[int, ...]:
        """The layers, from 0 on, whose sizes can be compared: activations and outputs of blocks.

        Between them are maps of any gain, norms, weights of attention, and gates. Of the outputs of
        one call the first is meant. A block is a module that contains others, and whose tensor is
        not that of one of them: a sum, as a rule. Where there are neither, all rows are meant whose
        axes are known, and which are no gates.
        """
        found, plain = [0], [0]
        inside: set[str] = set()
        seen: set[tuple[str, int]] = set()
        for number, row in enumerate(self.rows, 1):
            first = (row.path, row.call) not in seen
            seen.add((row.path, row.call))
            if first and row.axes is not None and row.same_as is None and not row.gate:
                plain.append(number)
                if row.activates or row.path in inside:
                    found.append(number)
            names = row.path.split(".")
            inside.update(".".join(names[:end]) for end in range(1, len(names)))
            inside.add(self._whole)
        return tuple(found if len(found) > 1 else plain)

    def row(self, layer: int) -> LayerSummary:
        """Return what a row is. Layer 0 is the input."""
        if layer == 0:
            return LayerSummary(INPUT, INPUT, self.input_shape)
        row = self.rows[layer - 1]
        return LayerSummary(row.name, row.kind, row.sizes)
