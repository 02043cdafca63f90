"""What an activation is: its function, derivative, structure and citation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Elementwise = Callable[[FloatArray], FloatArray]
Form = tuple[str, *tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Asymptote:
    """A horizontal asymptote: its `level` and `residual(x)` = φ(x) − level, not cancelling."""

    level: float
    residual: Elementwise


@dataclass(frozen=True, slots=True, eq=False)
class Activation:
    """One activation function.

    `function`, `derivative` and `curvature` (φ'' off the kinks) map float64 arrays to float64
    arrays of the same shape. `kinks` are the points where φ is not analytic, `flat` the closed
    intervals on which φ' is 0. `left` and `right` are the horizontal asymptotes, None where there
    is none. `pole_distance` is the distance from the real line to the nearest singularity of φ
    (infinity: entire; it has no meaning where there are kinks). `slopes` are the limits of φ' at
    −∞ and +∞. `bend` is the length in x on which a smooth φ bends, and `tail` says whether it goes
    on to bend at all larger scales. `form` names the closed forms that theory has for it, with
    their parameters; `parameters` are those after the colon of the name, all of them.
    `default_gain` stands in for the gain of `default_init`. `pair` are the functions of Python that
    the user gave for φ and φ', which simulation calls; theory knows them within ±`reach`, and
    `function` and `derivative` are NaN beyond. Where φ' is 0 by rounding alone, |x| is at least
    `underflow`.
    """

    name: str
    formula: str
    citation: str
    function: Elementwise
    derivative: Elementwise
    curvature: Elementwise = np.zeros_like
    kinks: tuple[float, ...] = ()
    flat: tuple[tuple[float, float], ...] = ()
    left: Asymptote | None = None
    right: Asymptote | None = None
    pole_distance: float = math.inf
    slopes: tuple[float, float] = (0.0, 0.0)
    odd: bool = False
    default_init: str = "lecun_normal"
    default_gain: float | None = None
    bend: float = 1.0
    tail: bool = False
    form: Form | None = None
    parameters: tuple[float, ...] = ()
    pair: tuple[Callable[[Any], Any], Callable[[Any], Any]] | None = None
    reach: float = math.inf
    underflow: float = math.inf

    def formed(self, kind: str) -> tuple[float, ...] | None:
        """Return the parameters of its closed forms if they are of this kind, else None."""
        return self.form[1:] if self.form is not None and self.form[0] == kind else None

    @property
    def family(self) -> str:
        """The name without the parameters: "leaky_relu" of "leaky_relu:0.2"."""
        return self.name.partition(":")[0]

    @property
    def custom(self) -> bool:
        """Whether it is a pair of functions of the user's, of which a file knows the name only."""
        return self.family == "custom"

    def __call__(self, x: npt.ArrayLike) -> FloatArray:
        """Return φ(x), same shape as `x`."""
        return self.function(np.asarray(x, dtype=np.float64))


def coerced(function: Elementwise) -> Elementwise:
    """Return `function` accepting whatever numpy can turn into a float64 array."""

    def elementwise(x: npt.ArrayLike) -> FloatArray:
        result: FloatArray = function(np.asarray(x, dtype=np.float64))
        return result[()]  # a scalar in gives a scalar out

    elementwise.__doc__ = function.__doc__
    return elementwise
