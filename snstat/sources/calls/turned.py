"""Two samples in the other order, before a model and after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from snstat.sources.calls.axes import BATCHES, Key
from snstat.sources.calls.inputs import Inputs

SAMPLES = BATCHES[0]


def turned_inputs(
    positional: Sequence[Any],
    by_name: Mapping[str, Any],
    inputs: Inputs,
    flip: Callable[[Any, int], Any],
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments with their samples in the other order: `flip` turns an array round along
    an axis."""

    def turn(value: Any, axis: int | None) -> Any:
        return value if axis is None else flip(value, axis)

    axes = [source.batch_axis() for source in inputs.sources]
    count = len(positional)
    named = zip(by_name.items(), axes[count:], strict=True)
    first = [turn(value, axis) for value, axis in zip(positional, axes[:count], strict=True)]
    return first, {name: turn(value, axis) for (name, value), axis in named}


def not_turned(
    one: Mapping[Key, Any],
    other: Mapping[Key, Any],
    merged: Mapping[Key, int],
    double: Callable[[Any], tuple[npt.NDArray[np.float64], float]],
) -> set[Key]:
    """Return the keys of those `merged` arrays, with the axis along which they are, that have not
    changed places in two halves from `one` run to the `other`, but for rounding, to half of the
    digits, and the keys of those that a run lacks. `double` returns an array as float64 and the
    distance from 1 to the next number of its own type."""

    def turned(key: Key, axis: int) -> bool:
        (before, rounding), (after, _) = double(one[key]), double(other[key])
        if before.shape != after.shape:
            return False
        expected = np.concatenate(np.split(before, SAMPLES, axis)[::-1], axis)
        away = np.linalg.norm(after - expected)
        return bool(away <= math.sqrt(rounding) * np.linalg.norm(before))

    return {
        key
        for key, axis in merged.items()
        if key not in one or key not in other or not turned(key, axis)
    }
