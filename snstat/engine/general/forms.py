"""Matrices whose rows are brought to one norm after they are drawn."""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.general.grid import columns
from snstat.engine.kernels import random
from snstat.engine.kernels.layers import DrawnLayer
from snstat.engine.kernels.random import Draw
from snstat.layers.draw import Pass, Values
from snstat.layers.initialisers import STANDARDIZED
from snstat.layers.weights import Weights


def rescaled(values: Values, weights: Weights, layer: DrawnLayer, draw: Draw) -> Pass:
    """Return W x + b with the rows of W centred, if they are standardized, and brought to norm G.

    Rows and biases are drawn as those of a plain matrix are. The whole matrix is kept until
    gradients are pulled back.
    """
    x = columns(values)
    matrix = np.empty((layer.units, layer.fan_in), x.dtype)
    random.draw_rows(matrix, 0, layer.weights, random.WEIGHTS, draw)
    rows = matrix.astype(np.float64)
    if weights.form == STANDARDIZED:
        rows -= rows.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rows *= math.sqrt(weights.square_gain) / np.where(norms > 0, norms, 1.0)
    matrix[:] = rows
    z = matrix @ x
    if layer.biases.std > 0:
        biases = np.empty((1, layer.units), x.dtype)
        random.draw_rows(biases, 0, layer.biases, random.BIASES, draw)
        z += biases.T
    before = values.shape
    own = z if values.ndim == 2 else z.reshape(layer.units, *before[1:])
    return Pass(own, lambda slope: ((matrix.T @ columns(slope)).reshape(before),))
