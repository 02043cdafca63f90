"""Activations of a shifted argument: φ(x + offset)."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from snstat.activation.base import Activation, Asymptote, Elementwise, coerced


@lru_cache(maxsize=32)
def shifted(entry: Activation, offset: float) -> Activation:
    """Return φ(x + offset), where φ is the activation `entry`."""

    def moved(function: Elementwise) -> Elementwise:
        return coerced(lambda x: function(x + offset))

    def level(asymptote: Asymptote | None) -> Asymptote | None:
        return asymptote and Asymptote(asymptote.level, moved(asymptote.residual))

    return replace(
        entry,
        name=f"{entry.name}(x {offset:+g})",
        formula=f"φ(x {offset:+g}) with φ(x) = {entry.formula}",
        function=moved(entry.function),
        derivative=moved(entry.derivative),
        curvature=moved(entry.curvature),
        kinks=tuple(kink - offset for kink in entry.kinks),
        flat=tuple((low - offset, high - offset) for low, high in entry.flat),
        left=level(entry.left),
        right=level(entry.right),
        odd=entry.odd and offset == 0,
        form=None,
    )
