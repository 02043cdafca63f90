"""About how long a layer takes, dense and matrix-free, to choose between the two.

The unit is one multiplication of a float32 matrix product. All other numbers were measured: what
takes as long as so many multiplications on one core, where products run at 50 · 10⁹ a second. Only
their ratios matter, and they are similar on other machines.
"""

from __future__ import annotations

from snstat.layers.dense import DenseLayer
from snstat.layers.weights import Weights

# A normal number that is drawn.
DRAWN = 35.0
# A value that is activated and measured, by the dense and the matrix-free sampler; a value of a
# gradient that passes an activation.
DENSE_VALUE, FREE_VALUE, GRADIENT_VALUE = 50.0, 47.0, 45.0
# The factor of a Gram matrix, over batch³, and what else is done with it, over batch².
FACTOR, GRAM = 0.55, 144.0
# Two products with a triangle, two triangular systems and a factor of the backward pass, over
# batch³, and what else is done with matrices of that size, over batch².
SOLVES, GRAMS = 3.4, 350.0
# Reflectors need two products each way and one thread; frames another product and two factors.
REFLECTORS, FRAMES = 3.0, 2.0


def dense_work(layer: DenseLayer, batch: int, *, backward: bool) -> float:
    """Return the work of a layer whose weights are drawn."""
    values, weights = float(layer.fan_out) * batch, float(layer.fan_out) * layer.fan_in
    product = weights * (batch + DRAWN)
    if layer.distribution == "orthogonal":
        product *= REFLECTORS
    work = product + values * DENSE_VALUE
    return work + product + values * GRADIENT_VALUE if backward else work


def matrix_free_work(layer: DenseLayer, batch: int, *, backward: bool) -> float:
    """Return the work of a layer whose weights are not drawn."""
    values = float(layer.fan_out) * batch
    # A triangular and a symmetric product.
    work = values * (batch + DRAWN + FREE_VALUE) + FACTOR * batch**3 + GRAM * batch**2
    if backward:
        # Z again; E Xᵀ, B E, A X, H Ξᵀ and H Hᵀ: see kernels/matrix_free_backward.py.
        work += values * (4.5 * batch + 2 * DRAWN + FREE_VALUE + GRADIENT_VALUE)
        work += SOLVES * batch**3 + GRAMS * batch**2
    return work * FRAMES if layer.distribution == "orthogonal" else work


def drawn_matrix_work(weights: Weights, columns: int, *, backward: bool) -> float:
    """Return the work of a matrix within any network that is drawn, without what its layer does
    with the values."""
    work = float(weights.fan_out) * weights.fan_in * (columns + DRAWN)
    if weights.orthogonal:
        work *= REFLECTORS
    return 2.0 * work if backward else work


def free_matrix_work(weights: Weights, columns: int, *, backward: bool) -> float:
    """Return the same of a matrix that is not drawn."""
    into, out = float(weights.fan_in) * columns, float(weights.fan_out) * columns
    # The product with L is that of a whole matrix; XᵀX is half of one.
    work = out * (columns + DRAWN) + into * (0.5 * columns + FREE_VALUE)
    work += FACTOR * columns**3 + GRAM * columns**2
    if backward:
        # H Ξᵀ and H Hᵀ; E Xᵀ, A X and B E.
        work += out * (1.5 * columns + DRAWN) + into * (3.0 * columns + DRAWN + FREE_VALUE)
        work += SOLVES * columns**3 + GRAMS * columns**2
    return work * FRAMES if weights.orthogonal else work
