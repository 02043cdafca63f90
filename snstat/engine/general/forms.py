"""Matrices that are drawn whole, and those whose rows are brought to one norm after that."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from snstat.engine.general.grid import columns
from snstat.engine.kernels import orthogonal, random
from snstat.engine.kernels.layers import DrawnLayer
from snstat.engine.kernels.random import Draw
from snstat.layers.draw import Pass, Values
from snstat.layers.initialisers import PLAIN, STANDARDIZED
from snstat.layers.weights import Weights


def rescaled(values: Values, weights: Weights, layer: DrawnLayer, draw: Draw) -> Pass:
    """Return W x + b with the rows of W centred, if they are standardized, and brought to norm G.

    Rows and biases are drawn as those of a plain matrix are, and the rows again on the way back.
    """
    before, dtype = values.shape, values.dtype
    z = _matrix(weights, layer, draw, dtype) @ columns(values)
    if layer.biases.std > 0:
        z += _biases(layer, draw, dtype)[:, None]

    def pull(slope: Values) -> tuple[Values, ...]:  # keeps no values, which may be patches
        matrix = _matrix(weights, layer, draw, dtype)
        return ((matrix.T @ columns(slope)).reshape(before),)

    return Pass(z.reshape(layer.units, *before[1:]), pull)


def whole(
    weights: Weights, layer: DrawnLayer, draw: Draw, dtype: np.dtype[Any], stop: Any
) -> tuple[Values, Values]:
    """Return W (units, fan_in) and b (units,) of any form, with the numbers of a product with W.

    Orthogonal weights are incomplete after a stop.
    """
    if weights.orthogonal:
        matrix = np.empty((layer.units, layer.fan_in), dtype)
        basis = np.eye(layer.fan_in, dtype=dtype)
        orthogonal.orthogonal(basis, matrix, layer.weights.std, draw, stop)
    else:
        matrix = _matrix(weights, layer, draw, dtype)
    return matrix, _biases(layer, draw, dtype)


def _biases(layer: DrawnLayer, draw: Draw, dtype: np.dtype[Any]) -> Values:
    """Return b (units,), 0 where there is none."""
    biases = np.zeros((1, layer.units), dtype)
    if layer.biases.std > 0:
        random.draw_rows(biases, 0, layer.biases, random.BIASES, draw)
    own: Values = biases[0]
    return own


def _matrix(weights: Weights, layer: DrawnLayer, draw: Draw, dtype: np.dtype[Any]) -> Values:
    """Return W (units, fan_in), brought to its form in float64."""
    matrix = np.empty((layer.units, layer.fan_in), dtype)
    random.draw_rows(matrix, 0, layer.weights, random.WEIGHTS, draw)
    if weights.form == PLAIN:
        return matrix
    rows = matrix.astype(np.float64)
    if weights.form == STANDARDIZED:
        rows -= rows.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rows *= math.sqrt(weights.square_gain) / np.where(norms > 0, norms, 1.0)
    matrix[:] = rows
    return matrix
