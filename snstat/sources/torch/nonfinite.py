"""Where the first value that is not finite is made, and not only passed on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, Self

import torch
from torch import nn

from snstat.results.module import NonFinite
from snstat.sources.torch.called import Called
from snstat.sources.torch.functions import Functions
from snstat.sources.torch.leaves import tensors_of
from snstat.sources.torch.modules import kind_of

Origin = tuple[str, int, str]


class Watch:
    """Checks the inputs and outputs of all calls of one run, and finds the first that is not
    finite. Code between modules is told by the next module that receives its result, and with `ops`
    by the function that made it."""

    def __init__(self, modules: Mapping[str, nn.Module], trial: int, *, ops: bool) -> None:
        self._modules, self._trial = modules, trial
        self._origins = Origins(modules) if ops else None
        self._calls: Counter[str] = Counter()
        self._within: list[tuple[str, int, nn.Module]] = []
        self._open = ExitStack()
        self.found: NonFinite | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for path, module in self._modules.items():
                before = partial(self._before, path)
                stack.enter_context(module.register_forward_pre_hook(before, with_kwargs=True))
                stack.enter_context(module.register_forward_hook(self._after))
            if self._origins is not None:
                stack.enter_context(self._origins)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _before(self, path: str, module: nn.Module, args: Any, named: Any) -> None:
        self._calls[path] += 1
        entered = path, self._calls[path], module
        if self.found is None and (bad := _bad([args, named])) is not None:
            self._tell(*(self._within[-1] if self._within else entered), bad, before=path)
        self._within.append(entered)

    def _after(self, _module: nn.Module, _args: Any, output: Any) -> None:
        entered = self._within.pop()
        if self.found is None and (bad := _bad(output)) is not None:
            self._tell(*entered, bad)

    def _tell(
        self,
        path: str,
        call: int,
        module: nn.Module,
        bad: torch.Tensor,
        before: str | None = None,
    ) -> None:
        """Say that the call of a module made a tensor, or its code `before` another module."""
        origin = None if self._origins is None else self._origins.of(bad)
        # A module without parts is its function.
        if origin is not None and (before or next(module.children(), None) is not None):
            self.found = NonFinite(self._trial, *origin, inputs_finite=True)
            return
        outside = before == path  # the inputs of the whole module
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
