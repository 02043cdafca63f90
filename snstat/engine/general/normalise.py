"""Values normalised by kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from snstat.engine.general.grid import columns
from snstat.engine.kernels import norms
from snstat.layers.draw import Pass, Values


def normalised_rows(values: Values, epsilon: float, dtype: np.dtype[Any]) -> Pass:
    """Return (x − mean)/√(variance + ε) of every channel over the batch and all positions."""
    x, shape = columns(values), values.shape
    found, scales = np.empty(x.shape, dtype), np.empty(len(x))
    norms.normalise_rows(x, epsilon, True, found, scales)

    def pull(slope: Values) -> tuple[Values, ...]:
        h, out = columns(slope), np.empty_like(found)
        norms.rows_back(h, found, scales, True, out)
        return (out.reshape(shape),)

    return Pass(found.reshape(shape), pull)


def normalised_columns(
    values: Values, epsilon: float, dtype: np.dtype[Any], *, centred: bool
) -> Pass:
    """Return the same of every sample and position over its channels; if not `centred`, with 0 for
    the mean."""
    x, shape = columns(values), values.shape
    found, scales = np.empty(x.shape, dtype), np.empty(x.shape[1])
    norms.normalise_columns(x, epsilon, centred, found, scales)

    def pull(slope: Values) -> tuple[Values, ...]:
        h, out = columns(slope), np.empty_like(found)
        norms.columns_back(h, found, scales, centred, out)
        return (out.reshape(shape),)

    return Pass(found.reshape(shape), pull)
