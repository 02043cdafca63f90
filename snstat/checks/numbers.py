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
from snstat.results import GRADIENT, BoolArray, FloatArray


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
    forward = [*_seen_nonfinite(case), *_activations(case, name, form)]
    forward.sort(key=lambda how: how.layer or 0)
    # What overflows is graver than what underflows before it, and gradients come after activations.
    return min(
        [*forward, *_gradients(case, name, form)], key=lambda how: how.verdict is None, default=None
    )


def _seen_nonfinite(case: Case) -> list[Broken]:
    if case.run is None or case.run.first_nonfinite is None:
        return []
    layer, dtype = case.run.first_nonfinite, case.run.simulation.dtype
    largest = _largest(case, case.prediction.pre_second_moment)
    # Theory that ends is beyond all formats.
    beyond = np.flatnonzero(~(largest[: case.depth + 1] <= np.finfo(dtype).max))
    if beyond.size and beyond[0] == layer:
        words = "as predicted"
    elif beyond.size:
        words = f"predicted from layer {beyond[0]} on"
    else:
        words = f"not predicted, largest {largest[layer]:.2g}"
    text = f"activations are not finite in {dtype} from layer {layer} on (seen; {words})"
    return [Broken(layer, None, None, text, NON_FINITE)]


def _largest(case: Case, q: FloatArray) -> FloatArray:
    """Return about the largest activation of a batch for pre-activations N(0, q), both (layers,).

    The largest of N normals is about √(2 q ln 2N). Of layer 0, and where q is too large, nothing
    is known: the root mean square at least and NaN.
    """
    samples = 2.0 * max(case.batch * case.stack.width, 2)
    edge = np.sqrt(2.0 * math.log(samples) * q)
    with np.errstate(over="ignore", invalid="ignore"):
        largest: FloatArray = np.maximum(
            *(np.abs(case.activation(sign * edge)) for sign in (-1.0, 1.0))
        )
    largest[0] = math.sqrt(case.inputs.second_moment)
    return largest


def _activations(case: Case, name: str, form: NumberFormat) -> list[Broken]:
    found = []
    seen = case.seen("second_moment")
    largest = _largest(case, case.prediction.pre_second_moment)
    high = np.flatnonzero(largest > form.largest)
    if high.size:
        layer = int(high[0])
        value = float(largest[layer])
        from_seen = _largest(case, _pre_activations(case, seen))
        if case.run is not None and case.run.first_nonfinite is not None:
            from_seen[case.run.first_nonfinite : case.depth + 1] = math.inf
        also = _seen(from_seen, layer, from_seen > form.largest, "from second moments seen")
        text = (
            f"{name} overflows at layer {layer}: largest activation about {value:.2g}"
            f" (theory{also}), above {form.largest:.6g}"
        )
        found.append(Broken(layer, value, form.largest, text, NON_FINITE))
    root = np.sqrt(case.known("second_moment"))
    low = np.flatnonzero((root < form.smallest) & (root[0] > 0))
    if low.size:
        layer = int(low[0])
        value = float(root[layer])
        # `known` has told which of the two it is.
        theory = case.theory_holds or math.isnan(float(seen[layer]))
        roots = np.sqrt(np.maximum(seen, 0.0))
        also = _seen(roots, layer, roots < form.smallest, "seen")
        text = (
            f"{name} underflows at layer {layer}: root mean square of activations {value:.2g}"
            f" ({f'theory{also}' if theory else 'seen'}), below {form.smallest:.2g}"
        )
        found.append(Broken(layer, value, form.smallest, text))
    return found


def _pre_activations(case: Case, second_moment: FloatArray) -> FloatArray:
    """Return q of every layer from the second moments of those before, NaN for the input."""
    q = np.full(len(second_moment), math.nan)
    for part, layer in ((slice(1, 2), case.stack.layer(1)), (slice(2, None), case.layer)):
        before = second_moment[part.start - 1 : -1][: q[part].size]
        q[part] = layer.square_gain * before + layer.bias_std**2
    return q


def _seen(seen: FloatArray, layer: int, out: BoolArray, words: str, *, back: bool = False) -> str:
    """Return how a value predicted to be out of range from `layer` on (`back` to the input) was
    seen there, and from which layer on it was `out`, both (layers,), if from another."""
    value = float(seen[layer])
    if math.isnan(value):
        return ""
    text = "; seen not finite" if math.isinf(value) else f"; {words} {value:.2g}"
    where = np.flatnonzero(out)
    if not where.size:
        return f"{text}, in range"
    crossed = int(where[-1 if back else 0])
    side = "back" if back else "on"
    return text if crossed == layer else f"{text}, out of range from layer {crossed} {side}"


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
    seen = np.sqrt(case.seen(GRADIENT)[: case.depth + 1])
    also = _seen(seen, layer, seen < bound if under else seen > bound, "seen", back=True)
    text = (
        f"{name} gradients {verb} at layer {layer}: {value:.2g} of the last layer's root mean"
        f" square (theory{also}), {side} {bound:.2g}"
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
