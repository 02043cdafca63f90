"""Where the first value that is not finite is made, and not only passed on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import nn

from snstat.results.module import NonFinite
from snstat.sources.torch.called import Called
from snstat.sources.torch.functions import Functions
from snstat.sources.torch.hooks import Hook, in_backward, remove
from snstat.sources.torch.leaves import tensors_of, version_of
from snstat.sources.torch.modules import kind_of

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

Origin = tuple[str, int, str]


@dataclass
class _Entered:
    """A call that is not over: `bad` is a tensor that it was given and that is not finite. `kept`
    are the others, with the versions of their values, until they are looked at."""

    path: str
    module: nn.Module
    kept: list[tuple[torch.Tensor, int]]
    bad: torch.Tensor | None = None

    def look(self) -> torch.Tensor | None:
        """Look at what the call was given, as far as it is unchanged."""
        if self.bad is None:
            unchanged = [value for value, version in self.kept if version_of(value) == version]
            self.bad = _bad(unchanged)
        self.kept = []
        return self.bad


class Watch:
    """Checks the inputs and outputs of all calls of one run, and finds the first that is not
    finite. Code between modules is told by the next module that receives its result, and with `ops`
    by the function that made it.

    With `finite`, which returns whether a tensor is known to be finite, outputs are looked at only
    where that is not known, and inputs only once an output is not finite, or where they would be
    overwritten: that costs nearly nothing as long as all is well.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        trial: int,
        *,
        ops: bool = False,
        finite: Callable[[torch.Tensor], bool] | None = None,
    ) -> None:
        self._modules, self._trial, self._finite = modules, trial, finite
        self._origins = Origins(modules) if ops else None
        self._calls: Counter[str] = Counter()
        self._within: list[_Entered] = []
        self._open = ExitStack()
        self.found: NonFinite | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            handles: list[RemovableHandle] = []
            stack.callback(remove, handles)
            for path, module in self._modules.items():
                before = Hook(partial(self._before, path))
                handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
                handles.append(module.register_forward_hook(Hook(self._after)))
                # Also where the module raises, and its caller goes on.
                over = Hook(self._over)
                handles.append(module.register_forward_hook(over, always_call=True))
            if self._origins is not None:
                stack.enter_context(self._origins)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _before(self, path: str, module: nn.Module, args: Any, named: Any) -> None:
        if self.found is not None or in_backward():
            return
        given = tensors_of([args, named])
        entered = _Entered(path, module, [(value, version_of(value)) for value in given])
        self._within.append(entered)
        if self._finite is None:
            self._look_back()
        elif len(self._within) == 1 or getattr(module, "inplace", False):
            for call in self._within:
                call.look()

    def _after(self, module: nn.Module, _args: Any, output: Any) -> None:
        if self.found is not None or (number := self._number(module)) is None:
            return
        entered = self._within[number]
        values = tensors_of(output)
        if self._finite is not None:
            values = [value for value in values if not self._finite(value)]
        if (bad := _bad(values)) is not None and not self._look_back():
            self._tell(entered, bad)
        self._calls[entered.path] += 1

    def _over(self, module: nn.Module, _args: Any, _output: Any) -> None:
        if (number := self._number(module)) is not None:
            # Calls within may have ended in an interrupt, of which no hook is told.
            del self._within[number:]

    def _number(self, module: nn.Module) -> int | None:
        """Return which of the calls that are not over is the latest of a module. One may have begun
        before there were hooks, and those that backward repeats are none."""
        numbers = reversed(range(len(self._within)))
        return next((number for number in numbers if self._within[number].module is module), None)

    def _look_back(self) -> bool:
        """Return whether a call that is not over was given a tensor that is not finite: what is
        around the outermost of them made it."""
        around = None
        for entered in self._within:
            if (bad := entered.look()) is not None:
                self._tell(around or entered, bad, before=entered.path)
                return True
            around = entered
        return False

    def _tell(self, entered: _Entered, bad: torch.Tensor, before: str | None = None) -> None:
        """Say that the call of a module made a tensor, or its code `before` another module."""
        path, module = entered.path, entered.module
        origin = None if self._origins is None else self._origins.of(bad)
        # A module without parts is its function.
        if origin is not None and (before or next(module.children(), None) is not None):
            self.found = NonFinite(self._trial, *origin, inputs_finite=True)
            return
        outside = before == path  # the inputs of the whole module
        call = self._calls[path] + 1
        self.found = NonFinite(
            self._trial, path, call, kind_of(module), not outside, None if outside else before
        )


class Origins(Functions):
    """Remembers which call of a function made each tensor that is not finite, as (path, call,
    name). What a function makes of such a tensor has the same origin."""

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__(modules, self._keep)
        self._latest: Origin | None = None
        self._known: dict[int, tuple[torch.Tensor, Origin]] = {}

    def of(self, tensor: torch.Tensor) -> Origin | None:
        """Return the call that made a tensor, None if that is not known."""
        kept, origin = self._known.get(id(tensor), (None, None))
        return origin if kept is tensor else None

    def _keep(self, path: str, call: int, called: Called, _output: Any) -> None:
        self._latest = path, call, kind_of(called)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function, and remember what it made."""
        if not self.within:
            return func(*args, **(kwargs or {}))
        entered = _bad([args, kwargs], masks=True)
        self._latest = None
        output = super().__torch_function__(func, types, args, kwargs)
        origin = self._latest if entered is None else self.of(entered)
        if origin is not None:
            for tensor in tensors_of(output):
                if not torch.isfinite(tensor).all():
                    self._known[id(tensor)] = tensor, origin  # which keeps the number its own
        return output


def _bad(value: Any, *, masks: bool = False) -> torch.Tensor | None:
    """Return the first tensor that is not finite, of those that are no masks unless asked for."""
    for tensor in tensors_of(value):
        if not torch.isfinite(tensor).all() and (masks or not _mask(tensor)):
            return tensor
    return None


def _mask(tensor: torch.Tensor) -> bool:
    """Return whether a tensor holds nothing but 0 and −∞, as masks of attention do."""
    return bool(((tensor == 0) | (tensor == -torch.inf)).all())
