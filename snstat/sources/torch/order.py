"""Whether rows in which samples are merged with positions come sample by sample.

A module may merge the axes (time, sample) as well as (sample, time), or sort its rows by expert.
Two samples in either order tell: only what comes sample by sample then changes places in two
halves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from snstat.sources.calls.axes import BATCHES, Key
from snstat.sources.calls.inputs import Inputs
from snstat.sources.torch.called import Called
from snstat.sources.torch.functions import Functions, watched
from snstat.sources.torch.inputs import draw
from snstat.sources.torch.leaves import Leaf, leaves_of

SAMPLES = BATCHES[0]


def mixed(
    model: nn.Module,
    modules: Mapping[str, nn.Module],
    inputs: Inputs,
    place: tuple[Any, Any],
    merged: Mapping[Key, int],
    *,
    ops: bool,
) -> set[Key]:
    """Return those of the `merged` tensors, with the axis that merges samples and positions, that
    do not come sample by sample, and those of which that is not known.

    The module runs twice, in eval mode, where one sample does not depend on another or on chance.
    The caller puts it back as it was.
    """
    found: list[dict[Key, torch.Tensor]] = []

    def seen(path: str, call: int, _called: Called, output: Any) -> None:
        for leaf in leaves_of(output):
            if isinstance(leaf, Leaf) and (path, call, leaf.place) in merged:
                found[-1][path, call, leaf.place] = leaf.tensor.detach().clone()

    model.eval()
    functions = Functions(modules, seen) if ops else None
    with watched(modules, seen, functions) as calls, torch.no_grad():
        for turned in (False, True):
            positional, by_name = _inputs(inputs, place, turned=turned)
            calls.clear()
            found.append({})
            torch.manual_seed(0)
            model(*positional, **by_name)
    plain, other = found
    return {
        key
        for key, axis in merged.items()
        if key not in plain or key not in other or not _turned(plain[key], other[key], axis)
    }


def _inputs(
    inputs: Inputs, place: tuple[Any, Any], *, turned: bool
) -> tuple[list[Any], dict[str, Any]]:
    """Return two samples, or the same in the other order."""
    positional, by_name = draw(inputs, np.arange(SAMPLES), torch.Generator().manual_seed(0), *place)
    if not turned:
        return positional, by_name

    def turn(value: torch.Tensor, axis: int | None) -> torch.Tensor:
        return value if axis is None else value.flip(axis)

    axes = [source.batch_axis() for source in inputs.sources]
    first = [turn(value, axis) for value, axis in zip(positional, axes, strict=False)]
    names = zip(by_name.items(), axes[len(positional) :], strict=True)
    return first, {name: turn(value, axis) for (name, value), axis in names}


def _turned(plain: torch.Tensor, other: torch.Tensor, axis: int) -> bool:
    """Return whether `other` has the halves of `plain` along an axis in the other order, but for
    rounding, to half of the digits."""
    if plain.shape != other.shape:
        return False
    rounding = math.sqrt(torch.finfo(plain.dtype).eps)
    plain, other = plain.double().cpu(), other.double().cpu()
    expected = torch.cat([*plain.chunk(SAMPLES, axis)][::-1], axis)
    return bool((other - expected).norm() <= rounding * plain.norm())
