"""The sigmoid of a shifted argument: the gate of a highway."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from snstat.activation.base import Activation, Elementwise, coerced
from snstat.activation.lookup import resolve


@lru_cache(maxsize=32)
def shifted_sigmoid(offset: float) -> Activation:
    """Return σ(x + offset)."""
    entry = resolve("sigmoid")

    def moved(function: Elementwise) -> Elementwise:
        return coerced(lambda x: function(x + offset))

    return replace(
        entry,
        name=f"{entry.name}(x {offset:+g})",
        formula=f"φ(x {offset:+g}) with φ(x) = {entry.formula}",
        function=moved(entry.function),
        derivative=moved(entry.derivative),
        curvature=moved(entry.curvature),
        left=None,
        right=None,
        form=None,
    )
