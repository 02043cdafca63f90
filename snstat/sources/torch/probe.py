"""The sizes of all tensors for two batches, which tell what holds samples."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from snstat.sources.calls.axes import BATCHES, Key, Pair
from snstat.sources.calls.inputs import Inputs
from snstat.sources.calls.order import merged_in
from snstat.sources.calls.units import Sizes
from snstat.sources.torch.called import Called
from snstat.sources.torch.functions import Functions, watched
from snstat.sources.torch.inputs import draw
from snstat.sources.torch.leaves import Leaf, leaves_of
from snstat.sources.torch.order import mixed

# Parameters of a module whose forward run takes longer than telling shapes alone.
LARGE = 2 * 10**8

Probed = dict[Key, Pair]


def probe(
    model: nn.Module,
    modules: Mapping[str, nn.Module],
    inputs: Inputs,
    place: tuple[Any, Any],
    *,
    size: int,
    ops: bool = False,
) -> Probed | None:
    """Return the shape of every tensor for both batches, those that functions returned too with
    `ops`, None if the module refuses them. Tensors of which the rows mix samples are left out.

    A module runs, which costs less than a trial. Of a large one, with `size` parameters, torch
    first tries to tell shapes without computing: that takes seconds for any module. The caller puts
    the module back as it was.
    """
    for fake in (True, False) if size > LARGE else (False, True):
        try:
            small, large = _sizes(model, modules, inputs, place, fake=fake, ops=ops)
        except Exception:  # noqa: BLE001, S112  # whatever the user's code raises; the trace will tell
            continue
        found = {key: (small.get(key), large.get(key)) for key in small | large}
        left_out = _mixed(model, modules, inputs, place, found, ops=ops)
        return {key: pair for key, pair in found.items() if key not in left_out}
    return None


def _mixed(
    model: nn.Module,
    modules: Mapping[str, nn.Module],
    inputs: Inputs,
    place: tuple[Any, Any],
    found: Probed,
    *,
    ops: bool,
) -> set[Key]:
    """Return the tensors that merge samples with positions, but not sample by sample."""
    merged = merged_in(found)
    if not merged:
        return set()
    try:
        return mixed(model, modules, inputs, place, merged, ops=ops)
    except Exception:  # noqa: BLE001  # as above
        return set(merged)


def _sizes(
    model: nn.Module,
    modules: Mapping[str, nn.Module],
    inputs: Inputs,
    place: tuple[Any, Any],
    *,
    fake: bool,
    ops: bool,
) -> list[dict[Key, Sizes]]:
    """Return the shapes of tensors for each batch. Hooks are put on once for all."""
    found: list[dict[Key, Sizes]] = []

    def seen(path: str, call: int, _called: Called, output: Any) -> None:
        for leaf in leaves_of(output):
            if isinstance(leaf, Leaf):
                found[-1][path, call, leaf.place] = tuple(leaf.tensor.shape)

    functions = Functions(modules, seen) if ops else None
    with watched(modules, seen, functions) as calls, torch.no_grad():
        for batch in BATCHES:
            positional, by_name = draw(
                inputs, np.arange(batch), torch.Generator().manual_seed(0), *place
            )
            calls.clear()
            found.append({})
            if fake:
                _tell(model, positional, by_name)
            else:
                model(*positional, **by_name)
    return found


def _tell(model: nn.Module, positional: list[Any], by_name: dict[str, Any]) -> None:
    """Call a module for the shapes alone, without computing."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    mode = FakeTensorMode(allow_non_fake_inputs=True)
    positional = [mode.from_tensor(value) for value in positional]
    by_name = {name: mode.from_tensor(value) for name, value in by_name.items()}
    with mode, quiet(FakeTensorMode.__module__):
        model(*positional, **by_name)


@contextmanager
def quiet(logger: str) -> Iterator[None]:
    """Let a logger say nothing for a while: torch logs the traceback of what the caller catches."""
    found = logging.getLogger(logger)
    before = found.disabled
    found.disabled = True
    try:
        yield
    finally:
        found.disabled = before
