"""Do all numbers fit their format? SN001."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from snstat.checks.case import Case
from snstat.checks.remedies import gains, standard_inputs, wider_format
from snstat.checks.rule import Broken, Rule
from snstat.results import GRADIENT, FloatArray


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """The largest finite value of a format and the smallest above 0, subnormal ones included."""

    largest: float
    smallest: float


NON_FINITE = "non-finite"

# fmt: off
FORMATS: Mapping[str, NumberFormat] = MappingProxyType({
    "float16":  NumberFormat((2.0 - 2.0**-10) * 2.0**15, 2.0**-24),
    "bfloat16": NumberFormat((2.0 - 2.0**-7) * 2.0**127, 2.0**-133),
    "float32":  NumberFormat((2.0 - 2.0**-23) * 2.0**127, 2.0**-149),
})
# fmt: on


def leaves_range(case: Case) -> Broken | None:
    """Return where a value is not finite, or an activation or gradient leaves the format."""
    name = case.bounds.number_format
    form = FORMATS[name]
    found = [
        *_seen_nonfinite(case),
        *_activations(case, name, form),
        *_gradients(case, name, form),
    ]
    # What overflows is graver than what underflows before it.
    return min(found, key=lambda how: (how.verdict is None, how.layer or 0), default=None)


def _seen_nonfinite(case: Case) -> list[Broken]:
    if case.run is None or case.run.first_nonfinite is None:
        return []
    layer = case.run.first_nonfinite
    largest = _largest(case)
    expected = float(largest[layer])
    words = (
        "theory has no finite value there"
        if math.isnan(expected)
        else f"largest predicted {expected:.2g}"
    )
    text = f"activations are not finite from layer {layer} on (seen; {words})"
    return [Broken(layer, None, None, text, NON_FINITE)]


def _largest(case: Case) -> FloatArray:
    """Return about the largest activation of a batch, (limit + 1,), by theory.

    The largest of N normals of variance q is about √(2 q ln N); NaN where q is too large.
    """
    samples = 2.0 * max(case.batch * case.stack.width, 2)
    edge = np.sqrt(2.0 * math.log(samples) * case.prediction.pre_second_moment)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.maximum(*(np.abs(case.activation(sign * edge)) for sign in (-1.0, 1.0)))


def _activations(case: Case, name: str, form: NumberFormat) -> list[Broken]:
    found = []
    root = np.sqrt(case.known("second_moment"))
    largest = _largest(case)
    largest[0] = root[0]  # at least: nothing more is known of inputs
    high = np.flatnonzero(largest > form.largest)
    if high.size:
        layer = int(high[0])
        value = float(largest[layer])
        text = (
            f"{name} overflows at layer {layer}: largest activation about {value:.2g} (theory"
            f"{_seen_root(case, layer)}), above {form.largest:.6g}"
        )
        found.append(Broken(layer, value, form.largest, text, NON_FINITE))
    low = np.flatnonzero((root < form.smallest) & (root[0] > 0))
    if low.size:
        layer = int(low[0])
        value = float(root[layer])
        # `known` has told which of the two it is.
        theory = case.theory_holds or math.isnan(float(case.seen("second_moment")[layer]))
        source = f"theory{_seen_root(case, layer)}" if theory else "seen"
        text = (
            f"{name} underflows at layer {layer}: root mean square of activations {value:.2g}"
            f" ({source}), below {form.smallest:.2g}"
        )
        found.append(Broken(layer, value, form.smallest, text))
    return found


def _seen_root(case: Case, layer: int) -> str:
    seen = float(case.seen("second_moment")[layer])
    return "" if math.isnan(seen) else f"; root mean square seen {math.sqrt(max(seen, 0.0)):.2g}"


def _gradients(case: Case, name: str, form: NumberFormat) -> list[Broken]:
    """Gradients by their root mean square over that of the last layer, whose scale is 1."""
    root = 0.5 * case.gradients
    low, high = math.log(form.smallest), math.log(form.largest)
    bad = np.flatnonzero((root < low) | (root > high))
    if not bad.size:
        return []
    layer = int(bad[-1])
    under = bool(root[layer] < low)
    verb, side = ("underflow", "below") if under else ("overflow", "above")
    bound = form.smallest if under else form.largest
    with np.errstate(over="ignore"):
        value = float(np.exp(root[layer]))
    seen = float(case.seen(GRADIENT)[layer])
    measured = "" if math.isnan(seen) else f"; seen {math.sqrt(seen):.2g}"
    text = (
        f"{name} gradients {verb} at layer {layer}: {value:.2g} of the last layer's root mean"
        f" square (theory{measured}), {side} {bound:.2g}"
    )
    verdict = NON_FINITE if verb == "overflow" else None
    return [Broken(layer, value if 0 < value < math.inf else None, bound, text, verdict)]


RULES = (
    Rule(
        "SN001",
        "not-representable",
        "an activation or gradient is not finite, or leaves the range of --number-format",
        leaves_range,
        # Only of what overflows: what underflows is judged by how it came to that.
        None,
        (gains, standard_inputs, wider_format),
    ),
)
