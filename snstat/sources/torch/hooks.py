"""Forward hooks: what is called, in the order in which calls complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
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


class Hook:
    """A hook that measures the module it is put on. A copy of this module, or a file of it, has one
    that does nothing in its place: who copies a module meanwhile copies no trace, and whoever loads
    the file needs no snstat."""

    __slots__ = ("_seen",)

    def __init__(self, seen: Callable[..., None]) -> None:
        self._seen = seen

    def __call__(self, *arguments: Any) -> None:
        """See a call."""
        self._seen(*arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Return what takes any arguments and returns None, of Python's own."""
        return getattr, (nullcontext(), "__exit__")


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
                before, after = Hook(partial(self._before, path)), Hook(partial(self._after, path))
                self._handles.append(module.register_forward_pre_hook(before))
                self._handles.append(module.register_forward_hook(after))
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
