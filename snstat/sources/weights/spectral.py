"""The largest singular value of a matrix."""

from __future__ import annotations

import math

import numpy as np

from snstat.sources.weights.matrix import Matrix

# Matrices with a side of at most this many are solved by LAPACK.
SMALL = 64
# The square of the value found and of an exact one differ by at most this share of it. The first
# vector may have little of the largest singular vector: at 4e-3, one in a hundred random matrices
# stopped at the second one. At 1e-5, none of thousands did.
TOLERANCE = 1e-5
# Enough where singular values crowd at the largest, as those of random matrices do.
MOST_STEPS = 200
SEED = 0


def spectral_norm(matrix: Matrix) -> float | None:
    """Return the largest singular value of a matrix of finite values, to 1 in 100,000.

    It is the root of the largest eigenvalue of the smaller Gram matrix, by the Lanczos iteration
    with full reorthogonalisation (Golub, Van Loan, Matrix Computations, 10.1): the residual of the
    largest eigenvalue of the tridiagonal matrix bounds its distance from an exact one. None where
    that is not reached.
    """
    side = min(matrix.units, matrix.fan_in)
    if side <= SMALL:
        return _small(matrix)
    start = np.random.default_rng(SEED).standard_normal(side)
    basis = (start / np.linalg.norm(start))[None, :]
    diagonal: list[float] = []
    beside: list[float] = []
    for step in range(1, min(MOST_STEPS, side) + 1):
        image = matrix.gram_times(basis[-1])
        diagonal.append(float(basis[-1] @ image))
        for _ in range(2):  # twice, against rounding
            image = image - (basis @ image) @ basis
        beside.append(float(np.linalg.norm(image)))
        if step % 4 == 0 or step == side or beside[-1] <= TOLERANCE * abs(diagonal[0]):
            value, residual = _largest(diagonal, beside)
            if residual <= TOLERANCE * value:
                return math.sqrt(value)
        basis = np.concatenate([basis, image[None, :] / beside[-1]])
    return None


def _small(matrix: Matrix) -> float:
    """Return the value from all eigenvalues of the smaller Gram matrix."""
    scale = max((float(np.abs(block).max()) for _, _, block in matrix.blocks()), default=0.0)
    if scale == 0:
        return 0.0
    wide = matrix.units <= matrix.fan_in
    gram = np.zeros((min(matrix.units, matrix.fan_in),) * 2)
    for _, _, block in Matrix(matrix.raw.T if wide else matrix.raw, matrix.dtype).blocks():
        part = block / scale  # whole rows, which are short; squares neither overflow nor vanish
        gram += part.T @ part
    return scale * math.sqrt(max(float(np.linalg.eigvalsh(gram)[-1]), 0.0))


def _largest(diagonal: list[float], beside: list[float]) -> tuple[float, float]:
    """Return the largest eigenvalue of the tridiagonal matrix, and the residual of its vector."""
    form = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
    values, vectors = np.linalg.eigh(form)
    return float(values[-1]), abs(beside[-1] * float(vectors[-1, -1]))
