"""Whether rows in which samples are merged with positions come sample by sample.

A model may merge the axes (time, sample) as well as (sample, time), or sort its rows by expert.
Two samples in either order tell: only what comes sample by sample then changes places in two
halves.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from snstat.sources.calls.axes import BATCHES, Key, Pair, samples_of
from snstat.sources.calls.draws import draw
from snstat.sources.calls.framework import Arguments, Array, Framework, Gradients, Part
from snstat.sources.calls.inputs import Inputs
from snstat.sources.calls.recorder import leaves_of, plain
from snstat.sources.calls.row import Row
from snstat.sources.calls.seeds import INPUTS, seed_of

SAMPLES = BATCHES[0]
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
                given = _turned_inputs(arguments, inputs) if turned else arguments
                framework.run(model, given, kept, Gradients(None))
                found.append(kept.arrays)
    except Exception:  # noqa: BLE001  # whatever the user's code raises; the trace will tell
        return set(merged)
    one, other = found
    return {
        key
        for key, axis in merged.items()
        if key not in one or key not in other or not _turned(one[key], other[key], axis)
    }


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


def _turned_inputs(arguments: Arguments, inputs: Inputs) -> Arguments:
    """Return the same samples in the other order."""

    def turn(value: Array, axis: int | None) -> Array:
        return value if axis is None else np.ascontiguousarray(np.flip(value, axis))

    axes = [source.batch_axis() for source in inputs.sources]
    count = len(arguments.positional)
    by_name = zip(arguments.by_name.items(), axes[count:], strict=True)
    return Arguments(
        [turn(*own) for own in zip(arguments.positional, axes[:count], strict=True)],
        {name: turn(value, axis) for (name, value), axis in by_name},
    )


def _turned(one: Array, other: Array, axis: int) -> bool:
    """Return whether `other` has the halves of `one` along an axis in the other order, but for
    rounding, to half of the digits."""
    if one.shape != other.shape:
        return False
    rounding = SHORT if one.dtype.itemsize < 4 else float(np.finfo(one.dtype).eps)
    one, other = (plain(array).astype(np.float64) for array in (one, other))
    expected = np.concatenate(np.split(one, SAMPLES, axis)[::-1], axis)
    away = np.linalg.norm(other - expected)
    return bool(away <= math.sqrt(rounding) * np.linalg.norm(one))
