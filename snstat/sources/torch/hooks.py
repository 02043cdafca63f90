"""Forward hooks: what is called, in the order in which calls complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self

import torch

from snstat.sources.torch.called import Called

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle


class Seen(Protocol):
    """What is done after each call: call `call` (1, 2, …) of what is at `path`."""

    def __call__(self, path: str, call: int, called: Called, output: Any, /) -> None:
        """See a call."""


def remove(handles: list[RemovableHandle]) -> None:
    """Take hooks away, the last first. An ExitStack of them takes longer than the hooks."""
    while handles:
        handles.pop().remove()


class Hooks:
    """Hooks on `modules`, by their paths, while in the context. Nothing else holds them, so that
    none is left behind, whatever is raised. `calls` counts the calls that returned, 0 for a module
    whose calls only raised."""

    def __init__(self, modules: Mapping[str, torch.nn.Module], seen: Seen) -> None:
        self._modules, self._seen = modules, seen
        self.calls: Counter[str] = Counter()
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        try:
            for path, module in self._modules.items():
                before = module.register_forward_pre_hook(partial(self._before, path))
                self._handles.append(before)
                self._handles.append(module.register_forward_hook(partial(self._after, path)))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        remove(self._handles)

    def _before(self, path: str, _module: torch.nn.Module, _inputs: Any) -> None:
        self.calls[path] += 0

    def _after(self, path: str, module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        """See a call. While backward runs, a checkpoint calls its modules again: these calls are
        not counted, and told by the number 0."""
        if in_backward():
            self._seen(path, 0, module, output)
            return
        self.calls[path] += 1
        self._seen(path, self.calls[path], module, output)


def in_backward() -> bool:
    """Return whether autograd is on its way back in this thread."""
    return bool(torch._C._current_graph_task_id() != -1)  # noqa: SLF001  # no public name
