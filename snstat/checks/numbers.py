"""Do all numbers fit their format? SN001."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from snstat.checks.case import Case
from snstat.checks.remedies import gains, standard_inputs, wider_format
from snstat.checks.rule import Broken, rule
from snstat.results import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """The largest finite value of a format and the smallest above 0, subnormal ones included."""

    largest: float
    smallest: float


NON_FINITE = "non-finite"
# The statistic of that name: the largest absolute activation.
LARGEST = "largest"
# The square of a smaller number is 0.
LEAST_ROOT = 2.3e-162

# fmt: off
FORMATS: Mapping[str, NumberFormat] = MappingProxyType({
    "float16":  NumberFormat((2.0 - 2.0**-10) * 2.0**15, 2.0**-24),
    "bfloat16": NumberFormat((2.0 - 2.0**-7) * 2.0**127, 2.0**-133),
    "float32":  NumberFormat((2.0 - 2.0**-23) * 2.0**127, 2.0**-149),
})
# fmt: on


@rule(
    "SN001",
    "not-representable",
    # Overflow is "non-finite"; underflow has the verdict of its cause.
    families=(gains, standard_inputs, wider_format),
)
def leaves_range(case: Case) -> Broken | None:
    """An activation or gradient is not finite, or leaves the range of --number-format.

    **What it does.** It finds a layer at which activations or gradients are above the largest
    number of the format in which the network is to be trained, or below its smallest. A value that
    is not finite in the simulation itself also counts.

    **Why it matters.** One infinity turns every later layer, the loss and all gradients into NaN. A
    value below the smallest number of the format is rounded to zero, and the weights that depend on
    it stop learning without any message.

    **What is compared.** The largest absolute activation of every layer with the largest number of
    the format (float16: 65,504; bfloat16 and float32: about 3.4e38). The rule uses the measured
    value, averaged over trials. Without a measurement (remedies, layers between the last one and
    `--depth-limit`, older saved runs) it uses an estimate: pre-activations are normal with the
    second moment q that theory predicts, and the largest of N normal values is about the value
    above which e^−γ = 0.56 of them are expected. If a batch holds only a part of the data, it may
    miss the largest sample, so the rule uses the larger of the two.

    The root mean square of the activations, and of the gradients relative to the last layer's, is
    compared with the smallest number above zero, subnormal ones included (float16: 6.0e-8,
    bfloat16: 9.2e-41, float32: 1.4e-45); that of the gradients is compared with the largest number
    too. The rule uses theory's value, or the measured one where theory has none and where the
    measurement leaves theory by more than its error allows. The message states the other value too,
    and the layer from which that one is out of range if it is another layer.

    **Example.**

    ```console
    $ snstat check --weight-gain 2 --number-format float16 --select SN001
    FAILED default: non-finite
      SELU · 64 layers of 1,024 · lecun_normal (gain 2)
      8 trials × batch 64 · float32, matrix-free, seed 0
      SN001 not-representable, layer 24: float16 overflows at layer 24: largest
            activation 9.6e+04 (seen; theory 1.1e+05), above 65504
            → use --weight-gain 1 (now 2)
    ```

    **How to fix it.** Fix the growth that SN101, SN102, SN201 or SN202 reports. If gradients
    underflow in float16, scale the loss. bfloat16 has the range of float32 with less precision.

    **Options.** `--number-format` (default float32), `--depth-limit` (default: the depth).

    **Known problems.** Root mean squares say nothing about single values, some of which underflow
    earlier. Pre-activations are not compared with the largest number, so those of a bounded
    activation such as tanh may overflow unnoticed. Exact zeros after pre-activations in range
    belong to dead networks (SN401) and are not an underflow. Nor are those of a traced module after
    a row whose second moment is above the smallest number: units are dead there, or weights are 0.

    **Source.** IEEE 754; Micikevicius et al., *Mixed Precision Training*, arXiv:1710.03740.
    """
    name = case.bounds.number_format
    form = FORMATS[name]
    forward = [*_seen_nonfinite(case), *_activations(case, name, form)]
    forward.sort(key=lambda how: how.layer or 0)
    # What overflows is graver than what underflows before it, and gradients come after activations.
    return min(
        [*forward, *_nonfinite_gradients(case), *_gradients(case, name, form)],
        key=lambda how: how.verdict is None,
        default=None,
    )


def _seen_nonfinite(case: Case) -> list[Broken]:
    if case.run is None or case.run.first_nonfinite is None:
        return []
    layer, dtype = case.run.first_nonfinite, case.run.simulation.dtype
    if case.run.module is not None:
        made = f"; {case.producer}" if case.producer else ""
        text = f"values are not finite in {dtype} from layer {layer} on (seen{made})"
        return [Broken(layer, None, None, text, NON_FINITE)]
    largest = case.largest
    # Theory that ends is beyond all formats.
    beyond = np.flatnonzero(~(largest[: case.depth + 1] <= np.finfo(dtype).max))
    doubt = case.doubt
    if np.isnan(largest).all():
        words = "no theory of the largest"
    elif doubt and beyond.size and math.isnan(largest[beyond[0]]):
        words = f"no theory: {doubt}"
    elif beyond.size and beyond[0] == layer:
        words = "as predicted"
    elif beyond.size:
        words = f"predicted from layer {beyond[0]} on"
    else:
        words = f"not predicted, largest {largest[layer]:.2g}"
    text = f"activations are not finite in {dtype} from layer {layer} on (seen; {words})"
    return [Broken(layer, None, None, text, NON_FINITE)]


def _nonfinite_gradients(case: Case) -> list[Broken]:
    """Gradients of a module that are infinite or NaN, from the last such row on the way back."""
    if case.run is None or case.run.module is None:
        return []
    found = case.run.module.wild_gradients
    if not found:
        return []
    dtype = case.run.simulation.dtype
    text = f"gradients are not finite in {dtype} from layer {found[-1]} back (seen)"
    return [Broken(found[-1], None, None, text, NON_FINITE)]


def _largest_seen(case: Case) -> FloatArray:
    """Return the largest activation that was seen, on average over trials, (limit + 1,): infinite
    where one was not finite, and NaN where none was measured."""
    largest = case.seen(LARGEST)
    if case.run is not None and case.run.first_nonfinite is not None:
        largest[case.run.first_nonfinite : case.depth + 1] = math.inf
    return largest


def _misses_largest(case: Case) -> bool:
    """Return whether the largest sample may have been in no batch."""
    norms = case.inputs.norms
    return norms is not None and norms.samples > case.batch


def _activations(case: Case, name: str, form: NumberFormat) -> list[Broken]:
    found = []
    seen = case.seen("second_moment")
    largest, largest_seen = case.largest, _largest_seen(case)
    # What was measured is judged, unless the batches may have missed the largest sample.
    judges_seen = np.isfinite(largest_seen)
    judges_seen &= ~(_misses_largest(case) & (largest > largest_seen))
    high = _crossing(largest, largest_seen, judges_seen, lambda x: x > form.largest)
    if high is not None:
        layer, value, source = high
        about = "about " if source.startswith("theory") else ""
        what = f"largest activation {about}{value:.2g} ({source})"
        if layer == 0:
            what = f"largest of the inputs {about if case.inputs.drawn else ''}{value:.2g}"
        text = f"{name} overflows at layer {layer}: {what}, above {form.largest:.6g}"
        found.append(Broken(layer, value, form.largest, text, NON_FINITE))
    root = np.where(case.erased, math.nan, np.sqrt(case.predicted("second_moment")))
    seen_root = np.sqrt(np.maximum(_signals(case, seen, form), 0.0))
    judges_seen = case.judges_seen("second_moment") & ~np.isnan(seen_root)
    low = _crossing(root, seen_root, judges_seen, lambda x: x < form.smallest)
    if low is not None and not case.inputs.silent:
        layer, value, source = low
        exact = value > 0 or source.startswith("seen")
        shown = f"{value:.2g}" if exact else f"below {LEAST_ROOT:.1g}"
        text = (
            f"{name} underflows at layer {layer}: root mean square of activations {shown}"
            f" ({source}), below {form.smallest:.2g}"
        )
        found.append(Broken(layer, value, form.smallest, text))
    return found


def _signals(case: Case, seen: FloatArray, form: NumberFormat) -> FloatArray:
    """Return the second moments seen (layers,), NaN where exact zeros come from the activation of
    pre-activations that the format holds: those networks are dead, and no number is too small."""
    q = case.pre_second_moments(seen)
    # Samples that are not 0 have a square that is no float.
    unknown = (seen == 0) & (case.seen("zero_samples") < 1)
    seen = np.where(unknown, math.nan, seen)
    dead = (seen == 0) & ((np.sqrt(q) > form.smallest) | case.erased)
    return np.where(np.logical_or.accumulate(dead), math.nan, seen)


def _crossing(
    predicted: FloatArray,
    seen: FloatArray,
    judges_seen: BoolArray,
    out: Callable[[FloatArray], BoolArray],
    *,
    back: bool = False,
) -> tuple[int, float, str] | None:
    """Return where values are first `out` of range, on the way `back` if asked for: the layer, the
    value there, and its source with what the other one tells. Arrays are (layers,).

    Values are those `seen` of layers with `judges_seen`, else `predicted` ones.
    """
    end = -1 if back else 0
    values = np.where(judges_seen, seen, predicted)
    where = np.flatnonzero(out(values))
    if not where.size:
        return None
    layer = int(where[end])
    source = "theory" + _seen(seen, layer, out(seen), end)
    if judges_seen[layer]:
        theory = float(predicted[layer])
        source = "seen" if math.isnan(theory) else f"seen; theory {theory:.2g}"
    return layer, float(values[layer]), source


def _seen(seen: FloatArray, layer: int, out: BoolArray, end: int) -> str:
    """Return how a value predicted to be out of range at `layer` was seen there, and from which
    layer on it was `out`, both (layers,), if from another: the first for `end` 0, the last for
    -1."""
    value = float(seen[layer])
    if math.isnan(value):
        return ""
    text = "; seen not finite" if math.isinf(value) else f"; seen {value:.2g}"
    where = np.flatnonzero(out)
    if not where.size:
        return f"{text}, in range"
    crossed, side = int(where[end]), "back" if end else "on"
    return text if crossed == layer else f"{text}, out of range from layer {crossed} {side}"


def _gradients(case: Case, name: str, form: NumberFormat) -> list[Broken]:
    """Gradients by their root mean square over that of the last layer, whose scale is 1."""
    # From squared norms to those of a unit.
    share = case.units[-1] / case.units
    with np.errstate(over="ignore", divide="ignore"):
        # Where weights or slopes are exactly 0, no number is too small.
        logs = np.where(np.isneginf(case.gradients), math.nan, case.gradients)
        root = np.exp(0.5 * (logs + np.log(share)))
        seen = np.exp(0.5 * (case.seen_gradients + np.log(share)))
    seen[seen == 0] = math.nan  # what is too small comes before: zeros are those of dead units
    judges_seen = case.judges_seen_gradients & ~np.isnan(seen)
    crossing = _crossing(
        root, seen, judges_seen, lambda x: (x < form.smallest) | (x > form.largest), back=True
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
