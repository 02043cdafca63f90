"""Whether rows in which samples are merged with positions come sample by sample.

A module may merge the axes (time, sample) as well as (sample, time), or sort its rows by expert.
Two samples in either order tell: only what comes sample by sample then changes places in two
halves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from snstat.sources.calls.axes import Key
from snstat.sources.calls.inputs import Inputs
from snstat.sources.calls.turned import SAMPLES, not_turned, turned_inputs
from snstat.sources.torch.called import Called
from snstat.sources.torch.functions import Functions, watched
from snstat.sources.torch.inputs import draw
from snstat.sources.torch.leaves import Leaf, leaves_of


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
            generator = torch.Generator().manual_seed(0)
            positional, by_name = draw(inputs, np.arange(SAMPLES), generator, *place)
            if turned:
                positional, by_name = turned_inputs(positional, by_name, inputs, torch.Tensor.flip)
            calls.clear()
            found.append({})
            torch.manual_seed(0)
            model(*positional, **by_name)
    one, other = found
    return not_turned(one, other, merged, _double)


def _double(tensor: torch.Tensor) -> tuple[npt.NDArray[np.float64], float]:
    return tensor.double().cpu().numpy(), torch.finfo(tensor.dtype).eps
