"""The distribution of the units of a signal, as far as layers need to know it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Self

# Differences of up to this many units in the last place are rounding.
ROUNDING = 4.0


def nearly(one: float, other: float) -> bool:
    """Return whether two numbers are equal to rounding."""
    if one == other or (math.isnan(one) and math.isnan(other)):
        return True
    return math.isfinite(one) and abs(one - other) <= ROUNDING * math.ulp(one)


@dataclass(frozen=True, slots=True)
class Law:
    """The distribution of the units of a signal, as far as layers need to know it."""

    name: str
    parameters: tuple[float, ...] = ()

    def moved(self, factor: float, by: float = 0.0) -> Law:
        """Return the law of `factor`·x + `by`. Of Gaussians and spheres, `by` is 0."""
        return Masked.of(self).moved(factor, by).law if is_masked(self) else self

    def centred(self, factor: float, by: float) -> Law:
        """Return the law of `factor`·x + `by` where `by` stands for the mean over the units."""
        if not is_masked(self):
            return self.moved(factor, by)
        return Masked.of(self).moved(factor, by).loosened.law

    def held(self, before: Law) -> Law:
        """Return the law `before` where it is this one to rounding."""
        alike = self.name == before.name and all(map(nearly, self.parameters, before.parameters))
        return before if alike else self


# Gaussian over units, jointly for all samples and positions. Exactly 0 in networks of any width.
# Anything else: only what needs no more than moments is known of the next layer.
GAUSSIAN, ZERO, OTHER = Law("gaussian"), Law("zero"), Law("other")
_SPHERE = "sphere"


def sphere(batch: int, ratio: float) -> Law:
    """Return the law after batch norm of `batch` Gaussian samples with ε/v = `ratio`, up to a
    factor. The ratio is rounded, so that the law of a signal that has settled stays."""
    return Law(_SPHERE, (float(batch), float(f"{ratio:.12g}")))


def on_sphere(law: Law) -> bool:
    """Return whether this is a law of `sphere`."""
    return law.name == _SPHERE


_MASKED = "masked"


class Masked(NamedTuple):
    """The law after dropout of Gaussian samples z: z + `shift` with probability `keep`, else
    `level`, with a mask of its own for every sample. E[z²] is `square`, E[z²] − E[zz'] `gap`."""

    keep: float
    shift: float
    level: float
    square: float
    gap: float
    # 1 after a norm that subtracts the mean: at any width the level is then off by a part of 1/√n.
    loose: float = 0.0

    @classmethod
    def of(cls, law: Law) -> Self:
        """Return what `law` is: one for which `is_masked` holds."""
        return cls(*law.parameters)

    @property
    def law(self) -> Law:
        """The law of the units."""
        return Law(_MASKED, tuple(self))

    @property
    def symmetric(self) -> bool:
        """Whether −x has this law as well."""
        return self.shift == self.level == 0

    def moved(self, factor: float, by: float) -> Self:
        """Return the law of `factor`·x + `by`."""
        square = factor * factor
        return type(self)(
            self.keep,
            factor * self.shift + by,
            factor * self.level + by,
            square * self.square,
            square * self.gap,
            self.loose,
        )

    @property
    def loosened(self) -> Self:
        """The law after a norm that has subtracted the mean of its units."""
        return self._replace(loose=1.0)


def is_masked(law: Law) -> bool:
    """Return whether this is a law of `Masked`."""
    return law.name == _MASKED
