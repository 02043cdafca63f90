"""Puts a module and all random states back as they were, bit for bit, whatever was raised."""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from snstat.sources.torch.written import PutsBack


@contextmanager
def random_states() -> Iterator[None]:
    """Put back the states of the generators of torch, numpy and Python."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_rng_state(cpu)
        if devices is not None:
            torch.cuda.set_rng_state_all(devices)


@contextmanager
def restored(model: torch.nn.Module) -> Iterator[None]:
    """Put back the buffers, modes, attributes, parameters, their gradients and hooks of a module,
    and what lists, dicts, sets and deques among the attributes hold. Modules in these, such as a
    teacher that is hidden from the optimiser, are put back as well.

    Buffers are copied meanwhile; of parameters those that are written to are (see PutsBack).
    Gradients are missing meanwhile, and hooks that run once a gradient is complete, such as those
    of an optimiser, do not run.
    """
    modules, kept = [*model.modules()], list[_Module]()
    known = {*map(id, modules)}
    for module in modules:  # which grows
        kept.append(_Module(module))
        hidden = [part for found in kept[-1].hidden for part in found.modules()]
        modules += [part for part in dict.fromkeys(hidden) if id(part) not in known]
        known |= {*map(id, hidden)}
    own = {id(value): value for module in modules for value in module._parameters.values()}  # noqa: SLF001  # parameters() goes through all modules again
    parameters = [_Parameter(value) for value in own.values() if value is not None]
    written = PutsBack(value for value in own.values() if value is not None)
    try:
        with written:
            yield
    finally:
        for module in kept:
            module.put_back()
        written.put_back()
        for parameter in parameters:
            parameter.put_back()


# What every module has, none of which is a tensor.
_COMMON = frozenset(torch.nn.Module().__dict__)
_CONTAINERS = (list, dict, set, deque)


class _Module:
    """One module: its attributes, and the values of its buffers."""

    # Of these, the entries are kept as well.
    TABLES = ("_buffers", "_parameters", "_modules")

    def __init__(self, module: torch.nn.Module) -> None:
        own = module.__dict__
        self._module = module
        self._attributes = dict(own)
        # Those of a scripted module are not Python's.
        scripted = isinstance(module, torch.jit.ScriptModule)
        tables = [] if scripted else [own[name] for name in self.TABLES]
        self._tables = [(table, dict(table) if table else {}) for table in tables]
        # named_buffers leaves some out.
        buffers = module._buffers  # noqa: SLF001  # no public name
        values = [*buffers.values(), *(own[name] for name in own.keys() - _COMMON)]
        self._values = [
            (value, value.detach().clone()) for value in values if isinstance(value, torch.Tensor)
        ]
        self._containers: dict[int, tuple[Any, Any]] = {}
        self.hidden: list[torch.nn.Module] = []
        self._keep([own[name] for name in own.keys() - _COMMON])

    def _keep(self, waiting: list[Any]) -> None:
        """Keep copies of lists, dicts, sets and deques, and of those within them: logs and caches,
        which may hold tensors of a trace, and with them its whole graph. Note hidden modules."""
        while waiting:
            value = waiting.pop()
            if isinstance(value, torch.nn.Module):
                self.hidden.append(value)
            elif type(value) in _CONTAINERS and id(value) not in self._containers:
                self._containers[id(value)] = value, value.copy()
                waiting += value.values() if isinstance(value, dict) else value

    def put_back(self) -> None:
        own = self._module.__dict__
        own.update(self._attributes)
        if len(own) > len(self._attributes):
            for name in own.keys() - self._attributes.keys():
                del own[name]
        for table, entries in self._tables:
            if (table or entries) and not _same(table.items(), entries.items()):
                table.clear()
                table.update(entries)
        for container, content in self._containers.values():
            _fill(container, content)
        for tensor, value in self._values:
            if not _alike(tensor, value):
                with torch.no_grad():
                    tensor.copy_(value)


class _Parameter:
    """One parameter: its gradient, its flag and its hooks."""

    HOOKS = "_post_accumulate_grad_hooks"

    def __init__(self, parameter: torch.nn.Parameter) -> None:
        self._parameter = parameter
        self._needs = parameter.requires_grad
        self._gradient = parameter.grad
        self._hooks: Any = getattr(parameter, self.HOOKS, None)
        parameter.grad = None
        if self._hooks:
            setattr(parameter, self.HOOKS, OrderedDict())

    def put_back(self) -> None:
        self._parameter.requires_grad_(self._needs)
        self._parameter.grad = self._gradient
        if self._hooks:
            setattr(self._parameter, self.HOOKS, self._hooks)


def _fill(container: Any, content: Any) -> None:
    """Put the content of a container back, if it is not the same."""
    if isinstance(container, dict):
        same = _same(container.items(), content.items())
    else:
        same = [*map(id, container)] == [*map(id, content)]
    if same:
        return
    container.clear()
    if isinstance(container, dict | set):
        container.update(content)
    else:
        container.extend(content)


def _same(items: Iterable[tuple[Any, Any]], others: Iterable[tuple[Any, Any]]) -> bool:
    """Return whether values of the same names are the very same objects; == of tensors is none."""
    pairs = [(name, id(value)) for name, value in items]
    return pairs == [(name, id(value)) for name, value in others]


def _alike(tensor: torch.Tensor, value: torch.Tensor) -> bool:
    """Return whether two tensors have the same bits; NaN is not equal to itself."""
    if tensor.shape != value.shape:
        return False
    return torch.equal(tensor, value)
