"""The rows of a trace: what each call returned, measured while the module runs."""

from __future__ import annotations

import weakref
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from snstat.engine.tensor import NOT_TOLD, Still
from snstat.results.module import Axes, Left
from snstat.results.network import INPUT
from snstat.sources.calls.axes import Key, Reader
from snstat.sources.calls.measure import Values
from snstat.sources.calls.row import CHANGED, Row, Rows
from snstat.sources.torch.called import Called, Function
from snstat.sources.torch.leaves import Leaf, dtype_name, is_mask, leaves_of, version_of
from snstat.sources.torch.measure import measure_tensor, square_of
from snstat.sources.torch.modules import kind_of
from snstat.sources.torch.still import still_of

if TYPE_CHECKING:
    import torch
    from torch.utils.hooks import RemovableHandle

# Why a function has no row, and the row of a module no values: a mask is no failure, but has no
# moments either.
MASK = "holds −∞, as masks do"


def measure_gradient(row: Row, tensor: torch.Tensor, trial: int) -> RemovableHandle:
    """Measure the gradient of a tensor once it comes."""

    def take(gradient: torch.Tensor) -> None:
        row.squares[trial] = row.origin.squares[trial] = square_of(gradient)

    # A view of what was written to since then gets its function only where it is asked for. Torch
    # crashes on a hook before that.
    _ = tensor.grad_fn
    return tensor.register_hook(take)


def input_row(tensor: torch.Tensor | None) -> Row:
    """Return the row of the first floating input, or of none."""
    if tensor is None:
        return Row(INPUT, 1, "", INPUT, (), "", None)
    return Row(INPUT, 1, "", INPUT, tuple(tensor.shape), dtype_name(tensor), None)


@dataclass(frozen=True)
class Known:
    """A tensor that was measured, as long as it lives, and the version of its values."""

    tensor: weakref.ref[torch.Tensor]
    version: int
    row: Row


class Recorder:
    """Collects the rows of all trials. `backward`: gradients too. Axes are not known without a
    `reader`, which comes once inputs are seen."""

    def __init__(self, *, backward: bool) -> None:
        self._backward = backward
        self.reader: Reader | None = None
        self.trial = 0
        self.skipped: dict[Key, Left] = {}
        self._rows = Rows()
        self._known: dict[int, Known] = {}
        # Views whose gradient may be lost, with a twin that shares the version of their values.
        self._views: list[tuple[Row, torch.Tensor, int]] = []
        self._leaf_hooks = ExitStack()
        # Rows that ran without gradients, within a checkpoint perhaps.
        self._pending: list[Row] = []
        # Rows of modules that may be masks, which only what comes after them tells.
        self._masks: list[Row] = []

    @property
    def order(self) -> list[Row]:
        """The rows in the order in which calls ended."""
        return self._rows.order

    def begin(self, trial: int) -> None:
        """Begin a trial."""
        self.trial = trial
        self._rows.begin()
        self._known.clear()
        self._views.clear()
        self._pending.clear()
        self._masks.clear()

    def end(self) -> None:
        """End a trial: say why gradients are missing, and forget its tensors."""
        for row, twin, version in self._views:
            if self.trial not in row.squares and version_of(twin) != version:
                row.missing = row.origin.missing = CHANGED
        self._leave_out_masks()
        self._leaf_hooks.close()
        self._known.clear()
        self._views.clear()
        self._pending.clear()

    def seen(self, path: str, call: int, module: Called, output: Any) -> None:
        """Take up what a call returned (see hooks.Seen)."""
        for leaf in leaves_of(output):
            if call == 0:
                if isinstance(leaf, Leaf):
                    self._again(path, leaf)
            elif isinstance(module, Function):
                if isinstance(leaf, Leaf):
                    self._measure_function(path, call, module, leaf)
            elif isinstance(leaf, Leaf):
                self._measure(path, call, module, leaf)
            else:
                self._skip(path, call, leaf.place, leaf.reason)

    def finite(self, tensor: torch.Tensor) -> bool:
        """Return whether a tensor was measured, as it is now, and all its values are finite."""
        row = self._measured(tensor)
        return row is not None and row.values[self.trial][0]

    def finished(self) -> list[Row]:
        """Return the rows in order: what a function returned comes after the row of the module that
        returned it too."""
        after: dict[Row, list[Row]] = {}
        for row in self.order:
            if row.function and row.same_as is not None:
                after.setdefault(row.same_as, []).append(row)
        repeated = {row for rows in after.values() for row in rows}
        return [
            entry
            for row in self.order
            if row not in repeated
            for entry in (row, *after.get(row, ()))
        ]

    def _skip(self, path: str, call: int, output: str, reason: str) -> None:
        self.skipped.setdefault((path, call, output), Left(path, reason, call, output))

    def is_left_out(self, path: str, call: int) -> bool:
        """Return whether an output of a call is left out as a mask."""
        return any(
            (left.path, left.call, left.reason) == (path, call, MASK)
            for left in self.skipped.values()
        )

    def _leave_out_masks(self) -> None:
        """Leave −∞ of modules out, unless another row is not finite, or the last one of all is such
        a row: what masks scores of attention is followed by values that are finite."""
        if not self._masks:
            return
        rows = [row for row in self.order if self.trial in row.values]
        own = {row for row in rows if row.origin in self._masks}
        if rows[-1] in own or not all(row.values[self.trial][0] for row in rows if row not in own):
            return
        for row in own:
            row.values[self.trial] = True, np.full_like(row.values[self.trial][1], np.nan)
            self._skip(row.path, row.call, row.output, MASK)

    def _measure_function(self, path: str, call: int, function: Function, leaf: Leaf) -> None:
        if is_mask(leaf.tensor):
            self._skip(path, call, leaf.place, MASK)
        else:
            self._measure(path, call, function, leaf)

    def _measure(self, path: str, call: int, module: Called, leaf: Leaf) -> None:
        tensor = leaf.tensor
        same, returned = self._measured(tensor), None
        if same is not None and same.function and not isinstance(module, Function):
            returned, same = same, None  # a module has the row that it has without functions
        row = self._row(path, call, module, leaf, same)
        if same is not None:
            row.values[self.trial] = same.values[self.trial]
            if row.same_as is not same:
                row.part()
                self._hook(row, tensor)
            return
        row.part()
        still = still_of(module)
        if returned is not None and _measured_as(returned) == (row.axes, still):
            row.values[self.trial] = returned.values[self.trial]
        else:
            row.values[self.trial] = self._statistics(row, tensor, still)
        if not row.values[self.trial][0] and is_mask(tensor):
            self._masks.append(row)
        reference = weakref.ref(tensor)
        self._known[id(tensor)] = Known(reference, version_of(tensor), row)
        if returned is None:
            self._hook(row, tensor)
        else:
            returned.same_as = row

    def _measured(self, tensor: torch.Tensor) -> Row | None:
        """Return the row of a tensor that was measured, if its values are still the same."""
        known, uncounted = self._known.get(id(tensor)), tensor.is_inference()
        if known is None or known.version != version_of(tensor) or known.tensor() is not tensor:
            return None
        if uncounted and not self._has(known.row, self._told(known.row, tensor)):
            return None  # changed in place, though its version is the same
        return known.row

    def _told(self, row: Row, tensor: torch.Tensor) -> Values:
        """Return what tells tensors apart: mean, variance and second moment, as of a row."""
        return self._statistics(row, tensor, NOT_TOLD)[1][:3]

    def _has(self, row: Row, told: Values) -> bool:
        """Return whether a row has these."""
        return np.array_equal(row.values[self.trial][1][:3], told, equal_nan=True)

    def _statistics(self, row: Row, tensor: torch.Tensor, still: Still) -> tuple[bool, Values]:
        batch = 0 if self.reader is None else self.reader.batch
        return measure_tensor(tensor, row.axes, batch, still)

    def _row(self, path: str, call: int, module: Called, leaf: Leaf, same: Row | None) -> Row:
        """Return the row of a tensor, a new one after that of the tensor before it."""
        key = path, call, leaf.place
        shape = tuple(leaf.tensor.shape)

        def new() -> Row:
            axes = None
            if self.reader is not None:
                axes = self.reader.axes(key, module, shape, packed=leaf.packed)
            row = Row(*key, kind_of(module), shape, dtype_name(leaf.tensor), axes, same)
            row.function = isinstance(module, Function)
            return row

        return self._rows.at(key, shape, new)

    def _hook(self, row: Row, tensor: torch.Tensor) -> None:
        """Measure the gradient of a tensor once it comes."""
        if not self._backward:
            return
        if not tensor.requires_grad:
            self._pending.append(row)
            return
        handle = measure_gradient(row, tensor, self.trial)
        if tensor.is_leaf:
            self._leaf_hooks.enter_context(handle)
        if tensor._is_view():  # noqa: SLF001
            self._views.append((row, tensor.detach(), version_of(tensor)))

    def _again(self, path: str, leaf: Leaf) -> None:
        """Take the gradient of a call that a checkpoint repeats on the way back: of the latest call
        that ran without gradients and gave the same values."""
        if not leaf.tensor.requires_grad:
            return
        found = [row for row in self._pending if (row.path, row.output) == (path, leaf.place)]
        if len(found) > 1:
            told = self._told(found[-1], leaf.tensor)
            found = [row for row in found if self._has(row, told)]
        if found:
            row = found[-1]
            self._pending = [other for other in self._pending if other is not row]
            self._hook(row, leaf.tensor)


def _measured_as(row: Row) -> tuple[Axes | None, Still]:
    """Return what the statistics of a function depend on, beside its tensor."""
    return row.axes, still_of(Function(row.kind))
