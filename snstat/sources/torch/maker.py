"""The module of each trial: built by the user's function, or the user's own."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from snstat.errors import SnstatError
from snstat.sources.calls.maker import type_words
from snstat.sources.calls.target import require_arguments, user_code
from snstat.sources.torch.load import load_weights
from snstat.sources.torch.modules import unwrapped


def name_of(target: Any) -> str:
    """Return the name of a module or a function."""
    if isinstance(target, nn.Module):
        return type(target).__name__
    return str(getattr(target, "__qualname__", type(target).__name__))


@dataclass
class Maker:
    """Makes the module of each trial. With `weights`, a file with tensors of at most `max_bytes`,
    all trials have the same module, one of our own, of which `loaded` says the digest of the
    weights."""

    name: str
    target: Any
    settings: dict[str, Any]
    weights: str | os.PathLike[str] | None = None
    max_bytes: int | None = None
    loaded: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.target, nn.Module) and not callable(self.target):
            raise SnstatError(
                f"{self.name} is {type_words(self.target)}, but must be a function that returns "
                "a torch.nn.Module, or a module"
            )
        if isinstance(self.target, nn.Module) and self.settings:
            raise SnstatError(
                f"{self.name} is a module, which takes no arguments; name its function"
            )
        if self.builds:
            require_arguments(self.name, self.target, self.settings)

    @property
    def builds(self) -> bool:
        """Whether every trial has a module of its own."""
        return not isinstance(self.target, nn.Module)

    @property
    def owns(self) -> bool:
        """Whether the module is no other's."""
        return self.builds or self.loaded is not None

    def described(self) -> dict[str, Any]:
        """Return what a record says of the module."""
        return {
            "target": self.name,
            "settings": self.settings,
            "trials_of": "model" if self.builds else "inputs",
            "weights": None if self.weights is None else os.fsdecode(self.weights),
            "weights_digest": self.loaded,
        }

    def make(self, seed: int) -> nn.Module:
        """Return the module of a trial, and leave torch's generator where that leaves it."""
        torch.manual_seed(seed)
        if self.weights is not None and self.loaded is None:
            model = self._made() if self.builds else copy.deepcopy(self.target)
            self.loaded, self.notes = load_weights(model, self.weights, self.max_bytes)
            self.target = model
            torch.manual_seed(seed)  # as in all other trials
        return self._made()

    def _made(self) -> nn.Module:
        if not self.builds:
            model: nn.Module = self.target
            return unwrapped(model)
        with user_code(self.name):
            made = self.target(**self.settings)
        if not isinstance(made, nn.Module):
            raise SnstatError(
                f"{self.name} returned {type_words(made)}, but must return a torch.nn.Module"
            )
        return unwrapped(made)
