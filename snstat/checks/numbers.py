"""Do all numbers fit their format? SN001."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from snstat.activation import Activation, resolve
from snstat.checks.case import Case
from snstat.checks.remedies import gains, standard_inputs, wider_format
from snstat.checks.rule import Broken, Rule
from snstat.results import GRADIENT, BoolArray, FloatArray
from snstat.theory.by_layer import units


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
    largest = _largest_predicted(case)
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


def _largest(case: Case, q: FloatArray, samples: float | None = None) -> FloatArray:
    """Return about the largest activation of a batch for pre-activations N(0, q), both (layers,).

    The largest of N normals is about √(2 q ln 2N), NaN where q is too large. Of layer 0 it is that
    of data, else the root mean square at least. `samples` are those of the batch.
    """
    values = 2.0 * np.maximum((case.batch if samples is None else samples) * units(case.whole), 2.0)
    edge = np.sqrt(2.0 * np.log(values) * q)
    largest = np.full(len(q), math.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        for first, count, layer in case.whole.segments():
            part, activation = slice(first, first + count), resolve(layer.activation)
            largest[part] = _highest(activation, edge[part])
    known = case.inputs.largest
    largest[0] = math.sqrt(case.inputs.second_moment) if math.isnan(known) else known
    return largest


def _highest(activation: Activation, edge: FloatArray) -> FloatArray:
    """Return the largest |φ(x)| of all |x| ≤ `edge` (layers,): at an end, but for the sine."""
    sine = activation.formed("sine")
    if sine is not None:  # no larger beyond its first crest
        edge = np.minimum(edge, 0.5 * math.pi / sine[0])
    highest: FloatArray = np.maximum(np.abs(activation(edge)), np.abs(activation(-edge)))
    return highest


def _largest_predicted(case: Case) -> FloatArray:
    """Return about the largest activation by theory, (layers,): of samples that differ in norm,
    that of the largest one or of as many smaller ones as a batch holds."""
    shares = case.alone.shares
    largest: FloatArray = np.max(
        [
            _largest(case, q, max(share * case.batch, 1.0))
            for q, share in zip(case.alone.sample_second_moment.T, shares, strict=True)
        ],
        axis=0,
    )
    return largest


def _activations(case: Case, name: str, form: NumberFormat) -> list[Broken]:
    found = []
    seen = case.seen("second_moment")
    largest = _largest_predicted(case)
    from_seen = _largest(case, _pre_activations(case, seen))
    if case.run is not None and case.run.first_nonfinite is not None:
        from_seen[case.run.first_nonfinite : case.depth + 1] = math.inf
    high = _crossing(
        case, largest, from_seen, lambda x: x > form.largest, "from second moments seen"
    )
    if high is not None:
        layer, value, source = high
        what = f"largest activation about {value:.2g} ({source})"
        if layer == 0:
            known = "root mean square" if math.isnan(case.inputs.largest) else "largest"
            what = f"{known} of the inputs {value:.2g}"
        text = f"{name} overflows at layer {layer}: {what}, above {form.largest:.6g}"
        found.append(Broken(layer, value, form.largest, text, NON_FINITE))
    root = np.sqrt(case.predicted("second_moment"))
    seen_root = np.sqrt(np.maximum(_signals(case, seen, form), 0.0))
    low = _crossing(case, root, seen_root, lambda x: x < form.smallest, "seen")
    if low is not None and not case.inputs.silent:
        layer, value, source = low
        text = (
            f"{name} underflows at layer {layer}: root mean square of activations {value:.2g}"
            f" ({source}), below {form.smallest:.2g}"
        )
        found.append(Broken(layer, value, form.smallest, text))
    return found


def _signals(case: Case, seen: FloatArray, form: NumberFormat) -> FloatArray:
    """Return the second moments seen (layers,), NaN where exact zeros come from the activation of
    pre-activations that the format holds: those networks are dead, and no number is too small."""
    q = _pre_activations(case, seen)
    dead = (seen == 0) & (np.sqrt(q) > form.smallest)
    return np.where(np.logical_or.accumulate(dead), math.nan, seen)


def _crossing(
    case: Case,
    predicted: FloatArray,
    seen: FloatArray,
    out: Callable[[FloatArray], BoolArray],
    words: str,
    *,
    back: bool = False,
) -> tuple[int, float, str] | None:
    """Return where values (layers,) are first `out` of range, on the way `back` if asked for: the
    layer, the value there, and its source with what the other one tells.

    Predicted ones come first, and where theory does not hold those seen; an infinity that was seen
    is told of elsewhere.
    """
    end = -1 if back else 0
    if not case.theory_holds:
        predicted = np.where(np.isnan(seen), predicted, math.nan)
    where = np.flatnonzero(out(predicted))
    if where.size:
        layer = int(where[end])
        return layer, float(predicted[layer]), "theory" + _seen(seen, layer, out(seen), words, end)
    where = np.flatnonzero(out(seen) & np.isfinite(seen))
    if not where.size:
        return None
    layer = int(where[end])
    theory = "" if math.isnan(predicted[layer]) else f"; theory {predicted[layer]:.2g}"
    return layer, float(seen[layer]), words + theory


def _pre_activations(case: Case, second_moment: FloatArray) -> FloatArray:
    """Return q of every layer from the second moments of those before, NaN for the input."""
    q = np.full(len(second_moment), math.nan)
    for first, count, layer in case.whole.segments():
        before = second_moment[first - 1 : first + count - 1]
        q[first : first + count] = layer.square_gain * before + layer.bias_std**2
    return q


def _seen(seen: FloatArray, layer: int, out: BoolArray, words: str, end: int) -> str:
    """Return how a value predicted to be out of range at `layer` was seen there, and from which
    layer on it was `out`, both (layers,), if from another: the first for `end` 0, the last for
    -1."""
    value = float(seen[layer])
    if math.isnan(value):
        return ""
    text = "; seen not finite" if math.isinf(value) else f"; {words} {value:.2g}"
    where = np.flatnonzero(out)
    if not where.size:
        return f"{text}, in range"
    crossed, side = int(where[end]), "back" if end else "on"
    return text if crossed == layer else f"{text}, out of range from layer {crossed} {side}"


def _gradients(case: Case, name: str, form: NumberFormat) -> list[Broken]:
    """Gradients by their root mean square over that of the last layer, whose scale is 1."""
    # From squared norms to those of a unit.
    share = units(case.stack)[-1] / units(case.stack)
    seen = np.sqrt(case.seen(GRADIENT)[: case.depth + 1] * share)
    seen[seen == 0] = math.nan  # what is too small comes before: zeros are those of dead units
    with np.errstate(over="ignore"):
        root = np.exp(0.5 * (case.gradients + np.log(share)))
    crossing = _crossing(
        case, root, seen, lambda x: (x < form.smallest) | (x > form.largest), "seen", back=True
    )
    if crossing is None:
        return []
    layer, value, source = crossing
    under = value < form.smallest
    verb, side = ("underflow", "below") if under else ("overflow", "above")
    bound = form.smallest if under else form.largest
    text = (
        f"{name} gradients {verb} at layer {layer}: {value:.2g} of the last layer's root mean"
        f" square ({source}), {side} {bound:.2g}"
    )
    verdict = None if under else NON_FINITE
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
