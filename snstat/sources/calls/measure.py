"""The statistics of one array of which the axes are known."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from snstat.engine.tensor import NOT_TOLD, Still, measure
from snstat.results.module import Axes

Array = TypeVar("Array", bound=Any)
Values = npt.NDArray[np.floating[Any]]


def measure_array(
    array: Values, axes: Axes | None, batch: int, still: Still = NOT_TOLD
) -> tuple[bool, Values]:
    """Return whether an array is finite, and its statistics (see engine.tensor.measure)."""
    roles = None
    if axes is not None:
        array, roles = split(array, axes, batch)
    return measure(array, roles, still)


def split(array: Array, axes: Axes, batch: int) -> tuple[Array, str | None]:
    """Return an array, or a tensor, whose axes have one meaning each, and their letters."""
    letters, shape = [], []
    for axis, size in enumerate(array.shape):
        if axis in axes.sample and axis in axes.position:
            if size % batch:
                return array, None
            letters += ["S", "P"]
            shape += [batch, size // batch]
        else:
            letters.append("S" if axis in axes.sample else "U" if axis in axes.unit else "P")
            shape.append(size)
    return array.reshape(shape), "".join(letters)
