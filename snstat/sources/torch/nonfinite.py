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
from snstat.sources.torch.leaves import tensors_of
from snstat.sources.torch.modules import kind_of


class Watch:
    """Checks the inputs and outputs of all calls of one run, and finds the first that is not
    finite. Code between modules is told by the next module that receives its result."""

    def __init__(self, modules: Mapping[str, nn.Module], trial: int) -> None:
        self._modules, self._trial = modules, trial
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
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _before(self, path: str, module: nn.Module, args: Any, named: Any) -> None:
        self._calls[path] += 1
        entered = path, self._calls[path], module
        if self.found is None and not _finite([args, named]):
            self._tell(*(self._within[-1] if self._within else entered), before=path)
        self._within.append(entered)

    def _after(self, _module: nn.Module, _args: Any, output: Any) -> None:
        entered = self._within.pop()
        if self.found is None and not _finite(output):
            self._tell(*entered)

    def _tell(self, path: str, call: int, module: nn.Module, before: str | None = None) -> None:
        outside = before == path  # the inputs of the whole module
        self.found = NonFinite(
            self._trial, path, call, kind_of(module), not outside, None if outside else before
        )


def _finite(value: Any) -> bool:
    return all(torch.isfinite(tensor).all() or _mask(tensor) for tensor in tensors_of(value))


def _mask(tensor: torch.Tensor) -> bool:
    """Return whether a tensor holds nothing but 0 and −∞, as masks of attention do."""
    return bool(((tensor == 0) | (tensor == -torch.inf)).all())
