"""Nodes and weights for Gaussian expectations of activations.

Composite Gauss–Legendre quadrature in the standardised variable z, with panel edges at the kinks
of the activation and graded around 0 in x, where the smooth activations bend. Unlike Gauss–Hermite
quadrature it stays accurate at kinks and at large variances.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from snstat.activation import Activation
from snstat.activation.structure import GRADED

FloatArray = npt.NDArray[np.float64]
Number = TypeVar("Number", bound=np.generic)

_POINTS_PER_PANEL = 20
# Half-range and panel count in z. The density has fallen to 1e-41 at the end of the core and to
# the smallest positive double at the end of the wide range.
_CORE_RANGE, _CORE_PANELS = 13.75, 22
_WIDE_RANGE, _WIDE_PANELS = 38.5, 56
# From this |mean|/std on, the kink of an activation may lie in the far tail.
_TAIL_RATIO = 8.0
# Beyond a kink at z, a panel of this many decay lengths 1/|z| resolves exp(−z²/2) to rounding.
_DECAY_LENGTHS, _TAIL_PANELS, _TAIL_START = 5.0, 6, 10.0
# Below this standard deviation the panels in z are finer in x than the graded ones.
_SMALL_STD = 0.5


@dataclass(frozen=True, slots=True)
class Nodes:
    """Quadrature nodes, each array (elements, nodes): x = mean + std·z, and weights that sum to
    1 along the last axis."""

    x: FloatArray
    z: FloatArray
    weight: FloatArray

    def average(self, values: FloatArray) -> FloatArray:
        """Return the expectation of `values` (elements, nodes), shape (elements,)."""
        result: FloatArray = np.einsum("en,en->e", self.weight, values)
        return result


@lru_cache(maxsize=4)
def legendre(points: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of Gauss–Legendre quadrature on [0, 1], each (points,)."""
    node, weight = np.polynomial.legendre.leggauss(points)
    return (node + 1.0) / 2.0, weight / 2.0


def gaussian_nodes(activation: Activation, mean: FloatArray, std: FloatArray) -> Nodes:
    """Return nodes for expectations over N(mean, std²); `mean` and `std` are (elements,)."""
    safe_std = np.where(std > 0, std, 1.0)
    wide = bool(np.any(np.abs(mean) >= _TAIL_RATIO * safe_std))
    z, x = _edges(activation, mean[:, None], safe_std[:, None], wide=wide)
    order = np.argsort(z, axis=1)
    z, x = np.take_along_axis(z, order, axis=1), np.take_along_axis(x, order, axis=1)
    t, weight = legendre(_POINTS_PER_PANEL)
    count = mean.size
    width = np.diff(z, axis=1)[:, :, None]
    z = (z[:, :-1, None] + width * t).reshape(count, -1)
    x = (x[:, :-1, None] + np.diff(x, axis=1)[:, :, None] * t).reshape(count, -1)
    density = np.exp(-0.5 * z * z) * (width * weight).reshape(count, -1)
    density /= density.sum(axis=1, keepdims=True)
    return Nodes(np.where(std[:, None] > 0, x, mean[:, None]), z, density)


def centred_nodes(activation: Activation, std: float) -> tuple[FloatArray, FloatArray]:
    """Return nodes x and weights, each (nodes,), for expectations over N(0, std²).

    They are those of `gaussian_nodes` for one element, without its panels of width 0, in a fraction
    of the time: stacks need them in every layer.
    """
    if std == 0:
        return np.zeros(1), np.ones(1)
    special = np.array(sorted(_special(activation, std, _CORE_RANGE * std)))
    special = special[np.abs(special) < _CORE_RANGE * std]
    grid = _core_grid()
    z = np.concatenate([grid, special / std])
    order = np.argsort(z)
    z, x = z[order], np.concatenate([std * grid, special])[order]
    t, weight = legendre(_POINTS_PER_PANEL)
    width = (z[1:] - z[:-1])[:, None]
    at = (z[:-1, None] + width * t).ravel()
    density = np.exp(-0.5 * at * at) * (width * weight).ravel()
    return (x[:-1, None] + (x[1:] - x[:-1])[:, None] * t).ravel(), density / density.sum()


@lru_cache(maxsize=1)
def _core_grid() -> FloatArray:
    return np.linspace(-_CORE_RANGE, _CORE_RANGE, _CORE_PANELS + 1)


def _special(activation: Activation, std: float, reach: float) -> set[float]:
    """Return the points x up to about `reach` at which panels for a deviation `std` end."""
    special = set(activation.kinks)
    if std > _SMALL_STD * activation.bend:
        special |= {edge * sign for edge in _bends(activation, reach) for sign in (-1.0, 1.0)}
    return special


def _edges(
    activation: Activation, mean: FloatArray, std: FloatArray, *, wide: bool
) -> tuple[FloatArray, FloatArray]:
    """Return panel edges in z and, measured from the nearest special point, in x."""
    limit, panels = (_WIDE_RANGE, _WIDE_PANELS) if wide else (_CORE_RANGE, _CORE_PANELS)
    grid = np.linspace(-limit, limit, panels + 1)
    reach = float(np.max(np.abs(mean) + limit * std))
    points = np.array(sorted(_special(activation, float(np.max(std)), reach)))
    with np.errstate(over="ignore"):
        at = (points - mean) / std
    inside = np.abs(at) < limit
    clipped = np.clip(at, -limit, limit)
    parts_z = [np.broadcast_to(grid, (mean.size, grid.size)), clipped]
    parts_x = [mean + std * grid, np.where(inside, points, mean + std * clipped)]
    if wide:
        for kink in activation.kinks:
            with np.errstate(over="ignore"):
                start = np.clip((kink - mean) / std, -limit, limit)
            far = np.maximum(np.abs(start), _TAIL_START)
            step = np.sign(start) * _DECAY_LENGTHS / far * np.arange(1.0, _TAIL_PANELS + 1.0)
            offset = np.clip(start + step, -limit, limit) - start
            beyond = np.abs((kink - mean) / std) < limit
            parts_z.append(start + offset)
            parts_x.append(np.where(beyond, kink, mean + std * start) + std * offset)
    return np.concatenate(parts_z, axis=1), np.concatenate(parts_x, axis=1)


def _bends(activation: Activation, reach: float) -> tuple[float, ...]:
    """Return points x ≥ 0 between which a smooth activation is nearly a polynomial."""
    points = [edge * activation.bend for edge in GRADED]
    while activation.tail and points[-1] < reach:
        points.append(2.0 * points[-1])
    return tuple(points)


def composite(edges: FloatArray, points: int) -> tuple[FloatArray, FloatArray]:
    """Return Gauss–Legendre nodes and weights, each (..., panels·points), on panels between
    `edges` (..., panels + 1)."""
    t, weight = legendre(points)
    width = (edges[..., 1:] - edges[..., :-1])[..., None]  # np.diff takes five times as long
    shape = (*edges.shape[:-1], -1)
    return (edges[..., :-1, None] + width * t).reshape(shape), (width * weight).reshape(shape)


def distinct(values: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Return the different ones of `values` in ascending order, shape (different values,).

    The function of numpy imports masked arrays, which takes longer than a run.
    """
    values = np.sort(values, axis=None)
    first = np.ones(values.size, np.bool_)
    first[1:] = values[1:] != values[:-1]
    return values[first]
