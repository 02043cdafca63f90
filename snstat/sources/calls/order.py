"""Whether rows in which samples are merged with positions come sample by sample.

A model may merge the axes (time, sample) as well as (sample, time), or sort its rows by expert.
Two samples in either order tell: only what comes sample by sample then changes places in two
halves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snstat.sources.calls.axes import BATCHES, Key, Pair, samples_of
from snstat.sources.calls.draws import draw
from snstat.sources.calls.framework import Arguments, Array, Framework, Gradients, Part
from snstat.sources.calls.inputs import Inputs
from snstat.sources.calls.recorder import leaves_of, plain
from snstat.sources.calls.row import Row
from snstat.sources.calls.seeds import INPUTS, seed_of
from snstat.sources.calls.turned import SAMPLES, not_turned, turned_inputs

# The distance from 1 to the next number, in the shorter of both types of two bytes.
SHORT = 2.0**-7


def merged_in(probed: Mapping[Key, Pair]) -> dict[Key, int]:
    """Return the tensors that merge samples with positions, by their sizes for both batches, with
    the axis that does."""
    found = {}
    for key, (small, large) in probed.items():
        if small is not None and large is not None:
            axes = samples_of(*zip((small, large), BATCHES, strict=True))
            if axes is not None and axes[1]:
                found[key] = axes[1][0]
    return found


def mixed(framework: Framework, model: Any, inputs: Inputs, merged: Mapping[Key, int]) -> set[Key]:
    """Return those of the `merged` arrays, with the axis that merges samples and positions, that do
    not come sample by sample, and those of which that is not known.

    The model runs twice, without chance, so that one sample does not depend on others.
    """
    found = []
    try:
        with framework.still(model):
            for turned in (False, True):
                arguments = draw(inputs, np.arange(SAMPLES), seed_of(0, 0, INPUTS), framework)
                kept = _Kept(framework, merged)
                if turned:
                    own = arguments.positional, arguments.by_name
                    arguments = Arguments(*turned_inputs(*own, inputs, _flipped))
                framework.run(model, arguments, kept, Gradients(None))
                found.append(kept.arrays)
    except Exception:  # noqa: BLE001  # whatever the user's code raises; the trace will tell
        return set(merged)
    one, other = found
    return not_turned(one, other, merged, _double)


class _Kept:
    """Sees calls, and keeps the arrays of some of them."""

    def __init__(self, framework: Framework, merged: Mapping[Key, int]) -> None:
        self._framework, self._merged = framework, merged
        self._calls: Counter[str] = Counter()
        self.arrays: dict[Key, Array] = {}

    def before(self, part: Part) -> None:
        """See a call begin."""

    def failed(self) -> None:
        """See a call end without a result."""

    def after(self, part: Part, arguments: Any, output: Any) -> list[tuple[Row, Any]]:  # noqa: ARG002
        """See what a call returned."""
        self._calls[part.path] += 1
        for place, _, array in leaves_of(output, self._framework.array):
            key = part.path, self._calls[part.path], place
            if key in self._merged and not isinstance(array, str):
                self.arrays[key] = np.array(array)
        return []


def _flipped(array: Array, axis: int) -> Array:
    return np.ascontiguousarray(np.flip(array, axis))


def _double(array: Array) -> tuple[npt.NDArray[np.float64], float]:
    rounding = SHORT if array.dtype.itemsize < 4 else float(np.finfo(array.dtype).eps)
    return plain(array).astype(np.float64), rounding
