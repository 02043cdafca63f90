"""About how long a layer takes, dense and matrix-free, to choose between the two.

The unit is one multiplication of a float32 matrix product. All other numbers were measured: what
takes as long as so many multiplications on one core, where products run at 50 · 10⁹ a second. Only
their ratios matter, and they are similar on other machines.
"""

from __future__ import annotations

from typing import NamedTuple

from snstat.layers.dense_layer import DenseLayer
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


class Costs(NamedTuple):
    """What one matrix of any network costs in one direction: a `call`, a number of it that is drawn
    or of an array of values, and the same once more for each sample (`product`)."""

    call: float
    weight: float = 0.0
    weight_product: float = 0.0
    output: float = 0.0
    output_product: float = 0.0
    input: float = 0.0
    input_product: float = 0.0
    square: float = 0.0
    cube: float = 0.0

    def of(self, weights: Weights, columns: int) -> float:
        """Return the work of a matrix with so many samples, at all positions."""
        fan_in, fan_out = float(weights.fan_in), float(weights.fan_out)
        return (
            self.call
            + fan_in * fan_out * (self.weight + self.weight_product * columns)
            + fan_out * columns * (self.output + self.output_product * columns)
            + fan_in * columns * (self.input + self.input_product * columns)
            + columns**2 * (self.square + self.cube * columns)
        )


# Forward, and on the way back. A call from Python costs as much as a small matrix.
DRAWN_MATRIX = (Costs(5.0e5, 33.0, 1.3), Costs(5.8e5, 42.0, 1.4))
FREE_MATRIX = (
    Costs(1.1e6, 0.0, 0.0, 36.0, 0.83, 41.0, 0.36, 0.0, 1.8),
    Costs(1.8e6, 0.0, 0.0, 51.0, 1.8, 138.0, 2.0, 317.0, 7.6),
)


def drawn_matrix_work(weights: Weights, columns: int, *, backward: bool) -> float:
    """Return the work of a matrix within any network that is drawn, without what its layer does
    with the values."""
    work = sum(costs.of(weights, columns) for costs in DRAWN_MATRIX[: 1 + backward])
    return work * REFLECTORS if weights.orthogonal else work


def free_matrix_work(weights: Weights, columns: int, *, backward: bool) -> float:
    """Return the same of a matrix that is not drawn."""
    work = sum(costs.of(weights, columns) for costs in FREE_MATRIX[: 1 + backward])
    return work * FRAMES if weights.orthogonal else work
