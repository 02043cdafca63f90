"""The module that is traced: unwrapped, cast, in its mode, and the names of what it holds."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from snstat.errors import InvalidValueError, SnstatError
from snstat.sources.torch.called import CALLS, Called
from snstat.values import tracing
from snstat.values.names import known

DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in tracing.DTYPES}
# Wrappers by class and the attribute of what they wrap.
WRAPPERS = {
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "OptimizedModule": "_orig_mod",
}
# The name of this within a path, and folders that no call ever has.
COMPILED, PARAMETRIZATIONS = "_orig_mod", "parametrizations"
FOLDERS = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
SCRIPTED = (torch.jit.ScriptModule,)


class Scripted(nn.Module):
    """A scripted module within a plain one, because scripted modules take no hooks."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.original_name = inner.original_name

    def forward(self, *args: Any, **named: Any) -> Any:
        """Call the scripted module."""
        return self.inner(*args, **named)


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module within wrappers for devices and compilation.

    Raises SnstatError for modules that hold only shards of their parameters, or no values.
    """
    while (name := WRAPPERS.get(type(model).__name__)) is not None:
        model = getattr(model, name)
    if isinstance(model, torch.jit.ScriptModule):
        model = Scripted(model)
    for name, module in model.named_modules():
        if "FSDP" in type(module).__name__ or type(module).__name__ == "FullyShardedDataParallel":
            raise SnstatError(
                "the parameters of this module are sharded (FSDP); trace it before it is wrapped"
            )
        for key, parameter in module.named_parameters(name, recurse=False):
            _require_values(key, parameter)
    return model


def _require_values(name: str, parameter: nn.Parameter) -> None:
    """Raise SnstatError for a parameter that is sharded or has no values."""
    if type(parameter).__name__ == "DTensor" or hasattr(parameter, "device_mesh"):
        raise SnstatError(f"{name} is sharded (DTensor); trace the module before it is sharded")
    if parameter.is_meta:
        raise SnstatError(
            f"{name} is a meta tensor without values; build the module on a device first"
        )


def cast(model: nn.Module, dtype: str | None, device: str | None, *, own: bool) -> nn.Module:
    """Return a module with floating parameters of `dtype` on `device`; None keeps what it has. A
    module that is not our own is copied if it must change."""
    if dtype is None and device is None:
        return model
    kind = None if dtype is None else DTYPES[known("dtype", dtype, DTYPES)]
    place = None if device is None else _device(device)
    values = [*model.parameters(), *model.buffers()]
    floats = [value for value in values if value.is_floating_point()]
    changes = any(kind not in (None, value.dtype) for value in floats) or any(
        place not in (None, value.device) for value in values
    )
    if not changes:
        return model
    if not own:
        model = copy.deepcopy(model)
    return model.to(device=place, dtype=kind)


def place_of(model: nn.Module, dtype: str | None, device: str | None) -> tuple[Any, Any]:
    """Return the type and the device of floating inputs of a module."""
    first = next((p for p in model.parameters() if p.is_floating_point()), None)
    kind = torch.float32 if first is None else first.dtype
    place = torch.device("cpu") if first is None else first.device
    if first is None and dtype is not None:
        kind = DTYPES[known("dtype", dtype, DTYPES)]
    if first is None and device is not None:
        place = _device(device)
    return kind, place


def _device(name: str) -> torch.device:
    try:
        found = torch.empty(0, device=name)
    except (RuntimeError, AssertionError):
        found = None
    if found is None or found.is_meta:  # where there are no values
        raise InvalidValueError("device", name, "a device that torch has here, such as cpu")
    return found.device  # with its number, which names may leave out


def set_mode(model: nn.Module, mode: str, dropout: str) -> None:
    """Set training or evaluation, and dropout off if asked for."""
    model.train(known("mode", mode, tracing.MODES) == "train")
    if known("dropout", dropout, tracing.DROPOUT) == "keep":
        return
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):  # noqa: SLF001
            module.eval()
        elif isinstance(module, nn.MultiheadAttention | nn.RNNBase):
            module.dropout = 0.0


def named(model: nn.Module) -> tuple[dict[str, nn.Module], dict[str, str]]:
    """Return all modules that can be called by their paths, and further names of the same ones.

    The module itself goes by the name of its class. A compiled module stands for what it wraps.
    Scripted modules are left out.
    """
    found: dict[str, nn.Module] = {}
    aliases: dict[str, str] = {}
    first: dict[int, str] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        path = name
        if COMPILED in name:
            path = ".".join(part for part in name.split(".") if part != COMPILED)
        path = path or kind_of(model)
        if isinstance(module, FOLDERS + SCRIPTED) or type(module).__name__ == "OptimizedModule":
            continue
        if id(module) in first:
            aliases[path] = first[id(module)]
        else:
            first[id(module)] = path
            found[path] = module
    return found, aliases


def selected(
    modules: dict[str, nn.Module], only: Sequence[str], *, leaves: bool
) -> dict[str, nn.Module]:
    """Return the modules that have rows."""
    return {
        path: module
        for path, module in modules.items()
        if wanted(path, only) and not (leaves and next(module.children(), None) is not None)
    }


def wanted(path: str, only: Sequence[str]) -> bool:
    """Return whether a module or a function is among those that globs name, all if there are none.

    What makes weights (`parametrizations`) is meant only if a glob names it.
    """
    if only:
        return any(fnmatchcase(path, glob) for glob in only)
    return PARAMETRIZATIONS not in path.partition(CALLS)[0].split(".")


def kind_of(module: Called) -> str:
    """Return the name of the class of a module, or that of a function."""
    return str(getattr(module, "original_name", type(module).__name__))


def lazy(model: nn.Module) -> bool:
    """Return whether a module has parameters whose shapes its first input decides."""
    return any(isinstance(value, UninitializedParameter) for value in model.parameters())


def scripted(model: nn.Module) -> list[str]:
    """Return the paths of the outermost scripted modules."""
    if isinstance(model, Scripted):
        return [kind_of(model)]
    paths = [name for name, module in model.named_modules() if isinstance(module, SCRIPTED)]
    return [name for name in paths if name.rpartition(".")[0] not in paths]


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run whatever is compiled as it is written, so that hooks are called, wherever it is: who
    compiled what calls a module is not known to the module. What is compiled already stays, and is
    used again afterwards."""
    if "torch._dynamo" not in sys.modules:  # which takes seconds to import, and compiles
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
