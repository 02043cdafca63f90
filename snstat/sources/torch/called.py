"""What has rows: modules, and functions that the code of modules calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from torch import nn

# Between the path of a module and the name of a function that its code calls.
CALLS = ":"


@dataclass(frozen=True)
class Function:
    """A function of torch, or a method of tensors, by its name: "relu", "add_"."""

    original_name: str


Called: TypeAlias = nn.Module | Function


def function_path(path: str, name: str) -> str:
    """Return the path of the calls of a function by the code of a module: "layer1:add"."""
    return f"{path}{CALLS}{name}"


class ByPath(dict[str, Called]):
    """Modules by their paths, and functions, which are told by theirs."""

    def __missing__(self, path: str) -> Function:
        return Function(path.rpartition(CALLS)[2])
