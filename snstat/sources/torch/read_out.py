"""What is sent back through a module: a random read-out of its outputs, or the user's loss."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import torch

from snstat.errors import SnstatError
from snstat.sources.torch.leaves import Leaf, leaves_of

Loss = Callable[[Any], Any]


def outputs_of(output: Any, only: str | None) -> list[torch.Tensor]:
    """Return the floating outputs that gradients can enter, each once: all, or those whose place
    within the output matches the glob `only`.

    Raises SnstatError if that matches none.
    """
    leaves = [leaf for leaf in leaves_of(output) if isinstance(leaf, Leaf)]
    if only is not None:
        places = [leaf.place for leaf in leaves]
        leaves = [leaf for leaf in leaves if _matches(leaf.place, only)]
        if not leaves:
            known = ", ".join(place or "(the output itself)" for place in places)
            raise SnstatError(f"no output matches {only!r}; the floating outputs are {known}")
    return list(
        {id(leaf.tensor): leaf.tensor for leaf in leaves if leaf.tensor.requires_grad}.values()
    )


def send_back(
    output: Any,
    tensors: list[torch.Tensor],
    loss: Loss | None,
    generator: torch.Generator,
) -> None:
    """Run backward from Σ r·y over all outputs y, with r standard normal, independent for every
    sample, position and unit, or from the loss of the output."""
    if loss is not None:
        value = loss(output)
        if not isinstance(value, torch.Tensor) or value.numel() != 1:
            raise SnstatError("the loss must return a tensor with one value")
        if value.requires_grad:
            value.backward()
        return
    weights = [torch.randn(y.shape, generator=generator).to(y) for y in tensors]
    if tensors:
        torch.autograd.backward(tensors, weights)


def _matches(place: str, glob: str) -> bool:
    return place == glob or fnmatchcase(place.lstrip("."), glob)
