"""A fixed point in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from snstat.activation import display_name
from snstat.report.numbers import beside_one, exact, factor
from snstat.report.words import STEADY, count

if TYPE_CHECKING:
    from snstat.results import CorrelationFixedPoint, FixedPoint, FixedPointReport


def heading(report: FixedPointReport) -> str:
    """Return "SELU · ensemble map · weight gain 1, bias std 0"."""
    values = ", ".join(
        f"{name.replace('_', ' ')} {value:.6g}" for name, value in report.parameters.items()
    )
    return f"{display_name(report.activation)} · {report.map} map · {values}"


def stability_words(point: FixedPoint, *, continuum: bool = False) -> str:
    """Return what happens to a small perturbation of the moments.

    At a spectral radius of 1 higher orders decide, and `stable` holds their result, except in a
    `continuum` of fixed points.
    """
    radius = point.spectral_radius
    if point.neutral and continuum and not point.stable:
        return "neutral: perturbations neither shrink nor grow at first order"
    if point.neutral:
        verb = "shrink" if point.stable else "grow"
        return f"neutral at first order: perturbations {verb} slower than exponentially"
    if point.immediate:
        return "stable: perturbations vanish within one layer"
    if point.stable:
        scale = (
            "" if point.depth_scale is None else f" (depth scale ξ = {_layers(point.depth_scale)})"
        )
        return f"stable: perturbations shrink {factor(radius)} per layer{scale}"
    return f"unstable: perturbations grow {factor(radius)} per layer"


def gradient_words(point: FixedPoint, depth: int) -> str:
    """Return how squared gradients change going backward, per layer and over `depth` layers."""
    growth = point.gradient_growth
    if growth == 0:
        return "squared gradients vanish within one layer backward"
    if point.keeps_gradients:
        return "squared gradients keep their size going backward"
    verb = "grow" if growth > 1 else "shrink"
    digits = 3 if 1 / STEADY < growth < STEADY else 1
    each = f"×{beside_one(growth, 3 + digits)}"
    try:
        total = growth**depth
    except OverflowError:
        total = math.inf
    over = f"over {count(depth, 'layer')}"
    whole = f"{factor(total)} {over}" if 0 < total < math.inf else f"beyond the float range {over}"
    return f"squared gradients {verb} {each} per layer backward: {whole}"


def correlation_words(point: CorrelationFixedPoint) -> str:
    """Return what two inputs near this correlation do."""
    if not point.stable:
        if point.neutral:
            return "neutral: no exponential approach or escape"
        return "unstable: inputs move away from it"
    pace = (
        "slower than exponentially"
        if point.depth_scale is None
        else f"within ~{_layers(point.depth_scale)}"
    )
    if point.alike:
        return f"stable: inputs become alike {pace}"
    verb = "decorrelate" if point.value < 0.5 else "correlate"
    return f"stable: inputs {verb} toward {point.value + 0.0:.3f} {pace}"


def infinity_words(at_infinity: str) -> str:
    """Return what very large signals do."""
    if at_infinity == "grows":
        return "Large enough signals grow without bound."
    if at_infinity == "returns":
        return "Large signals shrink: infinity is unstable."
    if at_infinity == "keeps":
        return "Large signals keep their size."
    return f"Large signals: {at_infinity}."


def solved_words(solved: Mapping[str, float] | None) -> list[str]:
    """Return the solved parameters with 17 digits each."""
    if solved is None:
        return []
    values = [f"{name} = {value:.17g}" for name, value in solved.items()]
    return ["Solved: " + ", ".join(values)]


def _layers(scale: float) -> str:
    """Return a depth scale as "34 layers", with a decimal below 10."""
    text = exact(scale, 2) if scale < 10 else f"{scale:,.0f}"
    return "1 layer" if text == "1" else f"{text} layers"
