"""Records of a traced module: what was called, and what every row of the run is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from snstat.results.base import Record
from snstat.results.network import INPUT, LayerSummary


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

    `path` is that of the module, `call` counts its calls from 1, and `output` is the path within
    what it returned ("" for a single tensor). `shape` is that of the tensor, "S" for the batch.
    `axes` is None where they are not known: statistics are then pooled. `trials` had this call.
    `same_as` is the number of the row that has the very same tensor, and `gradient_missing` says
    why a gradient is missing where others have one.
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
    repeated: bool = False

    @property
    def name(self) -> str:
        """The path, with the number of the call where there are several, and the output."""
        called = f"#{self.call}" if self.repeated else ""
        return f"{self.path}{called}{self.output}"


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


@dataclass(frozen=True, slots=True)
class ModuleSummary(Record):
    """A traced module. `target` is "package.module:name", or the name of the class of an instance,
    `settings` the arguments of the function, `trials_of` "model" (each trial builds one) or
    "inputs" (one module, new inputs). `rows` are what was called, without the input, layer 0."""

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

    def row(self, layer: int) -> LayerSummary:
        """Return what a row is. Layer 0 is the input."""
        if layer == 0:
            return LayerSummary(INPUT, INPUT, self.input_shape)
        row = self.rows[layer - 1]
        sizes = tuple(n for n in row.shape if isinstance(n, int))
        return LayerSummary(row.name, row.kind, sizes)
