"""The record of an activation: its function, derivative, structure and citation."""

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
    """A horizontal asymptote: `level`, and `residual(x)` = φ(x) − level without cancellation."""

    level: float
    residual: Elementwise


@dataclass(frozen=True, slots=True)
class Parameter:
    """The parameter that may follow the colon in an activation's name: its name and its bounds.
    `build` makes the activation from the entry of the table, a value and a name."""

    name: str
    low: float
    high: float
    build: Callable[[Activation, float, str], Activation]


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Activation:
    """One activation function.

    `function`, `derivative` and `curvature` (φ'' off the kinks) map float64 arrays to float64
    arrays of the same shape. `kinks` are the points where φ is not analytic, `flat` the closed
    intervals on which φ' is 0. `left` and `right` are the horizontal asymptotes, None if there is
    none. `pole_distance` is the distance from the real line to the nearest singularity of φ
    (infinity: entire; without meaning if there are kinks). `slopes` are the limits of φ' at −∞ and
    +∞. `bend` is the length scale in x on which a smooth φ curves, and `tail` is True if it also
    curves at all larger scales. `form` names its closed forms in theory, with their parameters.
    `parameters` are the values of the `parameter` that may follow the colon in its name.
    `default_gain` replaces the gain of `default_init`. `display` is how the literature writes the
    name, "" for as it is; `aliases` are other names. `target` is the (mean, variance) that a stack
    of it is designed to reach. `pair` holds the user's Python functions φ and φ', which
    simulation calls. Theory knows them within ±`reach`; beyond, `function` and `derivative` are
    NaN, and `doubt` says why. φ' is 0 by rounding only if |x| is at least `underflow`.
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
    parameter: Parameter | None = None
    display: str = ""
    aliases: tuple[str, ...] = ()
    target: tuple[float, float] | None = None
    pair: tuple[Callable[[Any], Any], Callable[[Any], Any]] | None = None
    reach: float = math.inf
    underflow: float = math.inf
    doubt: str = ""

    def formed(self, kind: str) -> tuple[float, ...] | None:
        """Return the parameters of its closed forms if they are of this kind, else None."""
        return self.form[1:] if self.form is not None and self.form[0] == kind else None

    @property
    def linear(self) -> bool:
        """Whether it is the identity."""
        return self.formed("half_linear") == (1.0,)

    @property
    def family(self) -> str:
        """The name without the parameters: "leaky_relu" of "leaky_relu:0.2"."""
        return self.name.partition(":")[0]

    @property
    def custom(self) -> bool:
        """Whether it is a pair of the user's functions, of which a file holds only the name."""
        return self.family == "custom"

    def __call__(self, x: npt.ArrayLike) -> FloatArray:
        """Return φ(x), same shape as `x`."""
        return self.function(np.asarray(x, dtype=np.float64))


def coerced(function: Elementwise) -> Elementwise:
    """Return `function` accepting anything that numpy can convert to a float64 array."""

    def elementwise(x: npt.ArrayLike) -> FloatArray:
        result: FloatArray = function(np.asarray(x, dtype=np.float64))
        return result[()]  # a scalar in gives a scalar out

    elementwise.__doc__ = function.__doc__
    return elementwise
