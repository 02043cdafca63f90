"""The theorem domains of the SNN paper, verified numerically for SELU's unit map.

Klambauer et al., arXiv:1706.02515, theorems 1 to 3. The image depends on (m, v) = (mean·weight_sum,
variance·weight_square_sum) alone. For given m and v every quantity examined is monotone in the
variance (and the singular value in the weights). A dense grid of (m, v) with the variance at an end
of its range therefore covers the four coordinates. Each extreme value found is then refined by
local maximisation over all four.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from snstat.activation import resolve
from snstat.gaussian.expectations import jacobian, moments
from snstat.gaussian.quadrature import FloatArray
from snstat.results import TheoremResult

_MEANS, _VARIANCES = 31, 151
# Grid points from which the local search starts.
_STARTS = 3

COORDINATES = ("mean", "weight_sum", "variance", "weight_square_sum")
Interval = tuple[float, float]
# A quantity maps points (n, 4), with columns as in COORDINATES, to (n,).
Quantity = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, slots=True)
class _Theorem:
    name: str
    number: str
    claim: str
    domain: Mapping[str, Interval]
    # Name of an extreme value → (quantity, +1 for its maximum or −1 for its minimum, bound).
    extremes: Mapping[str, tuple[Quantity, float, float]]


def _image(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    return moments(resolve("selu"), points[:, 0] * points[:, 1], points[:, 2] * points[:, 3])


def _new_mean(points: FloatArray) -> FloatArray:
    return _image(points)[0]


def _new_variance(points: FloatArray) -> FloatArray:
    return _image(points)[1]


def _variance_change(points: FloatArray) -> FloatArray:
    return _image(points)[1] - points[:, 2]


def _singular_value(points: FloatArray) -> FloatArray:
    """Return the largest singular value of ∂(mean', variance')/∂(mean, variance)."""
    matrix = jacobian(resolve("selu"), points[:, 0] * points[:, 1], points[:, 2] * points[:, 3])
    matrix = matrix * points[:, None, [1, 3]]
    return np.asarray(np.linalg.svd(matrix, compute_uv=False)[:, 0], dtype=np.float64)


def _domain(
    mean: Interval, weights: Interval, variance: Interval, squares: Interval
) -> Mapping[str, Interval]:
    return MappingProxyType(dict(zip(COORDINATES, (mean, weights, variance, squares), strict=True)))


_TENTH = (-0.1, 0.1)
_RISES = {"smallest_change_of_variance": (_variance_change, -1.0, 0.0)}
_THEOREMS = (
    _Theorem(
        "theorem 1",
        "1",
        "the map stays in the domain and contracts to a unique stable fixed point",
        _domain(_TENTH, _TENTH, (0.8, 1.5), (0.95, 1.1)),
        {
            "smallest_new_mean": (_new_mean, -1.0, -0.1),
            "largest_new_mean": (_new_mean, 1.0, 0.1),
            "smallest_new_variance": (_new_variance, -1.0, 0.8),
            "largest_new_variance": (_new_variance, 1.0, 1.5),
            "largest_singular_value": (_singular_value, 1.0, 1.0),
        },
    ),
    _Theorem(
        "theorem 2",
        "2",
        "the variance falls",
        _domain((-1.0, 1.0), _TENTH, (3.0, 16.0), (0.8, 1.25)),
        {"largest_change_of_variance": (_variance_change, 1.0, 0.0)},
    ),
    _Theorem(
        "theorem 3a",
        "3",
        "the variance rises",
        _domain(_TENTH, _TENTH, (0.02, 0.16), (0.8, 1.25)),
        _RISES,
    ),
    _Theorem(
        "theorem 3b",
        "3",
        "the variance rises",
        _domain(_TENTH, _TENTH, (0.02, 0.24), (0.9, 1.25)),
        _RISES,
    ),
)


def theorem_domain(
    mean: float, variance: float, *, weight_sum: float, weight_square_sum: float
) -> str | None:
    """Return the number of the theorem ("1", "2", "3") whose domain holds this point, or None."""
    point = (mean, weight_sum, variance, weight_square_sum)
    for theorem in _THEOREMS:
        bounds = theorem.domain.values()
        if all(low <= value <= high for value, (low, high) in zip(point, bounds, strict=True)):
            return theorem.number
    return None


def verify_theorems() -> list[TheoremResult]:
    """Return the four theorem domains with the extreme values found in them and their positions."""
    return [_verify(theorem) for theorem in _THEOREMS]


def _verify(theorem: _Theorem) -> TheoremResult:
    extremes: dict[str, tuple[float, Mapping[str, float]]] = {}
    count, holds = 0, True
    for name, (quantity, sign, bound) in theorem.extremes.items():
        grid = _grid(theorem.domain, sign)
        values = sign * quantity(grid)
        best = np.argsort(values)[-_STARTS:]
        point, value = grid[best[-1]], float(values[best[-1]])
        count += grid.shape[0]
        for start in grid[best]:
            refined, height, evaluations = _climb(quantity, sign, start, theorem.domain)
            count += evaluations
            if height > value:
                point, value = refined, height
        holds = holds and value < sign * bound
        where = MappingProxyType(dict(zip(COORDINATES, point.tolist(), strict=True)))
        extremes[name] = (sign * value, where)
    return TheoremResult(
        theorem.name, theorem.claim, theorem.domain, MappingProxyType(extremes), count, holds
    )


def _grid(domain: Mapping[str, Interval], sign: float) -> FloatArray:
    """Return points (n, 4) on a grid of (m, v).

    For a maximum the variance is as low as possible, so that the square sum, which multiplies
    derivatives, is as high as possible. For a minimum the variance is as high as possible.
    """
    means, weights, variances, squares = domain.values()
    weight = weights[1]
    mean = np.linspace(*means, _MEANS)
    pre_variance = np.linspace(variances[0] * squares[0], variances[1] * squares[1], _VARIANCES)
    if sign > 0:
        variance = np.maximum(variances[0], pre_variance / squares[1])
    else:
        variance = np.minimum(variances[1], pre_variance / squares[0])
    square = np.clip(pre_variance / variance, *squares)
    rows, columns = np.meshgrid(mean, np.arange(_VARIANCES), indexing="ij")
    index = columns.ravel()
    return np.stack(
        [rows.ravel(), np.full(index.size, weight), variance[index], square[index]], axis=-1
    )


def _climb(
    quantity: Quantity, sign: float, start: FloatArray, domain: Mapping[str, Interval]
) -> tuple[FloatArray, float, int]:
    """Return the best point reached in the box, its signed value and the number of evaluations."""
    from scipy.optimize import minimize

    low, high = np.array(list(domain.values())).T

    def descent(unit: FloatArray) -> float:
        return -sign * float(quantity((low + unit * (high - low))[None, :])[0])

    found = minimize(
        descent, (start - low) / (high - low), method="L-BFGS-B", bounds=[(0.0, 1.0)] * 4
    )
    return low + found.x * (high - low), -float(found.fun), int(found.nfev)
