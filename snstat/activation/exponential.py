"""Activations that are exponential below 0: SELU and ELU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snstat.activation.base import Activation, Asymptote, FloatArray, Parameter, coerced

# Klambauer et al., arXiv:1706.02515: (mean, variance) = (0, 1) is a fixed point.
ALPHA = 1.6732632423543772848170429916717
LAMBDA = 1.0507009873554804934193349852946


def selu_with(
    alpha: float,
    scale: float,
    name: str = "selu",
    citation: str = "",
    parameters: tuple[float, ...] = (),
) -> Activation:
    """Return SELU with other parameters: scale·x for x > 0, scale·alpha·(eˣ − 1) otherwise."""
    floor = scale * alpha

    def function(x: FloatArray) -> FloatArray:
        return np.where(x > 0, scale * x, floor * np.expm1(np.minimum(x, 0.0)))

    def derivative(x: FloatArray) -> FloatArray:
        return np.where(x > 0, scale, floor * np.exp(np.minimum(x, 0.0)))

    def curvature(x: FloatArray) -> FloatArray:
        return np.where(x > 0, 0.0, floor * np.exp(np.minimum(x, 0.0)))

    def residual(x: FloatArray) -> FloatArray:
        return np.where(x > 0, scale * x + floor, floor * np.exp(np.minimum(x, 0.0)))

    return Activation(
        name,
        f"{scale:.6g}·(x if x > 0 else {alpha:.6g}·(exp(x) − 1))",
        citation or "Klambauer et al., arXiv:1706.02515",
        coerced(function),
        coerced(derivative),
        coerced(curvature),
        kinks=(0.0,),
        left=Asymptote(-floor, residual),
        slopes=(0.0, scale),
        form=("exponential", alpha, scale),
        parameters=parameters,
    )


def elu_with(alpha: float, name: str = "elu") -> Activation:
    """Return x for x > 0, alpha·(eˣ − 1) otherwise."""
    citation = "Clevert, Unterthiner, Hochreiter, arXiv:1511.07289"
    return selu_with(alpha, 1.0, name, citation, (alpha,))


SELU = replace(selu_with(ALPHA, LAMBDA), display="SELU", target=(0.0, 1.0))
ELU = replace(
    elu_with(1.0),
    display="ELU",
    parameter=Parameter("alpha", 1e-3, 100.0, lambda _, alpha, name: elu_with(alpha, name)),
)
