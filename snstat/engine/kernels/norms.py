"""Normalisation of values, (rows, columns): every row or every column by itself.

Averages are taken in float64.
"""

from __future__ import annotations

import math

import numpy as np

from snstat.engine.kernels.jit import jit

f64 = np.float64


@jit
def column_means(x, means):
    """Write the mean of every column of `x` to `means` (columns,), float64."""
    means[:] = 0.0
    for i in range(x.shape[0]):
        row = x[i]
        for j in range(row.size):
            means[j] += f64(row[j])
    for j in range(means.size):
        means[j] /= x.shape[0]


@jit
def normalise_rows(x, epsilon, centred, out, scales):
    """Write (x − mean)/s of every row to `out`, or x/s if not `centred`, with s² = ε + the mean of
    the squares of what is divided; 1/s goes to `scales` (rows,), float64."""
    columns = x.shape[1]
    for i in range(x.shape[0]):
        row, own, mean, square = x[i], out[i], 0.0, 0.0
        if centred:
            for j in range(columns):
                mean += f64(row[j])
            mean /= columns
        for j in range(columns):
            d = f64(row[j]) - mean
            square += d * d
        scale = 1.0 / math.sqrt(square / columns + epsilon)
        for j in range(columns):
            own[j] = (f64(row[j]) - mean) * scale
        scales[i] = scale


@jit
def normalise_columns(x, epsilon, centred, out, scales):
    """Do the same to every column; `scales` are (columns,)."""
    rows, columns = x.shape
    means = np.zeros(columns)
    if centred:
        column_means(x, means)
    scales[:] = 0.0
    for i in range(rows):
        row = x[i]
        for j in range(columns):
            d = f64(row[j]) - means[j]
            scales[j] += d * d
    for j in range(columns):
        scales[j] = 1.0 / math.sqrt(scales[j] / rows + epsilon)
    for i in range(rows):
        row, own = x[i], out[i]
        for j in range(columns):
            own[j] = (f64(row[j]) - means[j]) * scales[j]


@jit
def rows_back(slope, normal, scales, centred, out):
    """Write to `out` the gradient of what normalise_rows was given, from the `slope` of its result
    `normal`. A mean of `normal` is 0 if it is centred."""
    columns = slope.shape[1]
    for i in range(slope.shape[0]):
        row, found, own, mean, along = slope[i], normal[i], out[i], 0.0, 0.0
        for j in range(columns):
            along += f64(row[j]) * f64(found[j])
        if centred:
            for j in range(columns):
                mean += f64(row[j])
        mean, along, scale = mean / columns, along / columns, scales[i]
        for j in range(columns):
            own[j] = (f64(row[j]) - mean - along * f64(found[j])) * scale


@jit
def columns_back(slope, normal, scales, centred, out):
    """Do the same for normalise_columns."""
    rows, columns = slope.shape
    means, along = np.zeros(columns), np.zeros(columns)
    if centred:
        column_means(slope, means)
    for i in range(rows):
        row, found = slope[i], normal[i]
        for j in range(columns):
            along[j] += f64(row[j]) * f64(found[j])
    for j in range(columns):
        along[j] /= rows
    for i in range(rows):
        row, found, own = slope[i], normal[i], out[i]
        for j in range(columns):
            own[j] = (f64(row[j]) - means[j] - along[j] * f64(found[j])) * scales[j]
