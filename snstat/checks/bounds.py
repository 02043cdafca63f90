"""What a check is measured against: the bounds of all rules, validated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from snstat.errors import InvalidValueError
from snstat.limits import MAX_DEPTH, MAX_SCALE
from snstat.values import integer, known, number

NUMBER_FORMATS = ("float16", "bfloat16", "float32")
# Decades of a squared gradient beyond these are beyond a float64.
MAX_DECADES = 300.0
# First-order theory says of standard deviations beyond this only that they are.
MAX_FLUCTUATION = 2.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of the rules; see the rules for their meaning.

    `depth_limit` is the depth up to which the forward signal has to survive (None: the stack's).
    Second moments are bounded from below by `second_moment_min` times the smaller of 1 and the
    input's, and from above likewise. `target_mean` and `target_variance` are None where no target
    is set, `target_layer` is the layer by which it is to be reached (None: the last).
    """

    number_format: str = "float32"
    depth_limit: int | None = None
    second_moment_min: float = 0.005
    second_moment_max: float = 100.0
    target_mean: float | None = None
    target_variance: float | None = None
    target_tolerance: float = 0.1
    target_layer: int | None = None
    gradient_decades: float = 6.0
    cosine_max: float = 0.98
    separation_max: float = 1.1
    dead_max: float = 0.5
    saturated_max: float = 0.5
    fluctuation_max: float = 1.0
    min_effect: float = 0.01

    @classmethod
    def build(cls, **values: Any) -> Bounds:
        """Return validated bounds; None stands for a default.

        Raises InvalidValueError for a value out of range, UnknownNameError for a number format.
        """
        defaults = cls()
        given = {entry.name: values.pop(entry.name, None) for entry in fields(cls)}
        if values:
            raise TypeError(f"no such bound: {', '.join(values)}")
        checked: dict[str, Any] = {
            name: _RANGES[name](name, value) for name, value in given.items() if value is not None
        }
        low = checked.get("second_moment_min", defaults.second_moment_min)
        high = checked.get("second_moment_max", defaults.second_moment_max)
        if low >= high:
            raise InvalidValueError(
                "second_moment_min", low, f"below second_moment_max, which is {high:g}"
            )
        if ("target_mean" in checked) != ("target_variance" in checked):
            missing = "target_mean" if "target_variance" in checked else "target_variance"
            raise InvalidValueError(missing, "not given", "given too", "a target is a pair")
        return cls(**checked)

    def second_moment_range(self, start: float) -> tuple[float, float]:
        """Return the second moments allowed to a stack whose input has `start`."""
        return self.second_moment_min * min(1.0, start), self.second_moment_max * max(1.0, start)

    def target(self, activation: str) -> tuple[float, float] | None:
        """Return the (mean, variance) that a stack of `activation` is to reach, None if any."""
        if self.target_mean is not None and self.target_variance is not None:
            return self.target_mean, self.target_variance
        return (0.0, 1.0) if activation == "selu" else None


def _number_format(name: str, value: object) -> object:
    return known(name, value, NUMBER_FORMATS)


Check = Callable[[str, object], object]
# fmt: off
_RANGES: Mapping[str, Check] = {
    "number_format": _number_format,
    "depth_limit": lambda name, value: integer(name, value, 1, MAX_DEPTH),
    "second_moment_min": lambda name, value: number(name, value, 0.0, MAX_SCALE),
    "second_moment_max": lambda name, value: number(name, value, 0.0, MAX_SCALE),
    "target_mean": lambda name, value: number(name, value, -MAX_SCALE, MAX_SCALE),
    "target_variance": lambda name, value: number(name, value, 0.0, MAX_SCALE),
    "target_tolerance": lambda name, value: number(name, value, 0.0, MAX_SCALE),
    "target_layer": lambda name, value: integer(name, value, 1, MAX_DEPTH),
    "gradient_decades": lambda name, value: number(name, value, 0.0, MAX_DECADES),
    "cosine_max": lambda name, value: number(name, value, 0.0, 1.0),
    "separation_max": lambda name, value: number(name, value, 1.0, MAX_SCALE),
    "dead_max": lambda name, value: number(name, value, 0.0, 1.0),
    "saturated_max": lambda name, value: number(name, value, 0.0, 1.0),
    "fluctuation_max": lambda name, value: number(name, value, 0.0, MAX_FLUCTUATION),
    "min_effect": lambda name, value: number(name, value, 0.0, MAX_SCALE),
}
# fmt: on
