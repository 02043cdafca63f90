"""An activation of a shifted argument: the gate of a highway, and units after alpha dropout."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from snstat.activation.base import Activation, Elementwise, coerced
from snstat.activation.structure import GRADED


@lru_cache(maxsize=256)
def shifted(entry: Activation, offset: float) -> Activation:
    """Return φ(x + offset) for the φ of `entry`, which is neither a sine nor a user's function.

    Quadrature resolves offsets up to about 10 units of `bend`.
    """

    def moved(function: Elementwise) -> Elementwise:
        return coerced(lambda x: function(x + offset))

    kinks = set(entry.kinks)
    if kinks:
        # Panels end where φ bends, which is not around 0.
        kinks |= {sign * edge * entry.bend for edge in GRADED for sign in (-1.0, 1.0)}
    return replace(
        entry,
        name=f"{entry.name}(x {offset:+g})",
        formula=f"φ(x {offset:+g}) with φ(x) = {entry.formula}",
        function=moved(entry.function),
        derivative=moved(entry.derivative),
        curvature=moved(entry.curvature),
        kinks=tuple(sorted(kink - offset for kink in kinks)),
        flat=tuple((low - offset, high - offset) for low, high in entry.flat),
        left=None,
        right=None,
        odd=False,
        form=None,
    )
