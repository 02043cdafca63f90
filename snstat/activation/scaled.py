"""Activations with another scale: φ(βx)/β."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snstat.activation.base import Activation, Asymptote, Elementwise, FloatArray, Form


def by_factor(entry: Activation, factor: float, name: str) -> Activation:
    """Return φ(βx)/β for the factor β, where φ is the activation `entry`."""
    return scaled(entry, factor, name, factor)


def by_inverse(entry: Activation, inverse: float, name: str) -> Activation:
    """Return φ(βx)/β for 1/β = `inverse`."""
    return scaled(entry, 1.0 / inverse, name, inverse)


def scaled(entry: Activation, rate: float, name: str, parameter: float) -> Activation:
    """Return φ(rate·x)/rate with parameter `parameter`, where φ is the activation `entry`."""

    def within(x: FloatArray) -> FloatArray:
        with np.errstate(over="ignore"):
            return rate * x

    def shrunk(function: Elementwise) -> Elementwise:
        return lambda x: function(within(np.asarray(x, dtype=np.float64))) / rate

    def level(asymptote: Asymptote | None) -> Asymptote | None:
        if asymptote is None:
            return None
        return Asymptote(asymptote.level / rate, shrunk(asymptote.residual))

    bound = entry.formed("clip")
    form: Form | None = None if bound is None else ("clip", bound[0] / rate)
    return replace(
        entry,
        name=name,
        formula=f"φ({rate:g}·x)/{rate:g} with φ(x) = {entry.formula}",
        function=shrunk(entry.function),
        derivative=lambda x: entry.derivative(within(np.asarray(x, dtype=np.float64))),
        curvature=lambda x: rate * entry.curvature(within(np.asarray(x, dtype=np.float64))),
        kinks=tuple(kink / rate for kink in entry.kinks),
        flat=tuple((low / rate, high / rate) for low, high in entry.flat),
        left=level(entry.left),
        right=level(entry.right),
        pole_distance=entry.pole_distance / rate,
        bend=entry.bend / rate,
        form=form,
        parameters=(parameter,),
    )
