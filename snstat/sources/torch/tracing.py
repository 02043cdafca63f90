"""A trace of what a module does anyway, such as one step of a training loop.

Nothing is run, drawn, copied or put back: hooks measure what passes, and are taken away at the end.
Gradients are those that the user's own `backward` sends back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from snstat.engine.tensor import MEASURED_OF_TENSORS
from snstat.errors import SnstatError
from snstat.results.module import ModuleSummary
from snstat.sources.calls.axes import Reader, require_matches
from snstat.sources.calls.row import Row
from snstat.sources.calls.traced import Traced, calls_of, gradients_of, sample_sizes, values_of
from snstat.sources.calls.units import Units
from snstat.sources.torch.hooks import Hook, Hooks, in_backward, remove
from snstat.sources.torch.leaves import tensors_of
from snstat.sources.torch.measure import measure_tensor
from snstat.sources.torch.modules import Scripted, kind_of, named, selected, uncompiled, unwrapped
from snstat.sources.torch.nonfinite import Watch
from snstat.sources.torch.rows import Recorder, input_row
from snstat.sources.torch.units import decided

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

_TRIAL = 0


class Watched:
    """The hooks on a module, from `start` to `stop`. `batch` is the number of samples, by default
    the size of the first axis of the first tensor of each call, and `axes` maps globs of paths to
    axes. Axes follow from the kinds of modules, as nothing is tried out."""

    def __init__(
        self,
        model: nn.Module,
        *,
        batch: int | None = None,
        only: Sequence[str] = (),
        leaves: bool = False,
        axes: Mapping[str, str] | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise SnstatError(f"tracing takes a torch.nn.Module, not a {type(model).__name__}")
        self._model, self._given, self._axes = unwrapped(model), batch, dict(axes or {})
        if isinstance(self._model, Scripted):
            raise SnstatError(
                f"{kind_of(self._model)} is scripted (torch.jit), and its calls are not seen; "
                "trace the module that it was made from"
            )
        self._batch: int | None = None
        modules, self._aliases = named(self._model)
        self._modules = selected(modules, only, leaves=leaves)
        require_matches(only, modules, "only")
        require_matches(self._axes, modules)
        self._recorder = Recorder(backward=True)
        self._hooks = Hooks(self._modules, self._recorder.seen)
        self._watch = Watch(modules, _TRIAL, finite=self._recorder.finite)
        self._all = modules
        self._input: Row | None = None
        self._open = ExitStack()
        self._first: list[RemovableHandle] = []

    def start(self) -> None:
        """Put the hooks on."""
        self._recorder.begin(_TRIAL)
        with ExitStack() as stack:
            stack.enter_context(uncompiled())
            stack.callback(remove, self._first)
            for module in self._all.values():
                entered = module.register_forward_pre_hook(Hook(self._enter), with_kwargs=True)
                if module is self._model:
                    stack.enter_context(entered)
                else:
                    self._first.append(entered)
            stack.enter_context(self._hooks)
            stack.enter_context(self._watch)
            self._open = stack.pop_all()

    def stop(self) -> None:
        """Take the hooks away."""
        self._open.close()
        self._recorder.end()

    def _enter(self, module: nn.Module, args: Any, named_args: Any) -> None:
        """See what the module is called with, the first time, and the samples of each call. Where
        parts of it are called instead, the first of them counts."""
        remove(self._first)
        batch = self._given or _samples([args, named_args])
        if self._recorder.reader is not None:
            if module is self._model and not in_backward():
                self._recorder.reader.batch = batch
            return
        inputs = tensors_of([args, named_args])
        first = inputs[0] if inputs else None
        self._batch = batch
        self._recorder.reader = reader = Reader(None, self._batch, self._axes, Units(decided))
        if first is not None:
            self._input = own = input_row(first)
            sample = own.shape.index(self._batch) if self._batch in own.shape else None
            own.axes = reader.input_axes(own.shape, sample)
            own.values[_TRIAL] = measure_tensor(first, own.axes, self._batch)

    @property
    def batch(self) -> int:
        """The number of samples."""
        return self._batch or 1

    def traced(self) -> Traced:
        """Return what was found."""
        rows = self._recorder.order
        if not rows:
            raise SnstatError(self._nothing())
        everything = [self._input or input_row(None), *rows]
        finite, values = values_of(everything, 1)
        # A whole module often returns the tensor of its last part. Of several calls, the last one
        # counts that anything was sent back to.
        own = [row for row in rows if row.path == rows[-1].path]
        last = max((row.call for row in own if row.origin.squares), default=0)
        outputs = {row.origin for row in own if row.call == last}
        reference = sum(row.squares.get(_TRIAL, 0.0) for row in outputs)
        backward, found = any(row.squares for row in rows), self._watch.found
        summary = ModuleSummary(
            target=type(self._model).__name__,
            settings={},
            framework="torch",
            framework_version=str(torch.__version__),
            parameters=sum(parameter.numel() for parameter in self._model.parameters()),
            mode="train" if self._model.training else "eval",
            dropout="keep",
            trials_of="inputs",
            inputs={},
            input_shape=sample_sizes(everything[0]),
            rows=calls_of(rows, self.batch, backward=backward),
            nonfinite=None
            if found and self._recorder.is_left_out(found.path, found.call)
            else found,
            not_called=tuple(path for path in self._modules if path not in self._hooks.calls),
            skipped=tuple(self._recorder.skipped.values()),
            notes=tuple(
                f"{path} is the same module as {own}" for path, own in self._aliases.items()
            ),
        )
        log_gradient = gradients_of(everything, [reference]) if backward else None
        return Traced(summary, self.batch, finite, values, MEASURED_OF_TENSORS, log_gradient)

    def _nothing(self) -> str:
        """Return why there are no rows."""
        left = next(iter(self._recorder.skipped.values()), None)
        if left is None:
            return "the module was not called while it was traced"
        return f"nothing was measured: what {left.path} returned is left out ({left.reason})"


def _samples(arguments: list[Any]) -> int:
    """Return the size of the first axis of the first tensor, 1 if there is none."""
    found: list[torch.Tensor] = []

    def collect(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, Mapping):
            collect(list(value.values()))
        elif isinstance(value, list | tuple):
            for entry in value:
                collect(entry)

    collect(arguments)
    return next((int(tensor.shape[0]) for tensor in found if tensor.ndim), 1)
