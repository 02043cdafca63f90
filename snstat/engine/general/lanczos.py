"""Singular values by the block Lanczos method, from products with the Jacobian alone.

Random orthonormal rows of the smaller side are multiplied by JJᵀ, or JᵀJ, again and again; in the
space of all these, of some hundred dimensions, JJᵀ is a small matrix. Its largest eigenvalues are
those of JJᵀ but for what the residuals bound. What eigenvectors have of the first rows are the
weights of a Gauss quadrature: averages of functions of σ² over all singular values, but for the
few random rows that stand for all of them. scipy's methods for the largest values (ARPACK, PROPACK)
take one vector at a time; to draw the weights of all layers takes as long for one as for many.

Sources: Golub and Underwood, The block Lanczos method, 1977; Ubaru, Chen and Saad, SIAM J. Matrix
Anal. Appl. 38 (2017), stochastic Lanczos quadrature; Golub and Meurant, Matrices, moments and
quadrature, 2010, for the bounds between nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from snstat.results import OFF, FloatArray

# Rows at the start, and the size of random rows that fill up a block whose products have become
# dependent.
STARTS = 16
FILLING = 1e-14


class Sides(Protocol):
    """Products with a matrix from both sides; see Products."""

    def pulled(self, rows: FloatArray) -> FloatArray:
        """Return `rows` J."""
        ...

    def pushed(self, rows: FloatArray) -> FloatArray:
        """Return `rows` Jᵀ."""
        ...

    @property
    def stopped(self) -> bool:
        """Whether products are worth nothing any more."""
        ...


class Ritz(NamedTuple):
    """`values` (count,), descending, with the `weights` of each among all singular values, which
    add up to 1, and `errors`, bounds of how far a singular value is away.

    `nodes` and `masses` (starts, steps), ascending, are the Gauss quadrature of each start alone.
    Values and nodes are NaN where the network is not finite.
    """

    values: FloatArray
    weights: FloatArray
    errors: FloatArray
    nodes: FloatArray
    masses: FloatArray

    def scaled(self, log: float) -> Ritz:
        """Return this for a matrix that is larger by exp(`log`); NaN beyond a float64."""
        with np.errstate(over="ignore", invalid="ignore"):
            factor = np.exp(log)
            values = self.values * factor
            if not np.isfinite(values).all():
                return _nothing(*self.nodes.shape)
            return self._replace(
                values=values, errors=self.errors * factor, nodes=self.nodes * factor
            )


def sizes(rows: int, columns: int, steps: int) -> tuple[int, int]:
    """Return how many rows to start with, and how many steps to take, for a matrix."""
    units = min(rows, columns)
    starts = min(STARTS, units)
    return starts, min(steps, units // starts)


def ritz_values(
    matrix: Sides,
    shape: tuple[int, int],
    steps: int,
    random: np.random.Generator,
    done: Callable[[float], None] | None = None,
) -> Ritz | None:
    """Return what the singular values of a matrix of this `shape` are found to be in `steps` steps;
    None after a stop. `random` draws the starts, and `done` is told the share of the steps."""
    rows, columns = shape
    starts, steps = sizes(rows, columns, steps)
    first, second = matrix.pulled, matrix.pushed
    if rows > columns:
        first, second = second, first
    units = min(rows, columns)
    basis = np.empty((starts * steps, units))
    small = np.zeros((starts * steps, starts * steps))
    block = np.linalg.qr(random.standard_normal((units, starts)))[0].T
    scale = 0.0
    for begin in range(0, starts * steps, starts):
        end = begin + starts
        basis[begin:end], known = block, basis[:end]
        product = second(first(block))
        if matrix.stopped:
            return None
        if done is not None:
            done(end / (starts * steps))
        if not np.isfinite(product).all():
            return _nothing(starts, steps)
        small[:end, begin:end] = known @ product.T
        # Twice is enough.
        rest = _without(known, _without(known, product))
        scale = max(scale, float(np.linalg.norm(product)) / math.sqrt(starts))
        if end < starts * steps:
            filling = FILLING * (scale or 1.0) / math.sqrt(units)
            full = rest + filling * random.standard_normal(rest.shape)
            block = np.linalg.qr(full.T)[0].T
            block = np.linalg.qr(_without(known, block).T)[0].T
    return _found(small, rest, starts, steps)


def _without(known: FloatArray, rows: FloatArray) -> FloatArray:
    found: FloatArray = rows - (rows @ known.T) @ known
    return found


def _found(small: FloatArray, rest: FloatArray, starts: int, steps: int) -> Ritz:
    """Return eigenvalues of the `small` matrix, of which the upper part counts, and how much of
    them the `rest` of the last products leaves open."""
    small = np.triu(small) + np.triu(small, 1).T
    squares, vectors = np.linalg.eigh(small)
    squares, vectors = np.maximum(squares[::-1], 0.0), vectors[:, ::-1]
    values = np.sqrt(squares)
    residuals = np.linalg.norm(vectors[-starts:].T @ rest, axis=1)
    # |σ² − θ| is at most the residual, and |σ − √θ| at most either of these.
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.fmin(residuals / values, np.sqrt(residuals)) + OFF * values[0]
    weights = np.sum(vectors[:starts] ** 2, axis=0) / starts
    return Ritz(values, weights, errors, *_quadratures(small, starts, steps))


def _quadratures(small: FloatArray, starts: int, steps: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes, square roots of eigenvalues, and masses of each start, (starts, steps): what
    the Lanczos method makes of it by itself."""
    size = len(small)
    found, t = np.zeros((starts, steps, size)), np.zeros((starts, steps, steps))
    found[range(starts), 0, range(starts)] = 1.0
    least = OFF * np.linalg.norm(small, 2)
    dead = np.zeros((starts, steps), dtype=bool)
    for step in range(steps):
        own = found[:, step]
        product = own @ small
        t[:, step, step] = np.sum(product * own, axis=1)
        for _ in range(2):
            shares = found[:, : step + 1] @ product[:, :, None]
            product -= np.sum(shares * found[:, : step + 1], axis=1)
        if step + 1 < steps:
            norms = np.linalg.norm(product, axis=1)
            # Where nothing is left, all nodes are known.
            norms[norms <= least] = 0.0
            dead[:, step + 1] = norms == 0.0
            t[:, step, step + 1] = t[:, step + 1, step] = norms
            with np.errstate(divide="ignore", invalid="ignore"):
                found[:, step + 1] = np.where(norms > 0, product.T / norms, 0.0).T
    t[dead, :], t.transpose(0, 2, 1)[dead, :] = 0.0, 0.0
    places = np.arange(steps)
    t[:, places, places] = np.where(dead, 2.0 * np.linalg.norm(small), t[:, places, places])
    squares, vectors = np.linalg.eigh(t)
    nodes = np.sqrt(np.maximum(squares, 0.0))
    nodes[places >= steps - dead.sum(axis=1)[:, None]] = math.nan  # the largest, without mass
    return nodes, vectors[:, 0] ** 2


def _nothing(starts: int, steps: int) -> Ritz:
    values, nodes = np.full(starts * steps, math.nan), np.full((starts, steps), math.nan)
    return Ritz(values, np.full_like(values, 1.0 / len(values)), values, nodes, nodes)
